//! The Procfile as a laptop needs it: process types and their commands, in order.

use std::{fs, path::Path};

use crate::error::{Error, Result};

/// A process type and its command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessType {
    pub(super) name: String,
    pub(super) command: String,
}

pub(super) fn read(path: &Path) -> Result<Vec<ProcessType>> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|source| Error::File {
        path: shown.clone(),
        source,
    })?;
    parse(&text).map_err(|line| {
        Error::Usage(format!(
            "{shown}, line {line}: a line is `name: command`, and a name has letters, digits, - and _"
        ))
    })
}

fn parse(text: &str) -> Result<Vec<ProcessType>, usize> {
    let mut types: Vec<ProcessType> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, command) = line.split_once(':').ok_or(index + 1)?;
        let (name, command) = (name.trim_end().to_owned(), command.trim().to_owned());
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if name.is_empty() || !name.bytes().all(is_name) || command.is_empty() {
            return Err(index + 1);
        }
        // The last line of a name counts.
        types.retain(|known| known.name != name);
        types.push(ProcessType { name, command });
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_keep_their_order_and_commands_their_colons() {
        let types = parse("# what runs\nweb: python -m http.server\n\nwork_er-2 : a:b\r\n").unwrap();
        let shown: Vec<_> = types
            .iter()
            .map(|kind| format!("{}={}", kind.name, kind.command))
            .collect();
        assert_eq!(shown, ["web=python -m http.server", "work_er-2=a:b"]);
    }

    #[test]
    fn a_line_that_is_none_is_told() {
        assert_eq!(parse("web: x\nnonsense"), Err(2));
        assert_eq!(parse("web:"), Err(1));
        assert_eq!(parse("a b: c"), Err(1));
    }
}
