//! Sites of files: what `static.json` says, what browsers and caches ask for, and what nobody is to get.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::symlink,
};

use paas_integration::{Answer, App, Platform, request};

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
        r#"{ "proxies": { "/api/": { "origin": "https://api.example.com" } } }"#,
        " !     static.json: proxies:",
    );
    refused(single, r#"{ "basic_auth": true }"#, " !     static.json: basic_auth:");
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
