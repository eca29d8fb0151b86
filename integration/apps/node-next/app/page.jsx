import { headers } from "next/headers";

// Rendered for each request, as it asks for a header.
export default async function Page() {
  const host = (await headers()).get("host");
  return <h1>{`Hello from Next at ${host}`}</h1>;
}
