module.exports = "Hello from a workspace";
