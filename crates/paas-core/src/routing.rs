//! How an app's requests are treated, beyond where they go.

use std::time::Duration;

/// The rules of one app; what is `None` is as on Heroku.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    /// Plain HTTP is answered with a redirect to HTTPS.
    pub https_redirect: bool,
    /// `Strict-Transport-Security` with this `max-age` on every answer over HTTPS (RFC 6797).
    pub hsts: Option<Duration>,
    /// A client stays with the dyno that answered it first (Dev Center, *Session Affinity*).
    pub session_affinity: bool,
    /// To the first byte of a response, instead of 30 s: H12.
    pub response_timeout: Option<Duration>,
    /// Without a byte in either direction, instead of 55 s: H15, H28.
    pub idle_timeout: Option<Duration>,
    /// For a dyno that boots or wakes, instead of 75 s: H20.
    pub boot_timeout: Option<Duration>,
    /// Shown instead of our own page for an error (config var `ERROR_PAGE_URL`).
    pub error_page: Option<String>,
    /// Shown instead of our own page in maintenance mode (config var `MAINTENANCE_PAGE_URL`).
    pub maintenance_page: Option<String>,
    /// Without a request for this long, the app goes to sleep (Dev Center, *Eco Dyno Sleeping*).
    pub sleep_after: Option<Duration>,
}

/// The longest address of a page that is shown.
const MAXIMUM_URL_BYTES: usize = 2048;

/// The address of an error or maintenance page, from its config var; `None` when a browser could not show it in a frame.
///
/// It ends up in a page that everybody gets to see: only an absolute http or https URL does.
pub fn page_url(value: &str) -> Option<&str> {
    let url = value.trim();
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`');
    let has_host = rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[');
    (has_host && url.len() <= MAXIMUM_URL_BYTES && url.bytes().all(is_plain)).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_browser_can_frame_is_the_address_of_a_page() {
        for url in ["https://example.com/sorry.html", "http://[::1]:8080/?a=b&c=%20"] {
            assert_eq!(page_url(url), Some(url));
        }
        assert_eq!(page_url(" https://example.com/\n"), Some("https://example.com/"));
        let long = format!("https://example.com/{}", "a".repeat(MAXIMUM_URL_BYTES));
        for bad in [
            "",
            "/sorry.html",
            "//example.com",
            "javascript:alert(1)",
            "https://",
            "https:///sorry",
            "https://example.com/\"><script>",
            "https://example.com/a b",
            "ftp://example.com",
            &long,
        ] {
            assert_eq!(page_url(bad), None, "{bad}");
        }
    }
}
