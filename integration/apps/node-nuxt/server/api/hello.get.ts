export default defineEventHandler(() => ({ dyno: process.env.DYNO ?? "a laptop" }));
