require "sinatra/base"

class Hello < Sinatra::Base
  get("/") { erb :hello }
end
