# What an app without a Procfile runs: frameworks are known by how they are imported and made.
# shellcheck shell=bash

# Writes the command to .heroku/python-web, or says what is missing for one.
find_web() {
  local command=''
  rm -f .heroku/python-web
  [[ ! -f Procfile ]] || { hint_release; return 0; }
  command=$(django_command || asgi_command || wsgi_command || true)
  case $command in
    '') return 0 ;;
    lacks\ *)
      warning "There is no Procfile, and ${command#lacks } is not among the dependencies: it would serve this app." \
        "Add ${command#lacks }, or a Procfile that says what to run, such as: web: gunicorn app:app"
      ;;
    *)
      printf '%s' "$command" > .heroku/python-web
      warning 'There is no Procfile: the app is served by the line below. Say what to run in one of your own.' "web: $command"
      ;;
  esac
}

# Heroku's article about Django asks for it, and whoever forgets it has no tables.
hint_release() {
  if [[ -f manage.py ]] && ! grep -qE '^release[[:space:]]*:' Procfile && compgen -G '*/migrations/*.py' > /dev/null; then
    warning 'The app has migrations that no release runs. Add this line to the Procfile:' 'release: python manage.py migrate'
  fi
}

has_program() { [[ -x $VENV/bin/$1 ]]; }

django_command() {
  local file
  [[ -f manage.py ]] || return 1
  file=$(find . -maxdepth 2 -name wsgi.py -not -path './.*' | sort | head -n 1)
  [[ -n $file ]] || return 1
  has_program gunicorn || { echo 'lacks gunicorn'; return 0; }
  echo "gunicorn $(module_of "$file")"
}

asgi_command() {
  local found
  found=$(application 'FastAPI|Starlette|Litestar|Quart') || return 1
  has_program uvicorn || { echo 'lacks uvicorn'; return 0; }
  # The router is the only one who can reach a dyno, and says whom it asks for.
  # shellcheck disable=SC2016  # a dyno's shell reads it
  echo "uvicorn $found --host 0.0.0.0 --port \${PORT:-5000} --proxy-headers --forwarded-allow-ips '*'"
}

wsgi_command() {
  local found
  found=$(application 'Flask|Bottle|falcon\.App') || return 1
  has_program gunicorn || { echo 'lacks gunicorn'; return 0; }
  echo "gunicorn $found"
}

# usage: application CLASSES      prints `module:name` of the first application of such a class
application() {
  local file name
  for file in app.py main.py wsgi.py asgi.py application.py server.py api.py app/main.py app/__init__.py src/main.py src/app.py; do
    [[ -f $file ]] || continue
    name=$(sed -nE "s/^([A-Za-z_][A-Za-z0-9_]*)[[:space:]]*(:[^=]+)?=[[:space:]]*([a-z_]+\.)?($1)\(.*/\1/p" "$file" | head -n 1)
    if [[ -n $name ]]; then
      echo "$(module_of "$file"):$name"
      return 0
    fi
  done
  return 1
}

# `./shop/wsgi.py` is the module shop.wsgi, and `app/__init__.py` is app.
module_of() {
  local module=${1#./}
  module=${module%.py}
  module=${module%/__init__}
  echo "${module//\//.}"
}
