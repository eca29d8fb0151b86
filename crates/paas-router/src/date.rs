//! The `Date` of responses that come without one (RFC 9110 §6.6.1).

use std::{
    cell::RefCell,
    time::{SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, Utc};
use http::HeaderValue;

thread_local! {
    /// Formatted once a second.
    static LAST: RefCell<(u64, HeaderValue)> = const { RefCell::new((u64::MAX, HeaderValue::from_static(""))) };
}

pub(crate) fn now() -> HeaderValue {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    LAST.with_borrow_mut(|(last, value)| {
        if *last != second {
            let text = DateTime::<Utc>::from(now)
                .format("%a, %d %b %Y %H:%M:%S GMT")
                .to_string();
            if let Ok(formatted) = HeaderValue::try_from(text) {
                (*last, *value) = (second, formatted);
            }
        }
        value.clone()
    })
}
