//! Lists in pages: `Range` in, `Content-Range` and `Next-Range` out.

use axum::{
    Json,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use paas_api::{ErrorId, Order, PageRange};
use serde::Serialize;

use super::error::ApiError;

const NEXT_RANGE: HeaderName = HeaderName::from_static("next-range");

/// A field that a list can be sorted by.
pub(super) struct Field<T> {
    pub(super) name: &'static str,
    pub(super) key: fn(&T) -> Key,
}

/// What a list is sorted by: texts as texts, numbers as numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Number(u32),
    Text(String),
}

/// The page that this request wants.
pub(super) struct Wanted(pub(super) PageRange);

/// One page of a list, with what a client needs to get the next.
pub(super) struct Page<T> {
    items: Vec<T>,
    content_range: Option<String>,
    next: Option<PageRange>,
    accepts: String,
}

impl<S: Sync> FromRequestParts<S> for Wanted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self(wanted(&parts.headers)))
    }
}

fn wanted(headers: &HeaderMap) -> PageRange {
    let header = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    PageRange::parse(header.unwrap_or_default())
}

/// Cuts one page out of a whole list. `fields` are what it can be sorted by, the usual one first; a range over an
/// unknown field is a range over the usual one.
pub(super) fn page<T>(range: &PageRange, mut items: Vec<T>, fields: &[Field<T>]) -> Result<Page<T>, ApiError> {
    let asked = fields.iter().find(|field| range.field.as_deref() == Some(field.name));
    let Some(field) = asked.or(fields.first()) else {
        return Ok(Page::whole(items));
    };
    let key = field.key;
    // Keys are texts that are made for it: once for each item, not once for each comparison.
    items.sort_by_cached_key(key);
    if range.order == Order::Descending {
        items.reverse();
    }
    if asked.is_some()
        && let Some(sample) = items.first().map(key)
    {
        let start = bound(range.start.as_deref(), &sample)?;
        let end = bound(range.end.as_deref(), &sample)?;
        items.retain(|item| {
            let key = key(item);
            let (after, before) = match range.order {
                Order::Ascending => (std::cmp::Ordering::Greater, std::cmp::Ordering::Less),
                Order::Descending => (std::cmp::Ordering::Less, std::cmp::Ordering::Greater),
            };
            let from_start = start.as_ref().is_none_or(|start| {
                let ordering = key.cmp(start);
                ordering == after || (ordering.is_eq() && !range.is_after_start)
            });
            let to_end = end.as_ref().is_none_or(|end| {
                let ordering = key.cmp(end);
                ordering == before || ordering.is_eq()
            });
            from_start && to_end
        });
    }
    let accepts = fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ");
    Ok(Page::cut(range, items, field, &accepts))
}

impl<T> Page<T> {
    /// A list that is short by nature.
    pub(super) const fn whole(items: Vec<T>) -> Self {
        Self {
            items,
            content_range: None,
            next: None,
            accepts: String::new(),
        }
    }

    /// A page that the store has already sorted and cut, to one item more than `range.max` where there are more.
    pub(super) fn cut(range: &PageRange, mut items: Vec<T>, field: &Field<T>, accepts: &str) -> Self {
        let max = usize::try_from(range.max).unwrap_or(usize::MAX);
        let is_truncated = items.len() > max;
        items.truncate(max);
        let ends = items.first().map(field.key).zip(items.last().map(field.key));
        let named = PageRange {
            field: Some(field.name.to_owned()),
            ..range.clone()
        };
        Self {
            content_range: ends
                .as_ref()
                .map(|(first, last)| format!("{} {first}..{last}", field.name)),
            next: ends
                .filter(|_| is_truncated)
                .map(|(_, last)| named.after(last.to_string())),
            accepts: accepts.to_owned(),
            items,
        }
    }

    pub(super) fn items(&self) -> &[T] {
        &self.items
    }

    /// The same page of something else.
    pub(super) fn map<U>(self, mut into: impl FnMut(T) -> U) -> Page<U> {
        self.filter_map(|item| Some(into(item)))
    }

    /// The same page of something else, without what is gone meanwhile.
    pub(super) fn filter_map<U>(self, into: impl FnMut(T) -> Option<U>) -> Page<U> {
        Page {
            items: self.items.into_iter().filter_map(into).collect(),
            content_range: self.content_range,
            next: self.next,
            accepts: self.accepts,
        }
    }
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let status = if self.next.is_some() {
            StatusCode::PARTIAL_CONTENT
        } else {
            StatusCode::OK
        };
        let mut response = (status, Json(self.items)).into_response();
        let mut set = |name: HeaderName, value: String| {
            // A hostname or name that is no header value leaves the header out; the list itself is whole.
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        };
        if let Some(content_range) = self.content_range {
            set(header::CONTENT_RANGE, content_range);
        }
        if let Some(next) = self.next {
            set(NEXT_RANGE, next.to_string());
        }
        if !self.accepts.is_empty() {
            set(header::ACCEPT_RANGES, self.accepts);
        }
        response
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

fn bound(text: Option<&str>, sample: &Key) -> Result<Option<Key>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    Ok(Some(match sample {
        Key::Text(_) => Key::Text(text.to_owned()),
        Key::Number(_) => {
            // Heroku's releases are v5 to people and 5 here.
            let number = text.trim_start_matches('v').parse().map_err(|_| {
                ApiError::new(
                    ErrorId::RangeNotSatisfiable,
                    "The Range header must name numbers, such as `version 1..5; max=10`.",
                )
            })?;
            Key::Number(number)
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [Field<u32>; 2] = [
        Field {
            name: "id",
            key: |number| Key::Text(format!("{number:04}")),
        },
        Field {
            name: "version",
            key: |number| Key::Number(*number),
        },
    ];

    fn walk(first: &str, list: &[u32]) -> Vec<Vec<u32>> {
        let mut pages = Vec::new();
        let mut header = Some(first.to_owned());
        while let Some(text) = header {
            let page = page(&PageRange::parse(&text), list.to_vec(), &FIELDS).ok().unwrap();
            header = page.next.map(|next| next.to_string());
            pages.push(page.items);
        }
        pages
    }

    #[test]
    fn following_next_range_sees_every_item_once_in_order() {
        let list = [3, 1, 10, 2, 9];
        assert_eq!(
            walk("version ..; max=2, order=desc", &list),
            [vec![10, 9], vec![3, 2], vec![1]]
        );
        assert_eq!(walk("version ..; max=2", &list), [vec![1, 2], vec![3, 9], vec![10]]);
        assert_eq!(walk("", &list), [vec![1, 2, 3, 9, 10]]);
        assert_eq!(walk("nonsense ..; max=3", &list), [vec![1, 2, 3], vec![9, 10]]);
    }

    #[test]
    fn bounds_hold_in_both_directions() {
        let list = [1, 2, 3, 4, 5];
        assert_eq!(walk("version 2..4", &list), [vec![2, 3, 4]]);
        assert_eq!(walk("version ]2..4", &list), [vec![3, 4]]);
        assert_eq!(walk("version 4..2; order=desc", &list), [vec![4, 3, 2]]);
        assert_eq!(walk("version 9..", &list), [Vec::<u32>::new()]);
    }

    #[test]
    fn a_bound_that_is_no_number_is_refused_in_words() {
        let range = PageRange::parse("version x..; max=2");
        let error = page(&range, vec![1, 2], &FIELDS).err().unwrap();
        assert_eq!(error.id(), ErrorId::RangeNotSatisfiable);
    }
}
