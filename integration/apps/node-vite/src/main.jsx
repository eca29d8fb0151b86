import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import Notes from "./Notes.jsx";
import "./notes.css";

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <Notes />
  </StrictMode>,
);
