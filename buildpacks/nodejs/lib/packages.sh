# Installing packages, whatever lock file there is.
# shellcheck shell=bash

package_manager() {
  if [[ -f pnpm-lock.yaml ]]; then echo pnpm
  elif [[ -f yarn.lock ]]; then
    if [[ -f .yarnrc.yml ]] || grep -q '^__metadata:' yarn.lock; then echo berry; else echo yarn; fi
  else echo npm
  fi
}

has_script() {
  local name
  for name in "$@"; do
    if jq -e --arg name "$name" '.scripts[$name] // empty' package.json > /dev/null; then return 0; fi
  done
  return 1
}

# usage: inputs_of MANAGER RUNTIME_KEY
#
# A hash of all that decides what node_modules holds. Fails when that is more than files with names: scripts, or
# packages of the app's own tree.
inputs_of() {
  if has_script preinstall install postinstall prepare heroku-prebuild build heroku-postbuild heroku-cleanup \
    || grep -qE '"workspaces"|"(file|link|portal|workspace):' package.json; then
    return 1
  fi
  printf '%s\n' "$2" "$1" | hash_of package.json .npmrc .yarnrc .yarnrc.yml pnpm-workspace.yaml \
    package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml
}

# Scripts in Heroku's order (Dev Center, "Node.js Support"). Development packages are there while they run.
install_and_build() {
  local manager=$1 started=$EPOCHREALTIME
  run_script heroku-prebuild
  header "Installing dependencies ($manager)"
  "install_with_$manager" 2>&1 | indent || fail 'The packages could not be installed.' '' \
    'The lines above say which, and why. If the lock file does not fit package.json, run the install on your' \
    'own machine and commit the lock file.'
  detail "Done in $(seconds_since "$started")"
  cached_folders restore
  if has_script heroku-postbuild; then run_script heroku-postbuild; else run_script build; fi
  cached_folders store
  # It is the builds' alone.
  rm -rf .next/cache node_modules/.cache
  if ! is_without_development && is_pruned "$manager"; then
    header 'Pruning development dependencies'
    "prune_with_$manager" 2>&1 | indent || fail 'The development packages could not be removed.'
  fi
  run_script heroku-cleanup
}

# Without scripts nobody needs development packages, not even for a moment.
is_without_development() {
  [[ -n $inputs && $manager == npm ]]
}

# What Heroku's users set to keep development packages (Dev Center, "Node.js Support").
is_pruned() {
  case $1 in
    npm) [[ $(config NPM_CONFIG_PRODUCTION) != false ]] ;;
    yarn) [[ $(config YARN_PRODUCTION) != false ]] ;;
    berry) [[ $(config YARN2_SKIP_PRUNING) != true ]] ;;
    pnpm) [[ $(config PNPM_SKIP_PRUNING) != true ]] ;;
  esac
}

# What builds keep for the next one: folders that package.json names (`cacheDirectories`), and those of frameworks that
# say so. node_modules itself is made anew, out of the package manager's cache.
#
# usage: cached_folders store|restore
cached_folders() {
  local folder
  if [[ $(config NODE_MODULES_CACHE) == false ]]; then
    rm -rf "$CACHED/folders"
    return 0
  fi
  while IFS= read -r folder; do
    case $folder in '' | /* | *..* | node_modules) continue ;; esac
    if [[ $1 == store && -d $folder ]]; then
      mkdir -p "$(dirname "$CACHED/folders/$folder")"
      rm -rf "$CACHED/folders/$folder"
      cp -a "$folder" "$CACHED/folders/$folder"
    elif [[ $1 == restore && -d $CACHED/folders/$folder && ! -e $folder ]]; then
      mkdir -p "$(dirname "$folder")"
      cp -a "$CACHED/folders/$folder" "$folder"
    fi
  done < <(jq -r '((.cacheDirectories // .cache_directories // []) + [".next/cache", ".nuxt/cache", "node_modules/.cache"])[]' package.json)
}

run_script() {
  local started=$EPOCHREALTIME
  has_script "$1" || return 0
  header "Running $1"
  npm run --silent "$1" 2>&1 | indent || fail "The script $1 of package.json failed." '' \
    'The lines above are its own. The release that ran before is untouched.'
  detail "Done in $(seconds_since "$started")"
}

install_with_npm() {
  local flags=(--include=dev)
  if is_without_development; then flags=(--omit=dev); fi
  if [[ -f package-lock.json || -f npm-shrinkwrap.json ]]; then
    npm ci --prefer-offline "${flags[@]}"
  else
    echo 'There is no package-lock.json: commit one, so that each build gets the same packages.'
    npm install --no-package-lock "${flags[@]}"
  fi
}
install_with_yarn() { NODE_ENV=development yarn install --cache-folder "$CACHE_DIR/yarn" --frozen-lockfile --prefer-offline --non-interactive; }
install_with_berry() { YARN_ENABLE_GLOBAL_CACHE=true YARN_GLOBAL_FOLDER=$CACHE_DIR/berry NODE_ENV=development yarn install --immutable; }
install_with_pnpm() { NODE_ENV=development pnpm install --frozen-lockfile --prefer-offline --store-dir "$CACHE_DIR/pnpm"; }

prune_with_npm() { npm prune --omit=dev; }
prune_with_yarn() { yarn install --cache-folder "$CACHE_DIR/yarn" --production --frozen-lockfile --ignore-scripts --offline --non-interactive; }
prune_with_berry() { YARN_ENABLE_GLOBAL_CACHE=true YARN_GLOBAL_FOLDER=$CACHE_DIR/berry yarn workspaces focus --all --production; }
prune_with_pnpm() { pnpm prune --prod --ignore-scripts; }
