# Maven and Gradle.
# shellcheck shell=bash

# Config vars as with Heroku's buildpack: MAVEN_CUSTOM_GOALS, MAVEN_CUSTOM_OPTS, MAVEN_SETTINGS_PATH.
build_with_maven() {
  local started=$EPOCHREALTIME goals options settings command=mvn
  if [[ -f mvnw && -f .mvn/wrapper/maven-wrapper.properties ]]; then
    chmod +x mvnw
    command=./mvnw
  fi
  goals=$(config MAVEN_CUSTOM_GOALS)
  options=$(config MAVEN_CUSTOM_OPTS)
  settings=$(config MAVEN_SETTINGS_PATH)
  if [[ -z $settings && -f settings.xml ]]; then settings=settings.xml; fi
  local arguments=(-B -ntp "-Dmaven.repo.local=$CACHED/maven")
  if [[ -n $settings ]]; then arguments+=(-s "$settings"); fi
  read -ra words <<< "${options:--DskipTests} ${goals:-clean install}"
  # An app that brings its packages along needs nobody else.
  if [[ -d .m2/repository ]]; then mkdir -p "$CACHED/maven" && cp -an .m2/repository/. "$CACHED/maven/"; fi
  header "Building with Maven: ${command} ${words[*]}"
  if ! (export_config && MAVEN_USER_HOME=$CACHED/maven-wrapper "$command" "${arguments[@]}" "${words[@]}") 2>&1 | indent; then
    fail 'Maven could not build the app.' '' \
      'The lines above say why. Try mvn -DskipTests clean install on your own machine. Where repo.maven.apache.org' \
      'cannot be reached, name a mirror in settings.xml, or bring the packages along in .m2/repository.'
  fi
  detail "Done in $(seconds_since "$started")"
}

# Config var GRADLE_TASK; without it `stage` when the app has it, `bootJar` for Spring Boot, or else `build` without tests.
build_with_gradle() {
  local started=$EPOCHREALTIME task words command=./gradlew
  if [[ ! -f gradlew ]]; then
    fail 'There is no Gradle wrapper.' '' \
      'It says which Gradle to build with, and fetches it. Make it, and commit it: gradle wrapper && git add -f gradlew gradle'
  fi
  chmod +x gradlew
  task=$(config GRADLE_TASK)
  if [[ -z $task ]]; then
    if grep -qsE '(task|tasks\.(register|create)\()[[:space:]("'\'']*stage' build.gradle build.gradle.kts; then task=stage
    elif grep -qs 'org.springframework.boot' build.gradle build.gradle.kts; then task=bootJar
    else task='build -x test'
    fi
  fi
  read -ra words <<< "$task"
  header "Building with Gradle: $command ${words[*]}"
  # A daemon would outlive the build, and with it the container.
  if ! (export_config && GRADLE_USER_HOME=$CACHED/gradle "$command" --no-daemon --console=plain "${words[@]}") 2>&1 | indent; then
    fail 'Gradle could not build the app.' '' \
      'The lines above say why. Try the same on your own machine. Where services.gradle.org or the packages cannot be' \
      'reached, name mirrors in gradle/wrapper/gradle-wrapper.properties and in settings.gradle.'
  fi
  detail "Done in $(seconds_since "$started")"
}
