class HelloController < ActionController::Base
  def show
    session[:visits] = session[:visits].to_i + 1
  end
end
