# What all buildpacks share: how they speak, and how they read config.
# shellcheck shell=bash

header() { printf -- '-----> %s\n' "$*"; }
detail() { printf '       %s\n' "$*"; }
warning() { printf ' !     %s\n' "$@" | sed 's/ *$//'; }

# Shows a program's output as details, as it comes.
indent() { sed -u 's/^/       /'; }

# Says what is wrong and what to do, one argument a line, and ends the build.
fail() {
  printf '\n'
  warning "$@" ''
  exit 1
}

# How long ago a value of EPOCHREALTIME was: `3.1s`.
seconds_since() {
  awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1fs", to - from }'
}

# Counts the seconds since a value of EPOCHREALTIME as those of a step, which the end of the build log sums up.
#
# usage: took STEP EPOCHREALTIME      STEP is one word, such as: restore
took() {
  printf '%s %s\n' "$1" "$(seconds_since "$2")" >> "$RESULT_DIR/times"
}

# Config vars are files (Dev Center, "Buildpack API"). This makes variables of them for what the app itself runs while
# it is built, except for those that would change how the build works.
export_config() {
  local file name
  for file in "$ENV_DIR"/*; do
    name=${file##*/}
    case $name in
      '*' | PATH | HOME | GIT_DIR | CPATH | CPPATH | LD_PRELOAD | LIBRARY_PATH | BASH_ENV | ENV_DIR) ;;
      *) export "$name=$(cat "$file")" ;;
    esac
  done
}

# A config var of a test run, unless the app has it.
set_for_tests() {
  if [[ ! -f $ENV_DIR/$1 ]]; then printf '%s' "$2" > "$ENV_DIR/$1"; fi
}

# The value of one config var, or nothing.
config() {
  if [[ -f $ENV_DIR/$1 ]]; then cat "$ENV_DIR/$1"; fi
}

# One hash over the named files that exist, and over the words on standard input.
hash_of() {
  local file
  { cat; for file in "$@"; do if [[ -f $file ]]; then printf '%s\n' "$file"; cat "$file"; fi; done; } \
    | sha256sum | cut -c 1-40
}

# What installers keep for themselves only helps while it is small. Called after they have run, since it takes a look at
# every file.
#
# usage: trim_cache FOLDER...
trim_cache() {
  local folder megabytes
  for folder in "$@"; do
    [[ -d $folder ]] || continue
    megabytes=$(du -sm "$folder" | cut -f 1)
    if ((megabytes > 1024)); then
      detail "Emptying the cache of ${folder##*/}, which has grown to $megabytes MB"
      # Go takes away the right to write into what it has fetched.
      chmod -R u+w "$folder"
      rm -rf "$folder"
    fi
  done
}

# The process types of an app without a Procfile that was compiled into the programs on standard input, for `bin/release`.
# The one program is what to serve; of several the one whose name says so, and each other one is a type by its own name.
#
# usage: process_types FOLDER
process_types() {
  local folder=$1 program programs=() name web=''
  mapfile -t programs
  if ((${#programs[@]} == 1)); then
    web=${programs[0]}
  else
    for name in api server web; do
      if [[ " ${programs[*]} " == *" $name "* ]]; then web=$name; fi
    done
  fi
  printf -- '---\ndefault_process_types:'
  if ((${#programs[@]} == 0)); then printf ' {}'; fi
  printf '\n'
  if [[ -n $web ]]; then printf '  web: %s/%s\n' "$folder" "$web"; fi
  for program in "${programs[@]}"; do
    # What else may be the name of a process type is the app's to say.
    if [[ $program != "$web" && $program =~ ^[A-Za-z][A-Za-z0-9_-]*$ ]]; then printf '  %s: %s/%s\n' "$program" "$folder" "$program"; fi
  done
}

# Part of the app that only changes with its dependencies goes into an image layer of its own, under a key that names
# this very content. The platform tells which keys it has: their content need not be made again.
is_known_layer() {
  [[ " ${KNOWN_LAYERS:-} " == *" $1 "* ]]
}

# usage: keep_as_layer KEY PATH...      paths relative to /app; last thing of a compile
#
# A path that is a link (into the cache) is followed for a new key, and dropped for a known one. With several buildpacks
# all stays in /app, where the next one finds it.
keep_as_layer() {
  local key=$1 path
  shift
  for path in "$@"; do
    [[ -e /app/$path ]] || continue
    if [[ -n ${SEVERAL_BUILDPACKS:-} ]]; then
      if [[ -L /app/$path ]]; then
        cp -a "$(readlink -f "/app/$path")" "/app/$path.copy"
        rm "/app/$path"
        mv "/app/$path.copy" "/app/$path"
      fi
      continue
    fi
    mkdir -p "$LAYER_DIR/$(dirname "$path")"
    if is_known_layer "$key"; then
      rm -rf "/app/${path:?}"
    elif [[ -L /app/$path ]]; then
      cp -a "$(readlink -f "/app/$path")" "$LAYER_DIR/$path"
      rm "/app/$path"
    else
      mv "/app/$path" "$LAYER_DIR/$path"
    fi
  done
  if [[ -z ${SEVERAL_BUILDPACKS:-} ]]; then printf '%s\n' "$key" > "$RESULT_DIR/layer"; fi
}

# A new name for something that was just installed: installing the same on another day may make something else.
new_key() {
  head -c 32 /dev/urandom | sha256sum | cut -c 1-40
}
