# Which Java an app is built with, and runs on.
# shellcheck shell=bash

STACK_JAVA=17

# `java.runtime.version` in system.properties, as on Heroku; without it the stack's.
choose_java() {
  local wanted='' major
  if [[ -f system.properties ]]; then
    wanted=$(sed -nE 's/^[[:space:]]*java\.runtime\.version[[:space:]]*[=:][[:space:]]*([^[:space:]]+).*/\1/p' system.properties | tail -n 1)
  fi
  JAVA_HOME=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
  export JAVA_HOME
  if [[ -z $wanted ]]; then
    header "Using Java $STACK_JAVA"
    detail 'To choose another one, write java.runtime.version=21 into system.properties'
    return 0
  fi
  # As Heroku's buildpack reads it: 1.8 is 8, and a name of a vendor may stand before.
  major=${wanted##*-}
  major=${major#1.}
  major=${major%%.*}
  [[ $major =~ ^[0-9]+$ ]] || fail "Java version $wanted in system.properties is not a version." '' \
    'Write one such as java.runtime.version=17'
  if [[ $major != "$STACK_JAVA" ]]; then fetch_java "$major"; fi
  header "Using Java $major for java.runtime.version $wanted in system.properties"
}

# Eclipse Temurin's builds, which run from any folder.
fetch_java() {
  local major=$1 started=$EPOCHREALTIME arch=x64 place=$CACHED/jdk
  if [[ $(uname -m) == aarch64 ]]; then arch=aarch64; fi
  if [[ ! -f $place/asked || $(cat "$place/asked") != "$major" ]]; then
    detail "Fetching Java $major"
    rm -rf "$place"
    mkdir -p "$place"
    if ! curl -fsSL --retry 2 --connect-timeout 10 --max-time 300 \
      "https://api.adoptium.net/v3/binary/latest/$major/ga/linux/$arch/jdk/hotspot/normal/eclipse" 2> /tmp/fetch-error \
      | tar -xz --strip-components=1 --no-same-owner -C "$place" 2> /dev/null; then
      indent < /tmp/fetch-error
      rm -rf "$place"
      fail "Java $major, asked for in system.properties, could not be fetched." '' \
        "This stack has Java $STACK_JAVA of its own. Others come from adoptium.net, which does not have this one, or" \
        "could not be reached. Write java.runtime.version=$STACK_JAVA to build without a download."
    fi
    rm -rf "$place/jmods" "$place/lib/src.zip" "$place/man"
    # Trust what the system trusts.
    if [[ -f /etc/ssl/certs/java/cacerts ]]; then cp /etc/ssl/certs/java/cacerts "$place/lib/security/cacerts"; fi
    echo "$major" > "$place/asked"
    new_key > "$CACHED/jdk.key"
    detail "Done in $(seconds_since "$started")"
  fi
  ln -s "$place" /app/.heroku/jdk
  export JAVA_HOME=/app/.heroku/jdk PATH=/app/.heroku/jdk/bin:$PATH
}
