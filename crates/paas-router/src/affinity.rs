//! Session affinity: a client stays with the dyno that answered it first (Dev Center, *Session Affinity*).
//!
//! The cookie names a dyno by a number that means nothing outside of the table. Nothing depends on it being true: a client
//! that makes one up chooses among the dynos of the app, which it could as well by asking until it is lucky.

use std::fmt::Write;

use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};
use uuid::Uuid;

const NAME: &str = "heroku-session-affinity";
/// One day, as on Heroku.
const MAX_AGE_SECONDS: u32 = 86_400;

/// A dyno, as the cookie names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u64);

/// What a client of an app with session affinity brought along.
pub(crate) struct Affinity {
    /// The dyno that its cookie names, though it may be gone.
    pub(crate) wanted: Option<Mark>,
    is_secure: bool,
}

impl Mark {
    /// The random half of the dyno's id: when it was made is nobody's business.
    pub(crate) fn of(dyno: Uuid) -> Self {
        Self(dyno.as_u64_pair().1)
    }

    fn read(text: &str) -> Option<Self> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl Affinity {
    pub(crate) fn read(headers: &HeaderMap, is_secure: bool) -> Self {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|pair| pair.split_once('='));
        let wanted = pairs.find_map(|(name, value)| Mark::read(value.trim()).filter(|_| name.trim() == NAME));
        Self { wanted, is_secure }
    }

    /// Lets the client keep to the dyno that answered, unless it does already.
    pub(crate) fn remember(&self, headers: &mut HeaderMap, answered: Mark) {
        if self.wanted == Some(answered) {
            return;
        }
        let mut cookie = format!(
            "{NAME}={:016x}; Max-Age={MAX_AGE_SECONDS}; Path=/; HttpOnly",
            answered.0
        );
        if self.is_secure {
            // Writing to a string does not fail.
            let _ = cookie.write_str("; Secure");
        }
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(cookies: &[&str]) -> Option<Mark> {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, HeaderValue::from_str(cookie).unwrap());
        }
        Affinity::read(&headers, false).wanted
    }

    #[test]
    fn the_cookie_is_found_among_others_and_nothing_else_is_taken_for_it() {
        let mark = Some(Mark(0x0123_4567_89ab_cdef));
        let ours = format!("{NAME}=0123456789abcdef");
        assert_eq!(wanted(&[&ours]), mark);
        assert_eq!(wanted(&["a=b; c", &format!("x=y;{ours} ; z=1")]), mark);
        for other in [
            "",
            "heroku-session-affinity",
            "heroku-session-affinity=",
            "heroku-session-affinity=+123456789abcdef",
            "heroku-session-affinity=0123456789abcdef0",
            "xheroku-session-affinity=0123456789abcdef",
        ] {
            assert_eq!(wanted(&[other]), None, "{other}");
        }
    }
}
