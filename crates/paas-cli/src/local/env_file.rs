//! `.env`: variables for processes on a laptop, in the form that Heroku Local reads.
//!
//! Lines of `NAME=value`; a value may stand in double or single quotes, and without them ends at a `#`. Or an object in JSON,
//! whose nested names are joined by `_` and in capitals.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde_json::Value;

use crate::error::{Error, Result};

pub(super) type Variables = BTreeMap<String, String>;

/// How a file was read, for whoever wonders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    KeyValue,
}

/// Reads one file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<(Variables, Format)>> {
    let shown = path.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => return Ok(None),
        Err(source) => return Err(Error::File { path: shown, source }),
    };
    if let Ok(Value::Object(object)) = serde_json::from_str(&text) {
        let mut variables = Variables::new();
        flatten(&Value::Object(object), "", &mut variables);
        return Ok(Some((variables, Format::Json)));
    }
    let variables = parse(&text).map_err(|(line, why)| Error::Usage(format!("{shown}, line {line}: {why}")))?;
    Ok(Some((variables, Format::KeyValue)))
}

fn parse(text: &str) -> Result<Variables, (usize, &'static str)> {
    let mut variables = Variables::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let name = name.trim();
        if name.is_empty() || name.contains('\0') || value.contains('\0') {
            return Err((index + 1, "there is no name before the ="));
        }
        let value = parse_value(value.trim()).ok_or((index + 1, "the quote is not closed"))?;
        variables.insert(name.to_owned(), value.to_owned());
    }
    Ok(variables)
}

fn parse_value(value: &str) -> Option<&str> {
    match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].split_once(quote).map(|(inside, _)| inside),
        _ => value.split('#').next().map(str::trim_end),
    }
}

fn flatten(value: &Value, name: &str, variables: &mut Variables) {
    let mut below = |key: &str, value: &Value| {
        let name = if name.is_empty() {
            key.to_owned()
        } else {
            format!("{name}_{key}")
        };
        flatten(value, &name, variables);
    };
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| below(key, value)),
        Value::Array(items) => (0..)
            .zip(items)
            .for_each(|(index, value): (usize, _)| below(&index.to_string(), value)),
        Value::String(text) => drop(variables.insert(name.to_uppercase(), text.clone())),
        other => drop(variables.insert(name.to_uppercase(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().collect()
    }

    #[test]
    fn values_end_where_heroku_local_ends_them() {
        let text =
            "\n# a comment\n A = one two  # why\nB='# is kept' # not this\nC=\"say 'hi'\" tail\nD=x=y\r\nE=\nF\n";
        let expected = [
            ("A", "one two"),
            ("B", "# is kept"),
            ("C", "say 'hi'"),
            ("D", "x=y"),
            ("E", ""),
            ("F", ""),
        ];
        assert_eq!(
            variables(text),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        assert_eq!(parse("A=1\nB=\"open\n"), Err((2, "the quote is not closed")));
        assert_eq!(parse("=1"), Err((1, "there is no name before the =")));
    }

    #[test]
    fn json_is_flattened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        fs::write(
            &path,
            r#"{ "top": { "middle": { "low": 1 } }, "list": ["a", true], "plain": "x" }"#,
        )
        .unwrap();
        let (variables, format) = read(&path).unwrap().unwrap();
        assert_eq!(format, Format::Json);
        let shown: Vec<_> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(shown, ["LIST_0=a", "LIST_1=true", "PLAIN=x", "TOP_MIDDLE_LOW=1"]);
        assert!(read(&folder.path().join("none")).unwrap().is_none());
        assert!(
            read(folder.path()).unwrap().is_none(),
            "a folder is no file, and no trouble"
        );
    }
}
