//! The pages of a login: plain HTML that works without scripts, and loads nothing from anywhere.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderName, header};
use sha2::{Digest, Sha256};

pub(in crate::api) struct Page {
    html: String,
    /// Where answers to its forms may lead, besides to us.
    leads_to: Option<String>,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c1b22;--soft:#5f5d6b;--back:#f4f3f7;--card:#fff;--line:#d5d2de;--lead:#5b3fa8;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#eceaf2;--soft:#a9a6b6;--back:#17161c;--card:#211f29;--line:#403d4d;--lead:#b49dff;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--back);color:var(--ink);\
font:16px/1.5 system-ui,sans-serif}
main{width:100%;max-width:24rem;background:var(--card);border:1px solid var(--line);border-radius:12px;padding:2rem}
h1{margin:0 0 .25rem;font-size:1.35rem}
p{margin:.25rem 0 1rem;color:var(--soft);overflow-wrap:anywhere}
ul{margin:0 0 1rem;padding-left:1.2rem}
label{display:block;margin:0 0 1rem;font-weight:600;font-size:.9rem}
input{display:block;width:100%;margin-top:.3rem;padding:.6rem .7rem;font:inherit;color:inherit;background:transparent;\
border:1px solid var(--line);border-radius:8px}
button{width:100%;padding:.65rem;font:inherit;font-weight:600;color:var(--card);background:var(--lead);border:0;\
border-radius:8px;cursor:pointer}
button.quiet{margin-top:.75rem;color:var(--soft);background:none}
:focus-visible{outline:2px solid var(--lead);outline-offset:2px}
.bad{color:var(--bad);font-weight:600}
";

const PASSWORD_FORM: &str = "<form method=\"post\">\n\
<label>Email <input name=\"email\" type=\"email\" autocomplete=\"username\" required autofocus></label>\n\
<label>Password <input name=\"password\" type=\"password\" autocomplete=\"current-password\" required></label>\n\
<button>Log in</button>\n</form>";

static STYLE_HASH: LazyLock<String> = LazyLock::new(|| BASE64_STANDARD.encode(Sha256::digest(STYLE)));

/// Nothing but our own style sheet, and no form to anywhere else (Content Security Policy Level 3).
fn policy(leads_to: Option<&str>) -> String {
    let style = &*STYLE_HASH;
    let elsewhere = leads_to.map_or_else(String::new, |origin| format!(" {origin}"));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'{elsewhere}; frame-ancestors 'none'; \
         base-uri 'none'"
    )
}

impl Page {
    /// Asks for email and password, and says who wants in.
    pub(in crate::api) fn password(
        description: &str,
        address: &str,
        is_elsewhere: bool,
        trouble: Option<&str>,
    ) -> Self {
        let who = if description.is_empty() {
            "A command line"
        } else {
            description
        };
        let origin = match (is_elsewhere, address) {
            (false, _) => String::new(),
            (true, "local") => " It was begun on the server itself.".to_owned(),
            (true, address) => format!(" It was begun at another address than yours, {}.", escape(address)),
        };
        Self::new(
            "Log in",
            &format!(
                "<p>{}</p>\n<p>Go on only if you began this login yourself.{origin}</p>\n{}{PASSWORD_FORM}",
                escape(who),
                alert(trouble),
            ),
        )
    }

    /// Asks for email and password, because a program wants something.
    pub(in crate::api) fn password_for(program: &str, trouble: Option<&str>) -> Self {
        Self::new(
            "Log in",
            &format!(
                "<p><b>{}</b> asks for access to your account on this platform. Log in to see what it wants; it does not \
                 see your password.</p>\n{}{PASSWORD_FORM}",
                escape(program),
                alert(trouble),
            ),
        )
    }

    /// Asks whether a program may do what it wants to.
    pub(in crate::api) fn consent(
        program: &str,
        origin: &str,
        email: &str,
        rights: &[&str],
        trouble: Option<&str>,
    ) -> Self {
        let rights: Vec<_> = rights
            .iter()
            .map(|right| format!("<li>{}</li>\n", escape(right)))
            .collect();
        let rights = rights.concat();
        Self::new(
            "Allow access?",
            &format!(
                "<p><b>{}</b> at {} wants to act for {}:</p>\n<ul>\n{rights}</ul>\n{}<form method=\"post\">\n\
                 <button name=\"allow\" value=\"1\">Allow</button>\n\
                 <button class=\"quiet\" name=\"deny\" value=\"1\">Do not allow</button>\n\
                 <button class=\"quiet\" name=\"again\" value=\"1\">Use another account</button>\n</form>\n\
                 <p>You can take it back at any time: <code>paas authorizations</code>.</p>",
                escape(program),
                escape(origin),
                escape(email),
                alert(trouble),
            ),
        )
    }

    /// Lets answers to its forms lead to another site.
    pub(in crate::api) fn leading_to(mut self, origin: String) -> Self {
        self.leads_to = Some(origin);
        self
    }

    /// Asks for a code of the authenticator app.
    pub(in crate::api) fn code(trouble: Option<&str>) -> Self {
        Self::new(
            "Two-factor code",
            &format!(
                "<p>The code that your authenticator app shows now, or one of your recovery codes.</p>\n{}\
                 <form method=\"post\">\n<label>Code <input name=\"code\" autocomplete=\"one-time-code\" \
                 autocapitalize=\"none\" spellcheck=\"false\" required autofocus></label>\n<button>Go on</button>\n\
                 </form>\n<form method=\"post\"><button class=\"quiet\" name=\"again\" value=\"1\">Use another \
                 account</button></form>",
                alert(trouble),
            ),
        )
    }

    pub(in crate::api) fn done() -> Self {
        Self::new(
            "Logged in",
            "<p>You can close this page and go back to your terminal.</p>",
        )
    }

    pub(in crate::api) fn trouble(message: &str) -> Self {
        Self::new("That did not work", &format!("<p>{}</p>", escape(message)))
    }

    fn new(title: &str, body: &str) -> Self {
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
             <body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
        );
        Self { html, leads_to: None }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let policy = policy(self.leads_to.as_deref());
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, policy.as_str()),
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // The address is a secret; forms of our own keep their origin, by which they are known.
            (header::REFERRER_POLICY, "same-origin"),
            (header::CACHE_CONTROL, "no-store"),
            (HeaderName::from_static("x-robots-tag"), "noindex"),
        ];
        (headers, self.html).into_response()
    }
}

fn alert(trouble: Option<&str>) -> String {
    trouble.map_or_else(String::new, |trouble| {
        format!("<p class=\"bad\" role=\"alert\">{}</p>\n", escape(trouble))
    })
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_of_itself_stays_text() {
        let hostile = "</p><script>alert('x')</script>&\"";
        for page in [
            Page::password(hostile, hostile, true, Some(hostile)),
            Page::code(Some(hostile)),
            Page::password_for(hostile, Some(hostile)),
            Page::consent(hostile, hostile, hostile, &[hostile], Some(hostile)),
            Page::trouble(hostile),
        ] {
            assert!(
                !page.html.contains("<script") && !page.html.contains("alert('x')"),
                "{}",
                page.html
            );
            assert!(page.html.contains("&lt;script&gt;alert(&#39;x&#39;)"), "{}", page.html);
        }
    }
}
