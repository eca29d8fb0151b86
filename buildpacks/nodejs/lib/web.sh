# What an app without a Procfile runs.
# shellcheck shell=bash

# Writes the command to .heroku/node-web, or says what is missing for one.
find_web() {
  local folder
  rm -f .heroku/node-web
  [[ ! -f Procfile ]] || return 0
  # With Plug'n'Play only Yarn finds the packages.
  if has_script start && [[ $1 == berry ]]; then echo 'yarn start'
  elif has_script start || [[ -f server.js ]]; then echo 'npm start'
  elif [[ -f .output/server/index.mjs ]]; then echo 'node .output/server/index.mjs'
  elif [[ -d .next ]] && has_package next; then echo 'next start'
  fi > .heroku/node-web
  [[ ! -s .heroku/node-web ]] || return 0
  for folder in dist build out public .output/public; do
    [[ -f $folder/index.html ]] || continue
    warning "Nothing says how to start this app. What it has built in $folder looks like a site of files. To serve it, write" \
      "{ \"root\": \"$folder\" } into a file static.json, commit it, and add a second buildpack:" \
      'paas buildpacks:set heroku/nodejs && paas buildpacks:add heroku/static'
    return 0
  done
  warning 'Nothing says how to start this app. Add a script start to package.json, or a Procfile with a line such as:' \
    'web: node index.js'
}

has_package() { jq -e --arg name "$1" '.dependencies[$name]? // empty' package.json > /dev/null; }
