# Which Python an app runs on.
# shellcheck shell=bash

STACK_PYTHON=/usr/bin/python3.11

# Sets PYTHON to an interpreter that fits what the app asks for: .python-version, runtime.txt, or requires-python.
choose_python() {
  local wanted="" origin="" found version
  read_wanted_version
  if [[ -z $wanted ]]; then
    PYTHON=$STACK_PYTHON
    header "Using Python $(version_of "$PYTHON")"
    detail 'To choose another one, add a file .python-version'
    return 0
  fi
  if [[ $wanted =~ ^2(\.|$) ]]; then
    fail "Python $wanted, asked for in $origin, is not here." '' \
      'Python 2 has had no security update since 2020. Write a version such as 3.11, and see docs.python.org/3/howto/pyporting.html'
  fi
  # A patch version that differs is a smaller evil than a build that fails: the stack gets security updates as a whole.
  if [[ $wanted =~ ^3\.11(\.[0-9]+)?$ || $wanted == 3 ]]; then
    PYTHON=$STACK_PYTHON
  elif found=$(uv python find --system --no-project "$wanted" 2>/dev/null); then
    PYTHON=$found
  else
    # uv's own builds of Python lie in the cache like the environment.
    mkdir -p "$CACHED/runtime"
    ln -s "$CACHED/runtime" /app/.heroku/runtime
    if ! found=$(uv python find --managed-python --no-project "$wanted" 2>/dev/null); then
      fetch_python
      found=$(uv python find --managed-python --no-project "$wanted")
    fi
    PYTHON=$found
  fi
  version=$(version_of "$PYTHON")
  header "Using Python $version specified in $origin"
  if [[ $wanted =~ ^[0-9]+\.[0-9]+\.[0-9]+$ && $wanted != "$version" ]]; then
    detail "This stack keeps its own 3.11 up to date; $wanted was asked for"
  fi
}

read_wanted_version() {
  if [[ -f .python-version ]]; then
    origin=.python-version
    wanted=$(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' .python-version | head -n 1)
  elif [[ -f runtime.txt ]]; then
    origin=runtime.txt
    wanted=$(tr -d '[:space:]' < runtime.txt)
    wanted=${wanted#python-}
  elif [[ -f pyproject.toml ]]; then
    origin=pyproject.toml
    wanted=$("$STACK_PYTHON" - <<'PYTHON' || true
import tomllib
with open("pyproject.toml", "rb") as file:
    print(tomllib.load(file).get("project", {}).get("requires-python", ""))
PYTHON
)
  fi
  if [[ -n $wanted && ! $wanted =~ ^[0-9A-Za-z.,\<\>=!~*\ +-]+$ ]]; then
    fail "Python version $wanted in $origin is not a version." '' \
      'Write a version such as 3.11 on a line of its own.'
  fi
}

# Asked without starting the interpreter, which takes ten times as long.
version_of() {
  local version
  read -r _ version _ < <("$1" --version)
  printf '%s\n' "$version"
}

fetch_python() {
  detail "Fetching Python $wanted"
  if ! timeout 120 uv python install --no-bin "$wanted" 2>&1 | indent; then
    fail "Python $wanted, asked for in $origin, could not be fetched." '' \
      "This stack has Python $(version_of "$STACK_PYTHON") of its own. Any other is downloaded from GitHub" \
      '(python-build-standalone), which did not work: either there is no such version, or this platform' \
      "cannot reach GitHub. Write 3.11 into $origin to build without a download."
  fi
}
