# Installing packages, whatever lock file there is.
# shellcheck shell=bash

# What package managers run of the app itself, before and after they have installed its packages.
OWN_SCRIPTS=(install postinstall prepublish preprepare prepare postprepare)

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

# Whoever has changed from one to the other and kept both gets now the one and now the other (Heroku refuses it, too).
refuse_two_lock_files() {
  local name found=()
  for name in package-lock.json yarn.lock pnpm-lock.yaml; do
    if [[ -f $name ]]; then found+=("$name"); fi
  done
  if ((${#found[@]} > 1)); then
    fail "There are several lock files: ${found[*]}." '' \
      'Each belongs to another package manager, and they may name other versions. Keep the one that you use:' \
      "git rm ${found[0]}"
  fi
}

# usage: inputs_of MANAGER RUNTIME_KEY
#
# A hash of all that decides what node_modules holds, before scripts of the app's own have run. Fails when that is more than
# files with names: packages of the app's own tree, or no node_modules at all (Yarn's Plug'n'Play).
inputs_of() {
  local file
  if is_plug_and_play "$1" || { [[ $1 == berry ]] && has_script preinstall "${OWN_SCRIPTS[@]}"; } \
    || grep -qE '"workspaces"|"(file|link|portal|workspace):' package.json || grep -qs '^packages:' pnpm-workspace.yaml; then
    return 1
  fi
  {
    printf '%s\n' "$2" "$1" "$development"
    jq -S 'del(.scripts, .version, .description)' package.json
    # Config that installers read, and those of packages that fetch something.
    for file in "$ENV_DIR"/*; do
      if [[ ${file##*/} =~ ^(NPM|npm|YARN2?|PNPM|NODE|PUPPETEER|PLAYWRIGHT|CYPRESS|PRISMA|SHARP)_ ]]; then echo "$file" && cat "$file"; fi
    done
  } | hash_of .npmrc .yarnrc .yarnrc.yml pnpm-workspace.yaml package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml
}

# Without scripts nobody needs development packages, not even for a moment; nor are they ever installed.
needs_development() { has_script build heroku-postbuild heroku-cleanup preinstall "${OWN_SCRIPTS[@]}"; }

is_plug_and_play() { [[ $1 == berry ]] && ! grep -qsE '^nodeLinker:[[:space:]]*"?(node-modules|pnpm)' .yarnrc.yml; }

# What an earlier build has installed from the same files. A build gets it back as it was before any script; without one
# nothing is needed but the layer.
restore_packages() {
  local started=$EPOCHREALTIME known
  [[ -n $inputs && $(config NODE_MODULES_CACHE) != false ]] || return 1
  if [[ -n $development ]]; then
    [[ -f $CACHED/$inputs.tar ]] && tar -xf "$CACHED/$inputs.tar" 2> /dev/null || return 1
  else
    known=$(cat "$CACHED/$inputs.key" 2> /dev/null) && is_known_layer "$known" || return 1
  fi
  header 'Using the cached dependencies: unchanged'
  took restore "$started"
}

install_packages() {
  local started=$EPOCHREALTIME
  header "Installing dependencies ($1)"
  rm -rf node_modules "$CACHED"/*.tar "$CACHED"/*.key
  if [[ -n $inputs ]]; then
    run_own_script preinstall
    # Its other scripts come when the packages have been put aside as they are now.
    cp package.json /tmp/package.json
    jq 'del(.scripts)' /tmp/package.json > package.json
  fi
  "install_with_$1" 2>&1 | indent || fail 'The packages could not be installed.' '' \
    'The lines above say which, and why. If the lock file does not fit package.json, run the install on your' \
    'own machine and commit the lock file.'
  if [[ -n $inputs ]]; then cp /tmp/package.json package.json; fi
  trim_cache "$CACHED/folders" "$CACHE_DIR/npm" "$CACHE_DIR/yarn" "$CACHE_DIR/berry" "$CACHE_DIR/pnpm"
  if [[ -n $inputs && -n $development && -d node_modules ]]; then
    tar -cf "$CACHED/$inputs.tar.new" node_modules && mv "$CACHED/$inputs.tar.new" "$CACHED/$inputs.tar"
  fi
  detail "Done in $(seconds_since "$started")"
  took install "$started"
}

# Scripts in Heroku's order (Dev Center, "Node.js Support"). Development packages are there while they run.
build() {
  local name
  cached_folders restore
  if [[ -n $inputs ]]; then
    for name in "${OWN_SCRIPTS[@]}"; do run_own_script "$name"; done
  fi
  if has_script heroku-postbuild; then run_script heroku-postbuild; else run_script build; fi
  cached_folders store
  # It is the builds' alone.
  rm -rf .next/cache node_modules/.cache node_modules/.vite node_modules/.vite-temp
}

# Whether a script has written into node_modules, as those do that generate code there.
is_touched() {
  [[ -d node_modules && -n $(find node_modules -mindepth 1 -cnewer /tmp/before-build -print -quit) ]]
}

prune() {
  if [[ -n $inputs && -z $development && $1 == npm ]]; then return 0; fi
  jq -e '(.devDependencies // {} | length > 0) or .workspaces != null' package.json > /dev/null && is_pruned "$1" || return 0
  header 'Pruning development dependencies'
  "prune_with_$1" 2>&1 | indent || fail 'The development packages could not be removed.' '' \
    'The lines above say why. To keep them, set what Heroku has for that: NPM_CONFIG_PRODUCTION=false, YARN_PRODUCTION=false,' \
    'YARN2_SKIP_PRUNING=true or PNPM_SKIP_PRUNING=true.'
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

# One script that a package manager would have run, without those that `npm run` takes to belong to it.
run_own_script() {
  has_script "$1" || return 0
  npm run --silent --ignore-scripts "$1" 2>&1 | indent || fail "The script $1 of package.json failed." '' 'The lines above are its own.'
}

# Nobody but Yarn finds what it has installed without node_modules.
run_script() {
  local started=$EPOCHREALTIME runner=(npm run --silent)
  if [[ -f .pnp.cjs ]]; then runner=(yarn run); fi
  has_script "$1" || return 0
  header "Running $1"
  "${runner[@]}" "$1" 2>&1 | indent || fail "The script $1 of package.json failed." '' \
    'The lines above are its own. The release that ran before is untouched.'
  detail "Done in $(seconds_since "$started")"
}

install_with_npm() {
  local flags=(--include=dev)
  # Only with a sound lock file is a later pruning the same as never installing them.
  if [[ -n $inputs && -z $development ]]; then flags=(--omit=dev); fi
  if [[ -f package-lock.json || -f npm-shrinkwrap.json ]]; then
    npm ci --prefer-offline "${flags[@]}"
  else
    echo 'There is no package-lock.json: commit one, so that each build gets the same packages.'
    npm install --no-package-lock "${flags[@]}"
  fi
}
install_with_yarn() { NODE_ENV=development yarn install --cache-folder "$CACHE_DIR/yarn" --frozen-lockfile --prefer-offline --non-interactive; }
install_with_berry() { NODE_ENV=development yarn install --immutable; }
install_with_pnpm() { NODE_ENV=development pnpm install --frozen-lockfile --prefer-offline --store-dir "$CACHE_DIR/pnpm"; }

# A dyno has no global cache: with Plug'n'Play the archives themselves are what it runs from, in .yarn/cache.
for_berry() {
  export YARN_GLOBAL_FOLDER=$CACHE_DIR/berry YARN_ENABLE_TELEMETRY=0 YARN_ENABLE_GLOBAL_CACHE=true
  if is_plug_and_play berry; then YARN_ENABLE_GLOBAL_CACHE=false; fi
}

prune_with_npm() { npm prune --omit=dev; }
prune_with_yarn() { yarn install --cache-folder "$CACHE_DIR/yarn" --production --frozen-lockfile --ignore-scripts --offline --non-interactive; }
# Yarn 2 and 3 have it as a plugin.
prune_with_berry() {
  yarn workspaces focus --all --production || echo 'This Yarn cannot remove the development packages: they stay.'
}
prune_with_pnpm() { pnpm prune --prod --ignore-scripts --store-dir "$CACHE_DIR/pnpm"; }
