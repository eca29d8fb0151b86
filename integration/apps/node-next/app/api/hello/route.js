export function GET() {
  return Response.json({ hello: process.env.DYNO ?? "a laptop" });
}
