# Sourced when a dyno starts.
# shellcheck shell=bash
export PATH=/app/.heroku/node/bin:/app/node_modules/.bin:$PATH
export NODE_ENV=${NODE_ENV:-production}
export npm_config_update_notifier=false

# Dev Center, "Optimizing Node.js Application Concurrency": how many processes of WEB_MEMORY megabytes fit.
if [[ -z ${MEMORY_AVAILABLE:-} ]]; then
  memory_bytes=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || true)
  if [[ $memory_bytes =~ ^[0-9]+$ ]]; then export MEMORY_AVAILABLE=$((memory_bytes / 1048576)); fi
  unset memory_bytes
fi
export WEB_MEMORY=${WEB_MEMORY:-512}
if [[ -z ${WEB_CONCURRENCY:-} && -n ${MEMORY_AVAILABLE:-} ]]; then
  WEB_CONCURRENCY=$((MEMORY_AVAILABLE / WEB_MEMORY))
  if ((WEB_CONCURRENCY < 1)); then WEB_CONCURRENCY=1; fi
  # A machine without a limit is no reason for a thousand processes.
  if ((WEB_CONCURRENCY > 32)); then WEB_CONCURRENCY=32; fi
  export WEB_CONCURRENCY
fi
