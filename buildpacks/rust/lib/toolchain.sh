# Which Rust an app is compiled with.
# shellcheck shell=bash

STACK_RUSTUP=/opt/rustup

# A setting of RustConfig, or nothing. The file is read, not run.
setting() {
  [[ -f RustConfig ]] || return 0
  sed -nE "s/^[[:space:]]*(export[[:space:]]+)?$1=[\"']?([^\"'#]*)[\"']?.*/\2/p" RustConfig | tail -n 1 | sed 's/[[:space:]]*$//'
}

# Puts cargo into PATH: the toolchain that the app names, or the stack's.
choose_toolchain() {
  local wanted='' origin=''
  export PATH=/opt/rust/bin:$PATH RUSTUP_HOME=$STACK_RUSTUP RUSTUP_UPDATE_ROOT=https://static.rust-lang.org/rustup
  stack_version=$(sed -nE 's/^default_toolchain = "([0-9.]+).*/\1/p' "$STACK_RUSTUP/settings.toml")
  if wanted=$(setting VERSION) && [[ -n $wanted ]]; then origin=RustConfig
  elif [[ -f rust-toolchain.toml ]]; then
    origin=rust-toolchain.toml
    wanted=$(sed -nE 's/^[[:space:]]*channel[[:space:]]*=[[:space:]]*"([^"]+)".*/\1/p' rust-toolchain.toml | head -n 1)
  elif [[ -f rust-toolchain ]]; then
    origin=rust-toolchain
    wanted=$(sed -nE 's/^[[:space:]]*channel[[:space:]]*=[[:space:]]*"([^"]+)".*/\1/p' rust-toolchain | head -n 1)
    [[ -n $wanted ]] || wanted=$(tr -d '[:space:]' < rust-toolchain)
  fi
  if [[ -n $wanted && ! $wanted =~ ^[A-Za-z0-9._-]+$ ]]; then
    fail "Rust toolchain $wanted in $origin is not one." '' 'Write a channel or a version, such as stable or 1.95.0'
  fi
  # The stack's is the stable one of its day, and newer is as good: Rust compiles what compiled once.
  if [[ -z $wanted || $wanted == stable || $wanted == "$stack_version" || $stack_version == "$wanted".* ]]; then
    export RUSTUP_TOOLCHAIN=$stack_version
    header "Using Rust $stack_version"
    if [[ -z $wanted ]]; then detail 'To choose another one, add a file rust-toolchain.toml'; fi
    return 0
  fi
  fetch_toolchain "$wanted" "$origin"
  header "Using $(rustc --version | cut -d ' ' -f 1,2) for $wanted in $origin"
}

fetch_toolchain() {
  local started=$EPOCHREALTIME
  # Asking rustc for its version is no wish to install one: what is fetched is told, and so is what cannot be.
  export RUSTUP_HOME=$CACHED/rustup RUSTUP_TOOLCHAIN=$1 RUSTUP_AUTO_INSTALL=0
  if ! rustc --version > /dev/null 2>&1; then
    detail "Fetching Rust $1"
    # One at a time is enough.
    rm -rf "$RUSTUP_HOME"
    if ! rustup toolchain install --no-self-update --profile minimal "$1" > /tmp/rustup-words 2>&1; then
      tail -n 5 /tmp/rustup-words | indent
      fail "Rust $1, asked for in $2, could not be fetched." '' \
        "This stack has Rust $stack_version of its own. Others come from static.rust-lang.org, which does not have this" \
        'one, or could not be reached. Ask for one that exists, or for none.'
    fi
    detail "Done in $(seconds_since "$started")"
  fi
}
