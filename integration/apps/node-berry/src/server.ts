import http from "node:http";
import ms from "ms";

const port: number = Number(process.env.PORT ?? 5000);
const server = http.createServer((request, response) => {
  response.end(`Hello from Plug'n'Play, up for ${ms(process.uptime() * 1000)}\n`);
});

server.listen(port);
process.on("SIGTERM", () => server.close());
