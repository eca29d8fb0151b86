# Which Ruby an app runs on.
# shellcheck shell=bash

STACK_RUBY=/usr/bin/ruby
RUBY_DIR=/app/.heroku/ruby

# Puts the Ruby that the Gemfile asks for into PATH, and sets `ruby_version`.
choose_ruby() {
  local wanted stack_version
  stack_version=$("$STACK_RUBY" -e 'print RUBY_VERSION')
  # Bundler knows: it may be written in many ways, and in a file of its own.
  wanted=$(BUNDLE_GEMFILE=$BUILD_DIR/Gemfile "$STACK_RUBY" "$BUILDPACK/lib/wanted_ruby.rb" 2> /tmp/gemfile-error) || fail \
    'The Gemfile cannot be read.' '' "$(tail -n 5 /tmp/gemfile-error)" 'Correct it, commit, and push again.'
  ruby_version=$stack_version
  if [[ -z $wanted ]]; then
    header "Using Ruby $ruby_version"
    detail 'To choose another one, add a line such as this to the Gemfile: ruby "~> 3.1"'
  elif "$STACK_RUBY" -e 'exit Gem::Requirement.new(ARGV[0].split(",")).satisfied_by?(Gem::Version.new(RUBY_VERSION))' -- "$wanted"; then
    header "Using Ruby $ruby_version for $wanted in the Gemfile"
  else
    fetch_ruby "$wanted"
    header "Using Ruby $ruby_version for $wanted in the Gemfile"
  fi
}

# Other versions come from rv's builds, which run from any folder.
fetch_ruby() {
  local wanted=$1 arch url
  [[ $wanted =~ ([0-9]+\.[0-9]+\.[0-9]+) ]] || no_ruby "$wanted" 'Name one version in full, such as: ruby "3.4.7"'
  ruby_version=${BASH_REMATCH[1]}
  if [[ ! -x $CACHED/ruby-$ruby_version/bin/ruby ]]; then
    case $(uname -m) in x86_64) arch=x86_64_linux ;; *) arch=arm64_linux ;; esac
    url=https://github.com/spinel-coop/rv-ruby/releases/latest/download/ruby-$ruby_version.$arch.tar.gz
    detail "Fetching Ruby $ruby_version"
    rm -rf "$CACHED"/ruby-* /tmp/ruby
    mkdir -p /tmp/ruby
    if ! curl -fsSL --retry 2 --connect-timeout 10 --max-time 180 "$url" 2> /tmp/fetch-error \
      | tar -xz --strip-components=2 -C /tmp/ruby 2> /dev/null; then
      indent < /tmp/fetch-error
      no_ruby "$wanted" 'Other versions are downloaded from GitHub (spinel-coop/rv-ruby), which did not work: either it' \
        'has no such version, or this platform cannot reach GitHub.'
    fi
    mv /tmp/ruby "$CACHED/ruby-$ruby_version"
  fi
  ln -s "$CACHED/ruby-$ruby_version" "$RUBY_DIR"
  export PATH=$RUBY_DIR/bin:$PATH
}

no_ruby() {
  local wanted=$1
  shift
  fail "Ruby $wanted, asked for in the Gemfile, is not here." '' \
    "This stack has Ruby $("$STACK_RUBY" -e 'print RUBY_VERSION') of its own." "$@" \
    'To build with the Ruby of the stack, write this into the Gemfile, and commit Gemfile and Gemfile.lock: ruby "~> 3.1"'
}
