# Sourced when a dyno starts.
# shellcheck shell=bash
export PATH=/app/.heroku/python/bin:$PATH
export PYTHONUNBUFFERED=true
export PYTHONHASHSEED=random
export LANG=${LANG:-C.UTF-8}

# How many processes fit: one for 256 MB, and not more than two for each CPU and one (Dev Center, "Optimizing Python
# Application Concurrency"). gunicorn reads it.
if [[ -z ${WEB_CONCURRENCY:-} ]]; then
  memory_bytes=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || true)
  if [[ $memory_bytes =~ ^[0-9]+$ ]]; then
    fitting=$((memory_bytes / 268435456))
    useful=$(($(nproc) * 2 + 1))
    if ((fitting > useful)); then fitting=$useful; fi
    if ((fitting < 1)); then fitting=1; fi
    export WEB_CONCURRENCY=$fitting
  fi
  unset memory_bytes fitting useful
fi
