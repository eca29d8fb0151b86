import express from "express";

const notes = [{ id: 1, text: "Hello from Express" }];

const app = express();
app.use(express.json());
app.get("/api/notes", (request, response) => response.json(notes));
app.post("/api/notes", (request, response) => {
  notes.push({ id: notes.length + 1, text: String(request.body.text) });
  response.status(201).json(notes);
});
app.use(express.static("dist", { maxAge: "1h" }));
// Any other path is the app's own, in the browser.
app.get("/{*path}", (request, response) => response.sendFile("index.html", { root: "dist" }));

const server = app.listen(process.env.PORT || 5000);
process.on("SIGTERM", () => server.close());
