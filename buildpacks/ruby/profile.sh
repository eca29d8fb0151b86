# Sourced when a dyno starts.
# shellcheck shell=bash
export PATH=/app/bin:/app/vendor/bundle/bin:$PATH
export BUNDLE_PATH=/app/vendor/bundle BUNDLE_WITHOUT=${BUNDLE_WITHOUT:-development:test} BUNDLE_DEPLOYMENT=1
export LANG=${LANG:-C.UTF-8}
export RACK_ENV=${RACK_ENV:-production}
# glibc's arenas make a threaded Ruby twice as large (Dev Center, "Tuning glibc Memory Behavior").
export MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-2}
if [[ -f /app/.heroku/secret_key_base ]]; then
  export RAILS_ENV=${RAILS_ENV:-$RACK_ENV} DISABLE_SPRING=1
  export RAILS_SERVE_STATIC_FILES=${RAILS_SERVE_STATIC_FILES-enabled} RAILS_LOG_TO_STDOUT=${RAILS_LOG_TO_STDOUT-enabled}
  export SECRET_KEY_BASE=${SECRET_KEY_BASE:-$(< /app/.heroku/secret_key_base)}
fi
