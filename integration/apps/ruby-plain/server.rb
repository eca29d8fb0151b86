require "socket"

server = TCPServer.new("0.0.0.0", Integer(ENV.fetch("PORT", "5000")))
Signal.trap("TERM") { exit }
loop do
  connection = server.accept
  while (line = connection.gets) && line != "\r\n"; end
  body = "Hello from Ruby #{RUBY_VERSION} as #{ENV.fetch("RACK_ENV")}\n"
  connection.write "HTTP/1.1 200 OK\r\nContent-Length: #{body.bytesize}\r\nConnection: close\r\n\r\n#{body}"
  connection.close
end
