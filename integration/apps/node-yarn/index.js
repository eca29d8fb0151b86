const Koa = require("koa");
const serve = require("koa-static");

const app = new Koa();
app.use(serve("public"));
app.use((context) => {
  context.body = `Hello from Koa on ${process.env.DYNO || "a laptop"}\n`;
});

const server = app.listen(process.env.PORT || 5000);
process.on("SIGTERM", () => server.close());
