import { useEffect, useState } from "react";

export default function Notes() {
  const [notes, setNotes] = useState([]);
  const [text, setText] = useState("");

  useEffect(() => {
    fetch("/api/notes").then((answer) => answer.json()).then(setNotes);
  }, []);

  async function add(event) {
    event.preventDefault();
    const answer = await fetch("/api/notes", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ text }),
    });
    setNotes(await answer.json());
    setText("");
  }

  return (
    <main>
      <h1>Notes of a Vite app</h1>
      <ul>{notes.map((note) => <li key={note.id}>{note.text}</li>)}</ul>
      <form onSubmit={add}>
        <input value={text} onChange={(event) => setText(event.target.value)} />
        <button>Add</button>
      </form>
    </main>
  );
}
