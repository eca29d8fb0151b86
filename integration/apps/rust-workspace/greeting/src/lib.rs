//! What both programs say.

pub const HELLO: &str = "Hello from a workspace\n";
