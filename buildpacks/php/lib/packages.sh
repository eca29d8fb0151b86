# Installing packages with Composer.
# shellcheck shell=bash

# An app of files only is Composer's with an empty composer.json; a sound one has its lock file.
check_composer_json() {
  if [[ ! -s composer.json ]]; then echo '{}' > composer.json; fi
  jq empty composer.json 2> /tmp/json-error \
    || fail 'composer.json is not sound JSON.' '' "$(cat /tmp/json-error)" 'Correct it, commit, and push again.'
  if [[ ! -f composer.lock ]] && has_packages; then
    fail 'There is no composer.lock.' '' \
      'It says which versions of the packages to install. Make it, and commit it: composer update && git add composer.lock'
  fi
}

# What PHP itself is and has is no package.
has_packages() {
  jq -e '.require // {} | keys | map(select(test("^(php|ext-.*|lib-.*|composer-.*)$") | not)) | length > 0' composer.json > /dev/null
}

composer_setting() {
  local value
  value=$(jq -r --arg name "$1" '.config[$name] // empty' composer.json)
  value=${value:-$2}
  if [[ $value == /* || $value == *..* ]]; then fail "config.$1 in composer.json leads out of the app: $value"; fi
  echo "${value%/}"
}

install_packages() {
  local started=$EPOCHREALTIME flags=(--prefer-dist --optimize-autoloader --no-progress --no-ansi)
  if [[ -z ${TESTS:-} ]]; then flags+=(--no-dev); fi
  check_platform
  if [[ ! -f composer.lock ]] && ! jq -e '.autoload' composer.json > /dev/null; then
    detail 'composer.json asks for no package: nothing to install'
    return 0
  fi
  header 'Installing packages (Composer)'
  if [[ -f $ENV_DIR/COMPOSER_AUTH ]]; then COMPOSER_AUTH=$(config COMPOSER_AUTH) && export COMPOSER_AUTH; fi
  if ! (export_config && composer install "${flags[@]}") 2>&1 | indent; then
    fail 'The packages could not be installed.' '' \
      'The lines above say which, and why. If composer.lock does not fit composer.json, run composer update on your' \
      'own machine and commit composer.lock. Where packagist.org cannot be reached, add the packages to your source' \
      'as repositories of type "path".'
  fi
  detail "Done in $(seconds_since "$started")"
}

# The versions that the app asks for are Composer's to compare; which ones there are is for us to say.
check_platform() {
  if [[ ! -f composer.lock ]]; then
    if ! satisfies "$(jq -r '.require.php // "*"' composer.json)"; then no_platform; fi
    return 0
  fi
  if composer check-platform-reqs --no-ansi --no-dev --lock > /tmp/platform 2>&1 || ! grep -qE '(missing|failed)' /tmp/platform; then
    return 0
  fi
  grep -E '(missing|failed)' /tmp/platform | indent
  no_platform
}

# Whether the PHP that is here is one that composer.json allows.
satisfies() {
  # shellcheck disable=SC2016  # PHP reads it
  php -r 'require "/usr/share/php/Composer/Semver/autoload.php";
    exit(Composer\Semver\Semver::satisfies(PHP_VERSION, $argv[1]) ? 0 : 1);' "$1" 2> /dev/null
}

no_platform() {
  local extensions
  mapfile -t extensions < <(php -m | sed '/^\[/d;/^$/d' | sort -fu | paste -sd ' ' | fold -s -w 90)
  fail "The app asks for another PHP, or for an extension that is not here." '' \
    "This stack has PHP $(php -r 'echo PHP_VERSION;') with:" "${extensions[@]}" \
    'Change "require" in composer.json, run composer update, and commit both files. With a Dockerfile an app may bring' \
    'any other PHP.'
}

# Heroku's hook: the script `compile` of composer.json runs after the packages are installed.
run_compile_script() {
  jq -e '.scripts.compile // empty' composer.json > /dev/null || return 0
  header 'Running composer compile'
  (export_config && composer run-script --no-ansi compile) 2>&1 | indent \
    || fail 'The script compile of composer.json failed.' '' 'The lines above are its own.'
}
