// Rendered once, while the app is built.
export default function About() {
  return <p>{`Built with ${process.env.GREETING ?? "no greeting"}`}</p>;
}
