const http = require("node:http");
const ms = require("ms");

const server = http.createServer((request, response) => {
  console.log(`${request.method} ${request.url}`);
  response.setHeader("Content-Type", "text/plain; charset=utf-8");
  response.end(`Hello from ${process.env.DYNO || "a laptop"}, up for ${ms(process.uptime() * 1000)}\n`);
});

server.listen(process.env.PORT || 5000, "0.0.0.0");
process.on("SIGTERM", () => server.close(() => process.exit(0)));
