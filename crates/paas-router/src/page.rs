//! The pages that the router answers with itself: plain, without a name of anything inside.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER},
};

use crate::{body::ResponseBody, code::Code};

/// The page for a code.
pub(crate) fn of_code(code: Code) -> Response<ResponseBody> {
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

/// The page for a hostname that nobody has.
pub(crate) fn no_such_app() -> Response<ResponseBody> {
    page(
        StatusCode::NOT_FOUND,
        "No such app",
        "There is no application at this address.",
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
    let mut response = Response::new(ResponseBody::page(Bytes::from(html)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    response
}
