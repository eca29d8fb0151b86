# Rails' assets (Dev Center, "Rails Asset Pipeline").
# shellcheck shell=bash

compile_assets() {
  local started=$EPOCHREALTIME
  [[ -f Rakefile ]] && { has_gem rake || has_gem railties; } || return 0
  if compgen -G 'public/assets/manifest-*.json' > /dev/null || compgen -G 'public/assets/.sprockets-manifest-*.json' > /dev/null \
    || [[ -f public/assets/.manifest.json ]]; then
    header 'Assets were compiled before the push: public/assets has a manifest'
    return 0
  fi
  if ! as_the_app bundle exec rake -P > /tmp/rake-tasks 2> /tmp/rake-error; then
    indent < /tmp/rake-error
    if ! has_gem railties; then
      warning 'The Rakefile could not be loaded: no task of it was run.'
      return 0
    fi
    fail 'The Rakefile could not be loaded.' '' \
      'The lines above say why. A config var that the app needs while it is built is set with paas config:set.'
  fi
  grep -qx 'rake assets:precompile' /tmp/rake-tasks || return 0
  header '$ rake assets:precompile'
  # What Sprockets has compiled once is found again.
  restore public/assets tmp/cache/assets
  if ! as_the_app bundle exec rake assets:precompile 2>&1 | indent; then
    fail 'The assets could not be compiled.' '' \
      'The lines above say why. If a setting is missing while building, give it a default or set it with' \
      'paas config:set.'
  fi
  if grep -qx 'rake assets:clean' /tmp/rake-tasks; then as_the_app bundle exec rake assets:clean 2>&1 | indent || true; fi
  store public/assets tmp/cache/assets
  rm -rf tmp/cache/assets
  detail "Done in $(seconds_since "$started")"
}

# Runs a command with the app's config, gems and the settings of a dyno.
as_the_app() {
  (
    export_config
    # shellcheck source=/dev/null
    source /app/.profile.d/ruby.sh
    # Bundler's programs look for it beside themselves, and while an app is built they are a link into the cache.
    export BUNDLE_GEMFILE=/app/Gemfile
    # Loading an app must not need its database (Heroku sets the like).
    if [[ -z ${DATABASE_URL:-} ]]; then
      if has_gem pg; then export DATABASE_URL=postgres://user:pass@127.0.0.1/nobody
      elif has_gem mysql2; then export DATABASE_URL=mysql2://user:pass@127.0.0.1/nobody
      elif has_gem sqlite3; then export DATABASE_URL=sqlite3:/tmp/nobody.sqlite3
      fi
    fi
    "$@"
  )
}

restore() {
  local path
  for path in "$@"; do
    [[ -d $CACHED/assets/$path && ! -e $path ]] || continue
    mkdir -p "$(dirname "$path")"
    cp -a "$CACHED/assets/$path" "$path"
  done
}

store() {
  local path
  rm -rf "$CACHED/assets"
  for path in "$@"; do
    [[ -d $path ]] || continue
    mkdir -p "$(dirname "$CACHED/assets/$path")"
    cp -a "$path" "$CACHED/assets/$path"
  done
  trim_cache "$CACHED/assets"
}
