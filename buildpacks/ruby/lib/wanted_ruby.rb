# Prints the versions of Ruby that the Gemfile allows, or nothing.
require "bundler"

dsl = Bundler::Dsl.new
dsl.eval_gemfile(ENV.fetch("BUNDLE_GEMFILE"))
definition = dsl.to_definition(nil, {})
print definition.ruby_version.versions.join(",") if definition.ruby_version
