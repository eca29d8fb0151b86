//! The app of the stories that are not about a language: Python's own server, and nothing to install.

/// Its files, by path.
pub(crate) const FILES: [(&str, &str); 3] = [
    ("Procfile", "web: python3 server.py\n"),
    ("requirements.txt", ""),
    ("server.py", include_str!("tiny/server.py")),
];

/// The line of `server.py` that says which version this is.
pub(crate) const TEXT_LINE: &str = "TEXT = \"one\"";

/// `server.py` with another text.
pub(crate) fn server(text: &str) -> String {
    let server = FILES[2].1.replace(TEXT_LINE, &format!("TEXT = {text:?}"));
    assert!(server.contains(text), "server.py has no line {TEXT_LINE}");
    server
}
