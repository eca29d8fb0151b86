# What of an app is compiled, and from which modules.
# shellcheck shell=bash

# One package each line: GO_INSTALL_PACKAGE_SPEC, the comment `// +heroku install`, or else all commands under cmd/ and
# the one at the root. Without any of them all that are somewhere.
packages_to_build() {
  local wanted file=go.mod
  [[ -f go.mod ]] || file=go.work
  wanted=$(config GO_INSTALL_PACKAGE_SPEC)
  [[ -n $wanted ]] || wanted=$(sed -nE 's|^[[:space:]]*// \+heroku install[[:space:]]+(.*)|\1|p' "$file" | head -n 1)
  if [[ -n $wanted ]]; then
    tr -s ' ' '\n' <<< "$wanted" | sed '/^$/d'
    return 0
  fi
  main_packages . ./cmd/... > /tmp/main-packages
  [[ -s /tmp/main-packages ]] || main_packages ./... > /tmp/main-packages
  if [[ ! -s /tmp/main-packages ]]; then
    # Whoever reads this has nothing: say it through go itself below.
    echo ./...
    return 0
  fi
  cat /tmp/main-packages
}

# A `.` that has no Go files is no mistake here: `-e`.
main_packages() {
  go list -e -f '{{if eq .Name "main"}}{{.Dir}}{{end}}' "$@" 2> /dev/null | sed "s|^$BUILD_DIR|.|" | sort -u || true
}

# The names that `go install` gives to the programs.
programs_of() {
  go list -e -f '{{if eq .Name "main"}}{{.Target}}{{end}}' "$@" 2> /dev/null | sed -n 's|.*/||p' | sort -u
}

# Vendored modules are used by Go itself (since 1.14), and nothing is fetched.
fetch_modules() {
  local started=$EPOCHREALTIME
  if [[ -d vendor ]]; then
    detail 'Using the modules in vendor/'
    return 0
  fi
  grep -qE '^[[:space:]]*require' go.mod 2> /dev/null || [[ -f go.work ]] || return 0
  header 'Fetching modules'
  if ! go mod download 2>&1 | indent; then
    fail 'The modules could not be fetched.' '' \
      'The lines above say which, and why. Where the module proxy cannot be reached, vendor the modules:' \
      'go mod vendor && git add -f vendor. For another proxy: paas config:set GOPROXY=…'
  fi
  detail "Done in $(seconds_since "$started")"
}

# Go's own variables for proxies and private modules are config vars; so is what Heroku's users set for git.
private_modules() {
  local name credentials
  for name in GOPROXY GOPRIVATE GONOPROXY GONOSUMDB GONOSUMCHECK GOSUMDB GOEXPERIMENT CGO_ENABLED CGO_CFLAGS CGO_LDFLAGS; do
    if [[ -f $ENV_DIR/$name ]]; then export "$name=$(config "$name")"; fi
  done
  credentials=$(config GO_GIT_CRED__HTTPS__GITHUB__COM)
  if [[ -n $credentials ]]; then
    (umask 077 && mkdir -p /tmp/xdg/config/git && printf '[url "https://%s@github.com/"]\n\tinsteadOf = https://github.com/\n' \
      "$credentials" > /tmp/xdg/config/git/config)
  fi
}

# `-s -w` as Heroku does, and a value that names the version of the app (config vars GO_LINKER_SYMBOL and _VALUE).
linker_flags() {
  local symbol value
  symbol=$(config GO_LINKER_SYMBOL)
  value=$(config GO_LINKER_VALUE)
  printf -- '-s -w'
  if [[ -n $symbol ]]; then printf -- ' -X %s=%s' "$symbol" "${value:-${SOURCE_VERSION:-}}"; fi
}
