const fs = require("fs");

const count = fs.existsSync("built/count") ? Number(fs.readFileSync("built/count", "utf8")) + 1 : 1;
fs.mkdirSync("built", { recursive: true });
fs.writeFileSync("built/count", String(count));
console.log(`build number ${count}`);
