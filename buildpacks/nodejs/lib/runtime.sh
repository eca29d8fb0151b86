# Which Node.js an app runs on, and with which package manager.
# shellcheck shell=bash

STACK_NODE=/opt/node
SEMVER=$STACK_NODE/lib/node_modules/npm/node_modules/semver/bin/semver.js

# Links NODE_DIR to the runtime that fits package.json, and sets `runtime_key`, which names its content.
choose_runtime() {
  local manager=$1 stack_version version runtime
  stack_version=$(node --version)
  stack_version=${stack_version#v}
  choose_version
  if [[ $manager == npm && $version == "$stack_version" ]]; then
    runtime=$STACK_NODE
    runtime_key=$(echo "stack $version" | hash_of)
  else
    runtime=$CACHED/runtime
    make_runtime "$manager"
    # shellcheck disable=SC2034  # read by bin/compile
    runtime_key=$(cat "$runtime/key")
  fi
  ln -s "$runtime" "$NODE_DIR"
}

choose_version() {
  local wanted
  wanted=$(jq -r '.engines.node // empty' package.json)
  if [[ -z $wanted ]]; then
    version=$stack_version
    header "Using Node.js $version"
    detail 'To choose another one, set engines.node in package.json'
    return 0
  fi
  if node "$SEMVER" --range "$wanted" "$stack_version" > /dev/null 2>&1; then
    version=$stack_version
  else
    newest_matching "$wanted"
  fi
  header "Using Node.js $version for engines.node $wanted"
}

# npm's packages `node-linux-<arch>` hold Node's own binaries. The answer is kept: a range means the same version until
# it is changed or the cache is purged.
newest_matching() {
  local wanted=$1 known=$CACHED/node-version
  if [[ -f $known && $(head -n 1 "$known") == "$wanted" ]]; then
    version=$(tail -n 1 "$known")
    return 0
  fi
  curl -fsS --retry 2 --max-time 60 -H 'Accept: application/vnd.npm.install-v1+json' \
    "https://registry.npmjs.org/$(node_package)" | jq -r '.versions | keys[]' > /tmp/node-versions \
    || fail 'The versions of Node.js could not be read from registry.npmjs.org.' 'Push again a little later.'
  version=$(xargs node "$SEMVER" --range "$wanted" < /tmp/node-versions 2> /dev/null | tail -n 1) || true
  [[ -n $version ]] || fail "There is no Node.js $wanted." '' \
    'engines.node in package.json asks for it, but no such version exists. Write one such as 24.x'
  printf '%s\n' "$wanted" "$version" > "$known"
}

node_package() { node -p '"node-linux-" + process.arch'; }

# Yarn and pnpm are packages themselves. Their version is the one that `packageManager` names, or the newest of the line
# that wrote the lock file.
manager_package() {
  local package default named
  case $1 in
    npm) return 0 ;;
    yarn) package=yarn default=1 ;;
    berry) package=@yarnpkg/cli-dist default=4 ;;
    pnpm)
      package=pnpm
      case $(sed -nE "s/^lockfileVersion: '?([0-9]+).*/\1/p" pnpm-lock.yaml) in
        5) default=7 ;;
        6) default=8 ;;
        *) default=10 ;;
      esac
      ;;
  esac
  named=$(jq -r '.packageManager // empty' package.json | sed -nE 's/^(yarn|pnpm)@([0-9][0-9A-Za-z.-]*).*/\2/p')
  [[ -n $named ]] || named=$(jq -r --arg name "${1/berry/yarn}" '.engines[$name]? // empty' package.json)
  echo "$package@${named:-$default}"
}

# Another version than the stack's, or another manager than npm: made in the cache, and kept there.
make_runtime() {
  local package recipe started=$EPOCHREALTIME
  package=$(manager_package "$1")
  recipe="$stack_version $version $package"
  if [[ -f $runtime/key && $(cat "$runtime/recipe") == "$recipe" ]]; then return 0; fi
  rm -rf "$runtime"
  if [[ $version == "$stack_version" ]]; then
    cp -a "$STACK_NODE" "$runtime"
  else
    fetch_node
  fi
  if [[ -n $package ]]; then
    detail "Adding $package"
    npm_install_global "$package"
  fi
  echo "$recipe" > "$runtime/recipe"
  new_key > "$runtime/key"
  detail "Done in $(seconds_since "$started")"
}

fetch_node() {
  local npm_version package
  # The newest npm that runs on it (npm's own `engines`).
  case ${version%%.*} in
    [0-9] | 1[0-3]) fail "Node.js $version is too old for this platform: 14 is the oldest." 'Set engines.node to 24.x' ;;
    1[4-7]) npm_version=9 ;;
    18 | 19) npm_version=10 ;;
    *) npm_version=$(npm --version) ;;
  esac
  detail "Fetching Node.js $version"
  package=$(node_package)
  mkdir -p "$runtime/bin" /tmp/node-fetch
  npm install --silent --no-save --no-audit --no-fund --prefix /tmp/node-fetch --cache "$CACHE_DIR/npm" "$package@$version" \
    || fail "Node.js $version could not be fetched from registry.npmjs.org." 'Push again a little later.'
  cp "/tmp/node-fetch/node_modules/$package/bin/node" "$runtime/bin/node"
  npm_install_global "npm@$npm_version"
}

npm_install_global() {
  npm install --silent --no-audit --no-fund --global --prefix "$runtime" --cache "$CACHE_DIR/npm" "$1" 2>&1 | indent \
    || fail "$1 could not be installed from registry.npmjs.org." 'Check packageManager in package.json, or push again later.'
}
