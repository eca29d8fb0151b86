//! The pages that the router answers with itself: plain, without a name of anything inside.

use bytes::Bytes;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER},
};

use crate::{body::ResponseBody, code::Code};

/// The page for a code: the app's own in a frame, if it has one.
pub(crate) fn of_code(code: Code, own: Option<&str>) -> Response<ResponseBody> {
    if let Some(url) = own {
        return framed(code.status(), url);
    }
    match code {
        Code::H80 => page(
            code.status(),
            "Offline for maintenance",
            "This application is undergoing maintenance right now. Please check back later.",
        ),
        Code::H81 => page(
            code.status(),
            "There's nothing here, yet",
            "This application has been created, and waits for its first deploy.",
        ),
        _ => page(
            code.status(),
            "Application error",
            "An error occurred in the application and your page could not be served. If you are the application owner, \
             check your logs for details.",
        ),
    }
}

/// What a browser is told that asked for an app over plain HTTP; other methods must not become a GET (RFC 9110 §15.4.9).
pub(crate) fn redirect(method: &Method, location: HeaderValue) -> Response<ResponseBody> {
    let status = match *method {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::PERMANENT_REDIRECT,
    };
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(LOCATION, location);
    response
}

/// The page for a hostname that nobody has.
pub(crate) fn no_such_app() -> Response<ResponseBody> {
    page(
        StatusCode::NOT_FOUND,
        "No such app",
        "There is no application at this address.",
    )
}

/// The answer to an ACME challenge that is ours (RFC 8555 §8.3).
pub(crate) fn challenge(key_authorization: &str) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::page(Bytes::copy_from_slice(key_authorization.as_bytes())));
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, octets);
    response
}

/// The page for a request that came over a connection to another name's certificate; a client tries again with a new
/// connection (RFC 9110 §15.5.20).
pub(crate) fn misdirected() -> Response<ResponseBody> {
    page(
        StatusCode::MISDIRECTED_REQUEST,
        "Misdirected request",
        "This connection was opened for another site. Please try again.",
    )
}

/// The answer to an ACME challenge that is not ours.
pub(crate) fn no_such_challenge() -> Response<ResponseBody> {
    page(
        StatusCode::NOT_FOUND,
        "No such challenge",
        "Nothing is being validated here.",
    )
}

/// The page before the first table: the router just started.
pub(crate) fn starting() -> Response<ResponseBody> {
    let mut response = page(
        StatusCode::SERVICE_UNAVAILABLE,
        "Starting",
        "The platform is starting. Please try again in a moment.",
    );
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// The page for a malformed request; the connection closes after it.
pub(crate) fn refused(status: StatusCode) -> Response<ResponseBody> {
    let mut response = page(status, "Bad request", "The request could not be understood.");
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn page(status: StatusCode, title: &str, text: &str) -> Response<ResponseBody> {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>body{{margin:20vh auto \
         0;max-width:36rem;padding:0 1.5rem;font:1rem/1.5 system-ui,sans-serif;color:#222;background:#fff}}h1{{font-size:1.5rem;\
         font-weight:600}}@media(prefers-color-scheme:dark){{body{{color:#ddd;background:#161616}}}}</style>\n</head>\n\
         <body>\n<h1>{title}</h1>\n<p>{text}</p>\n</body>\n</html>\n"
    );
    answer(status, html)
}

/// As Heroku does: a whole page that is nothing but a frame (Dev Center, *Error Pages*).
fn framed(status: StatusCode, url: &str) -> Response<ResponseBody> {
    let url = escape(url);
    let html = format!(
        "<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, \
         initial-scale=1\">\n<title></title>\n<style>html,body,iframe{{margin:0;padding:0;border:0;width:100%;height:100%;\
         overflow:hidden}}iframe{{position:absolute;overflow:auto}}</style>\n</head>\n<body>\n<iframe src=\"{url}\"></iframe>\n\
         </body>\n</html>\n"
    );
    answer(status, html)
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
            plain => escaped.push(plain),
        }
    }
    escaped
}

fn answer(status: StatusCode, html: String) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::page(Bytes::from(html)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    response
}
