# Installing dependencies, whatever file describes them.
# shellcheck shell=bash

# The order is Heroku's: the more exact file wins.
package_manager() {
  if [[ -f uv.lock ]]; then echo uv
  elif [[ -f poetry.lock ]]; then echo poetry
  elif [[ -f Pipfile.lock || -f Pipfile ]]; then echo pipenv
  elif [[ -f requirements.txt ]]; then echo pip
  elif [[ -f pyproject.toml ]]; then echo project
  else echo none
  fi
}

# Of two lock files one is nobody's any more, and the app may be given the wrong packages (Heroku refuses it, too).
refuse_two_lock_files() {
  local name found=()
  for name in uv.lock poetry.lock Pipfile.lock; do
    if [[ -f $name ]]; then found+=("$name"); fi
  done
  if ((${#found[@]} > 1)); then
    fail "There are several lock files: ${found[*]}." '' \
      'Each belongs to another tool, and they may name other versions. Keep the one that you use, and remove the others:' \
      "git rm ${found[-1]}"
  fi
}

# A hash of all that decides what is installed. Prints nothing and fails when the app's own code is part of it.
inputs_of() {
  local files=()
  case $1 in
    pip)
      if grep -qE '^[[:space:]]*(-e|--editable|\.|/|file:)|@[[:space:]]*file:' requirements.txt; then return 1; fi
      # One may include others (-r, -c).
      mapfile -t files < <(find . -path ./.heroku -prune -o \( -name '*.txt' -o -name '*.in' \) -path '*requirement*' -print | sort)
      if grep -qE '^[[:space:]]*(-r|-c|--requirement|--constraint)' requirements.txt; then
        mapfile -t files < <(find . -path ./.heroku -prune -o -name '*.txt' -print | sort)
      fi
      ;;
    pipenv) files=(Pipfile Pipfile.lock) ;;
    poetry) files=(pyproject.toml poetry.lock) ;;
    uv | project)
      if grep -q '^\[build-system\]' pyproject.toml || grep -qE '(path|workspace)[[:space:]]*=' pyproject.toml; then return 1; fi
      files=(pyproject.toml uv.lock)
      ;;
  esac
  "$PYTHON" -VV | hash_of /etc/debian_version "$BUILDPACK/lib/install.sh" "${files[@]}"
}

install() {
  local started=$EPOCHREALTIME
  header "Installing dependencies ($1)"
  # Versions that an earlier build has fetched are in uv's cache.
  uv venv --quiet --allow-existing --no-project --python "$PYTHON" "$VENV"
  if ! "install_with_$1" 2>&1 | indent; then
    fail 'The dependencies could not be installed.' '' \
      'The lines above say which, and why. Try the same on your own machine with' \
      "Python $(version_of "$PYTHON"), correct it, commit, and push again."
  fi
  detail "Done in $(seconds_since "$started")"
}

install_with_none() { echo 'No requirements.txt, pyproject.toml, Pipfile or lock file: nothing to install'; }
install_with_pip() { uv pip install --python "$VENV" -r requirements.txt; }
install_with_project() {
  uv pip install --python "$VENV" -r pyproject.toml
  if grep -q '^\[build-system\]' pyproject.toml; then uv pip install --python "$VENV" --no-deps -e .; fi
}

install_with_uv() {
  UV_PROJECT_ENVIRONMENT=$VENV uv sync --python "$VENV/bin/python" --locked --no-default-groups
}

# pipenv would have to be installed first and takes minutes; its lock file says all that is needed.
install_with_pipenv() {
  "$STACK_PYTHON" "$BUILDPACK/lib/pipfile.py" > /tmp/requirements.txt
  uv pip install --python "$VENV" -r /tmp/requirements.txt
}

install_with_poetry() {
  "$STACK_PYTHON" "$BUILDPACK/lib/poetry.py" "$(version_of "$PYTHON")" > /tmp/requirements.txt
  uv pip install --python "$VENV" -r /tmp/requirements.txt
}
