//! `Range`, `Next-Range` and `Content-Range`: how lists come in pages (Platform API Reference, *Ranges*).

use std::fmt;

/// One page of a list, as a `Range` header asks for it: `<field> <start>..<end>; max=N, order=desc`.
///
/// Parsing never fails: what it does not understand it leaves at its default, because clients send all sorts of
/// forms (`id ..; ;`, `version ..; order=desc,max=1`, an empty text) and each of them means "the usual page".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRange {
    /// What to sort by; the resource decides which fields it knows.
    pub field: Option<String>,
    /// The first value wanted; `None` is the beginning.
    pub start: Option<String>,
    /// `]x..`: begin after `start`, not with it.
    pub is_after_start: bool,
    /// The last value wanted; `None` is the end.
    pub end: Option<String>,
    pub max: u32,
    pub order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

impl PageRange {
    pub const DEFAULT_MAX: u32 = 200;
    pub const LARGEST_MAX: u32 = 1000;

    /// Reads a header, however odd.
    pub fn parse(header: &str) -> Self {
        let mut range = Self::default();
        let (bounds, options) = header.split_once(';').unwrap_or((header, ""));
        let mut words = bounds.split_whitespace();
        if let Some(field) = words.next().filter(|field| !field.contains("..")) {
            range.field = Some(field.to_ascii_lowercase());
        }
        let bounds = bounds.split_whitespace().find(|word| word.contains(".."));
        if let Some((start, end)) = bounds.and_then(|bounds| bounds.split_once("..")) {
            let value = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            range.is_after_start = start.starts_with(']');
            range.start = value(start.trim_start_matches([']', '[']));
            range.end = value(end.trim_end_matches([']', '[']));
        }
        for option in options.split([',', ';']) {
            match option.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                Some(("max", max)) => {
                    if let Ok(max) = max.parse::<u32>() {
                        range.max = max.clamp(1, Self::LARGEST_MAX);
                    }
                }
                Some(("order", "desc")) => range.order = Order::Descending,
                _ => {}
            }
        }
        range
    }

    /// The newest `max` of a list.
    pub fn newest(field: &str, max: u32) -> Self {
        Self {
            field: Some(field.to_owned()),
            max,
            order: Order::Descending,
            ..Self::default()
        }
    }

    /// The page after the one that ended with `last`.
    #[must_use]
    pub fn after(&self, last: impl Into<String>) -> Self {
        Self {
            start: Some(last.into()),
            is_after_start: true,
            ..self.clone()
        }
    }
}

impl Default for PageRange {
    fn default() -> Self {
        Self {
            field: None,
            start: None,
            is_after_start: false,
            end: None,
            max: Self::DEFAULT_MAX,
            order: Order::Ascending,
        }
    }
}

impl fmt::Display for PageRange {
    /// What the header says: `version ]5..; max=2, order=desc`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.is_after_start { "]" } else { "" };
        write!(
            f,
            "{} {open}{}..{}; max={}",
            self.field.as_deref().unwrap_or("id"),
            self.start.as_deref().unwrap_or_default(),
            self.end.as_deref().unwrap_or_default(),
            self.max,
        )?;
        match self.order {
            Order::Ascending => Ok(()),
            Order::Descending => f.write_str(", order=desc"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Order::{Ascending, Descending};

    #[test]
    fn every_form_that_clients_send_is_understood() {
        let page = |field: Option<&str>, max, order| PageRange {
            field: field.map(str::to_owned),
            max,
            order,
            ..PageRange::default()
        };
        for (header, expected) in [
            ("", page(None, 200, Ascending)),
            ("id ..; max=1000;", page(Some("id"), 1000, Ascending)),
            ("version ..; order=desc,max=1", page(Some("version"), 1, Descending)),
            ("version ..; max=15, order=desc", page(Some("version"), 15, Descending)),
            ("name ..; max=1000", page(Some("name"), 1000, Ascending)),
            ("id ..; ;", page(Some("id"), 200, Ascending)),
            ("seq ..; order=desc,max=1000", page(Some("seq"), 1000, Descending)),
            ("version ..; max=0", page(Some("version"), 1, Ascending)),
            ("version ..; max=5000", page(Some("version"), 1000, Ascending)),
            ("bytes=0-100", page(Some("bytes=0-100"), 200, Ascending)),
        ] {
            assert_eq!(PageRange::parse(header), expected, "{header:?}");
        }
    }

    #[test]
    fn bounds_are_inclusive_unless_opened() {
        let range = PageRange::parse("version ]5..9; max=2");
        assert_eq!(range.start.as_deref(), Some("5"));
        assert_eq!(range.end.as_deref(), Some("9"));
        assert!(range.is_after_start);
        assert!(!PageRange::parse("version 5..9").is_after_start);
    }

    #[test]
    fn the_next_range_is_read_back_as_it_was_written() {
        let next = PageRange::newest("version", 2).after("5");
        assert_eq!(next.to_string(), "version ]5..; max=2, order=desc");
        assert_eq!(PageRange::parse(&next.to_string()), next);
    }
}
