require_relative "boot"
require "logger"
require "rails"
require "action_controller/railtie"
require "sprockets/railtie"
Bundler.require(*Rails.groups)

module Hello
  class Application < Rails::Application
    config.load_defaults 6.1
    config.eager_load = true
    config.hosts.clear
    config.assets.compile = false
    config.public_file_server.enabled = ENV["RAILS_SERVE_STATIC_FILES"].present?
    if ENV["RAILS_LOG_TO_STDOUT"].present?
      config.logger = ActiveSupport::TaggedLogging.new(ActiveSupport::Logger.new($stdout))
    end
  end
end
