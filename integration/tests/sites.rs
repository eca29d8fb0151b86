//! Sites of files: what `static.json` says, what browsers and caches ask for, and what nobody is to get.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::symlink,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use paas_integration::{Answer, App, Platform, eventually, request};

const SOON: Duration = Duration::from_mins(1);

/// A request with headers of its own; the path goes as it is written.
#[track_caller]
fn ask(app: &App<'_>, path: &str, headers: &[(&str, &str)]) -> Answer {
    let host = app.host();
    let headers = [&[("Host", host.as_str())], headers].concat();
    let answer = request(app.platform().http(), "GET", path, &headers, "");
    answer.unwrap_or_else(|| panic!("no answer from {host}{path}"))
}

/// A request whose path no client corrects: the head of the answer in lower case, and how many bytes come after it.
#[track_caller]
fn raw(app: &App<'_>, path: &str, headers: &str) -> (String, usize) {
    let mut stream = TcpStream::connect(app.platform().http()).expect("the router listens");
    let host = app.host();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n"
    )
    .expect("it can be asked");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer for {path}"));
    (
        String::from_utf8_lossy(&answer[..end]).to_lowercase(),
        answer.len() - end - 4,
    )
}

#[track_caller]
fn leads(app: &App<'_>, path: &str, status: u16, to: &str) {
    let answer = app.get(path);
    assert_eq!(answer.expect_status(status).header("location"), Some(to), "{answer:?}");
}

#[track_caller]
fn refused(app: &App<'_>, configuration: &str, words: &str) {
    app.write("static.json", configuration);
    app.push().expect_code(1).expect(words);
}

#[test]
#[ignore = "needs docker"]
fn a_site_is_served_as_its_configuration_says_and_nothing_beside_it() {
    let platform = Platform::start();
    let site = platform.app("site");
    site.fixture("hello-static");
    let links = site.tree().join("public");
    symlink("about.html", links.join("inside.html")).expect("a link can be made");
    symlink("../static.json", links.join("outside.json")).expect("a link can be made");
    site.write("public/.hidden", "secret\n");
    site.write("public/.well-known/security.txt", "Contact: me\n");
    site.write("secret.txt", "secret\n");
    site.deploys()
        .expect("Static site app detected")
        .expect(" !     outside.json was left out: the link leads out of the site");

    follows_its_configuration(&site);
    answers_caches(&site);
    keeps_within_the_site(&site);

    let single = platform.app("single");
    single.fixture("static-spa");
    single.deploys();
    is_a_single_page(&single);
    refuses_what_it_would_not_do(&single);
    single.write(
        "static.json",
        r#"{ "root": "dist", "https_only": true, "canonical_host": "Single.localhost", "redirects": { "/": { "url": "/x" } } }"#,
    );
    single.deploys();
    leads(&single, "/users/1?a=b", 301, "https://single.localhost/users/1?a=b");
}

/// Clean addresses, the page of errors, redirects where no file is, headers.
#[track_caller]
fn follows_its_configuration(site: &App<'_>) {
    assert!(site.page("/").contains("Hello from a site of files"));
    assert!(site.page("/about").contains("About this site"));
    assert!(site.page("/about.html").contains("About this site"));
    let missing = site.get("/nothing");
    assert!(missing.expect_status(404).body.contains("There is no such page"));
    assert_eq!(missing.header("x-content-type-options"), Some("nosniff"));
    assert!(
        site.get("/notes/")
            .expect_status(404)
            .body
            .contains("There is no such page"),
        "no list of a folder"
    );
    leads(site, "/old/gone", 302, "/about");
    leads(site, "/old/gone/", 302, "/about");
    leads(site, "/blog/2026/november", 301, "https://blog.example.com/");
    leads(site, "/notes", 301, "/notes/");
    let style = site.get("/style.css");
    assert_eq!(
        style.expect_status(200).header("cache-control"),
        Some("public, max-age=3600")
    );
    assert_eq!(style.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(site.get("/about").header("cache-control"), None);
}

/// Tags, ranges, compression.
#[track_caller]
fn answers_caches(site: &App<'_>) {
    let tag = site.get("/notes/all.txt");
    let tag = tag.header("etag").expect("a file has a tag").to_owned();
    let path = "/notes/all.txt";
    ask(site, path, &[("If-None-Match", &tag)]).expect_status(304);
    ask(site, path, &[("If-None-Match", "\"another\"")]).expect_status(200);
    let part = ask(site, path, &[("Range", "bytes=0-5")]);
    assert_eq!(part.expect_status(206).body, "Note 1");
    assert!(
        part.header("content-range")
            .is_some_and(|range| range.starts_with("bytes 0-5/"))
    );
    ask(site, path, &[("Range", "bytes=99999-")]).expect_status(416);
    let (head, length) = raw(site, path, "Accept-Encoding: gzip\r\n");
    assert!(
        head.contains("content-encoding: gzip") && head.contains("vary: accept-encoding"),
        "{head}"
    );
    assert!(length < site.page(path).len() / 2, "{length} bytes");
}

/// Nobody gets out of the site.
#[track_caller]
fn keeps_within_the_site(site: &App<'_>) {
    assert!(site.page("/inside.html").contains("About this site"));
    assert_eq!(site.page("/.well-known/security.txt"), "Contact: me\n");
    let hostile = [
        "/.hidden",
        "/%2ehidden",
        "/outside.json",
        "/../static.json",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/notes/..%2f..%2fsecret.txt",
        "/notes/../../secret.txt",
        "/..%5csecret.txt",
        "/%252e%252e/secret.txt",
        "//etc/passwd",
        "/../../../../etc/passwd",
        "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/about.html%00.css",
        "/notes/all.txt/../../../secret.txt",
        "/.heroku/static/nginx.conf.template",
    ];
    for path in hostile {
        let (head, _) = raw(site, path, "");
        assert!(
            head.starts_with("http/1.1 404") || head.starts_with("http/1.1 400"),
            "{path}: {head}"
        );
    }
}

/// Any path is the page, and assets are what they are.
#[track_caller]
fn is_a_single_page(single: &App<'_>) {
    for path in ["/", "/users/1", "/users/1/orders?of=today"] {
        let page = single.get(path);
        assert!(page.expect_status(200).body.contains("A single page"), "{path}");
        assert_eq!(page.header("cache-control"), Some("no-cache"), "{path}");
        assert_eq!(page.header("x-frame-options"), Some("DENY"));
    }
    let asset = single.get("/assets/app-5f2c1a.js");
    assert_eq!(
        asset.expect_status(200).header("cache-control"),
        Some("public, max-age=31536000, immutable")
    );
    let gone = single.get("/assets/app-of-yesterday.js");
    assert_eq!(
        gone.expect_status(404).header("cache-control"),
        None,
        "an error is not kept"
    );
}

/// What would not do what it says is not put into service.
#[track_caller]
fn refuses_what_it_would_not_do(single: &App<'_>) {
    refused(
        single,
        r#"{ "root": "dist", "proxies": { "/api/": { "origin": "https://me:secret@api.example.com" } } }"#,
        " !     static.json: proxies: /api/ is an address such as https://api.example.com/v1/, without a user",
    );
    refused(
        single,
        r#"{ "root": "dist", "proxies": { "/api/": { "origin": "https://a.test/\"; return 200 \"" } } }"#,
        " !     static.json: proxies: /api/ has a value that is not allowed",
    );
    refused(
        single,
        r#"{ "root": "dist", "canonical_host": "https://www.example.com" }"#,
        " !     static.json: canonical_host is a host's name",
    );
    refused(
        single,
        r#"{ "root": "../" }"#,
        " !     static.json: root has a value that is not allowed",
    );
    refused(
        single,
        r#"{ "root": "dist", "clean_url": true }"#,
        " !     static.json: clean_url is not known here.",
    );
    refused(
        single,
        r#"{ "root": "dist", "routes": { "/**": "app.html" } }"#,
        " !     static.json: a route names app.html, which is not in",
    );
    refused(
        single,
        r#"{ "root": "dist", "headers": { "/": { "X-A": "a\"; return 200 \"b" } } }"#,
        " !     static.json: X-A has a value that is not allowed",
    );
}

/// The other app of the story below: it says what it was asked.
const BACKEND: &str = r#"
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        moved = self.path.endswith("/moved")
        self.send_response(302 if moved else 404 if self.path.endswith("/missing") else 200)
        if moved:
            self.send_header("Location", f"http://{self.headers['Host']}/v1/there")
        self.end_headers()
        self.wfile.write(f"{self.command} {self.path} {self.headers['Host'].split(':')[1]} {body}".encode())
    do_GET = do_POST = answer

http.server.ThreadingHTTPServer(("0.0.0.0", 6000), Handler).serve_forever()
"#;

#[test]
#[ignore = "needs docker"]
fn a_site_asks_another_app_and_its_visitors_for_a_password() {
    let platform = Platform::start();
    let site = platform.app("front");
    site.clear()
        .write("public/index.html", "a page\n")
        .write("public/api/file.txt", "a file\n")
        .write("backend.py", BACKEND)
        // A name that only the network of its dynos knows.
        .write(
            "Procfile",
            "web: python3 backend.py & BACKEND=$(hostname) exec .heroku/static/serve\n",
        )
        .write(
            "static.json",
            r#"{ "proxies": { "/api/": { "origin": "http://${BACKEND}:6000/${VERSION}/" } }, "error_page": "index.html" }"#,
        );
    site.paas(&["config:set", "VERSION=v1"]).expect_success();
    site.deploys()
        .expect(" !     static.json: proxies: /api/ needs BACKEND. Set it: paas config:set BACKEND=...");
    assert_eq!(site.page("/"), "a page\n");
    assert_eq!(site.page("/api/file.txt"), "a file\n", "a file comes first");
    // The site may be up before its backend listens.
    eventually("the backend is asked", SOON, || {
        site.get("/api/users/1?of=today").body == "GET /v1/users/1?of=today 6000 "
    });
    assert_eq!(
        site.get("/api/missing").expect_status(404).body,
        "GET /v1/missing 6000 "
    );
    leads(&site, "/api/moved", 302, "/api/there");
    let large = "x".repeat(2_000_000);
    let headers = [("Host", site.host())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let posted = request(platform.http(), "POST", "/api/new", &headers, &large).expect("an answer");
    assert_eq!(posted.expect_status(200).body, format!("POST /v1/new 6000 {large}"));

    // A var that changes needs no build.
    site.paas(&["config:set", "VERSION=v2"]).expect_success();
    eventually("the new version is asked", SOON, || {
        site.get("/api/users").body == "GET /v2/users 6000 "
    });

    let with = |password: &str| {
        let login = BASE64_STANDARD.encode(format!("me:{password}"));
        ask(&site, "/", &[("Authorization", &format!("Basic {login}"))]).status
    };
    let hashed = "$apr1$salt1234$gRgknBuRRKAbxBhHT9pVt/";
    for (value, password, other) in [
        ("open:sesame", "open:sesame", "guess"),
        (hashed, "correct horse", hashed),
    ] {
        let (name, value) = ("BASIC_AUTH_USERNAME=me", format!("BASIC_AUTH_PASSWORD={value}"));
        site.paas(&["config:set", name, &value]).expect_success();
        eventually("the password is asked for", SOON, || {
            (with(password), with(other)) == (200, 401)
        });
        site.get("/api/users").expect_status(401);
    }
    // Without one no dyno starts: the site is never open to everybody.
    site.paas(&["config:unset", "BASIC_AUTH_PASSWORD"]);
    site.logs("static.json: basic_auth: there is no /app/.htpasswd", SOON);
}

#[test]
#[ignore = "needs docker"]
fn a_generator_builds_a_site_that_the_next_buildpack_serves() {
    let platform = Platform::start();
    let site = platform.app("journal");
    site.fixture("static-metalsmith");
    site.deploys()
        .expect("Using the buildpacks in .buildpacks")
        .expect("Node.js app detected")
        .expect("Static site app detected");
    assert!(site.page("/").contains("Hello from a generator"));
    assert!(site.page("/posts/day-2/").contains("What happened on day 2."));
    site.write("src/posts/day-3.md", "---\ntitle: Day 3\n---\nNews.\n");
    site.deploys()
        .expect("Using the cached dependencies: unchanged")
        .expect_no("Installing dependencies");
    assert!(site.page("/posts/day-3/").contains("News."));
}
