//! An add-on of a provider that runs elsewhere: registered by its manifest, asked for by a command, and heard of ever after.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use paas_integration::{App, Options, Platform, request, within};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_mins(2);

/// What the provider was asked, and with whose credentials.
#[derive(Clone)]
struct Asked {
    line: String,
    authorization: String,
    body: String,
}

/// A whole provider: it has every add-on at once, and remembers what it was told.
struct Provider {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Provider {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let provider = Self {
            port,
            asked: Arc::clone(&asked),
        };
        let manifest = provider.manifest();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let (manifest, asked) = (manifest.clone(), Arc::clone(&asked));
                // A drain keeps its connection.
                thread::spawn(move || {
                    let mut connection = connection.unwrap();
                    let mut reader = BufReader::new(connection.try_clone().unwrap());
                    while let Some(heard) = read(&mut reader) {
                        let said = answer(port, &manifest, &heard).to_string();
                        asked.lock().unwrap().push(heard);
                        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", said.len());
                        connection.write_all(head.as_bytes()).unwrap();
                        connection.write_all(said.as_bytes()).unwrap();
                    }
                });
            }
        });
        provider
    }

    fn manifest(&self) -> Value {
        let url = format!("http://127.0.0.1:{}", self.port);
        json!({
            "id": "errorbucket",
            "name": "Errorbucket",
            "api": {
                "config_vars_prefix": "ERRORBUCKET",
                "config_vars": ["ERRORBUCKET_URL"],
                "password": "the-password",
                "sso_salt": "the-salt",
                "regions": ["us"],
                "requires": ["log_input", "syslog_drain"],
                "production": { "base_url": format!("{url}/heroku/resources"), "sso_url": format!("{url}/sso") },
                "version": "3"
            }
        })
    }

    /// The first that begins so, and holds these words.
    #[track_caller]
    fn hears(&self, start: &str, words: &str) -> Asked {
        let heard = within(SOON, || {
            let asked = self.asked.lock().unwrap();
            let is_it = |asked: &&Asked| asked.line.starts_with(start) && asked.body.contains(words);
            asked.iter().find(is_it).cloned()
        });
        heard.unwrap_or_else(|| {
            let asked = self.asked.lock().unwrap();
            let lines: Vec<_> = asked.iter().map(|asked| &asked.line).collect();
            panic!("nobody asks {start:?} with {words:?}: {lines:?}")
        })
    }
}

fn read(reader: &mut BufReader<impl Read>) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let header = |name: &str| {
        lines.iter().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked {
        line: lines[0].clone(),
        authorization: header("authorization").unwrap_or_default(),
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// Its answers, each time the same to the same request.
fn answer(port: u16, manifest: &Value, heard: &Asked) -> Value {
    let (method, rest) = heard.line.split_once(' ').unwrap();
    match method {
        "GET" => manifest.clone(),
        "POST" if rest.starts_with("/heroku/resources") => json!({
            "id": "9",
            "message": "Welcome to your bucket.",
            "config": { "ERRORBUCKET_URL": "https://bucket.example.com/basic" },
            "log_drain_url": format!("http://127.0.0.1:{port}/drain?key=s3cret"),
        }),
        "PUT" => json!({ "config": { "ERRORBUCKET_URL": "https://bucket.example.com/large" } }),
        _ => json!({}),
    }
}

#[test]
#[ignore = "needs docker"]
fn a_provider_is_registered_asked_heard_and_told_of_the_end() {
    let provider = Provider::start();
    let platform = Platform::with(Options {
        arguments: vec!["--local-drains".to_owned()],
        ..Options::default()
    });
    let secret = registers(&platform, &provider);
    let app = platform.app("hello");
    app.write("server.py", SERVE);
    let made = app.paas(&["addons:create", "errorbucket:basic", "--wait", "--", "--color", "green"]);
    made.expect_success();
    app.deploys();
    app.serves("https://bucket.example.com/basic", SOON);
    let asked = provider.hears("POST /heroku/resources", "\"basic\"");
    let basic = format!("Basic {}", BASE64_STANDARD.encode("errorbucket:the-password"));
    assert_eq!(asked.authorization, basic);
    let asked: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(asked["options"]["color"], "green");
    app.paas(&["addons:info", "errorbucket"])
        .expect_success()
        .expect("Welcome to your bucket.");

    let id = asked["uuid"].as_str().unwrap();
    comes_back(&platform, &asked, &secret);
    writes(&platform, &app, &asked);
    provider.hears("POST /drain?key=s3cret", "a whole bucket of errors");
    app.paas(&["drains"])
        .expect_success()
        .expect(asked["log_drain_token"].as_str().unwrap());

    app.paas(&["addons:upgrade", "errorbucket", "errorbucket:large"])
        .expect_success();
    provider.hears(&format!("PUT /heroku/resources/{id}"), "large");
    app.serves("https://bucket.example.com/large", SOON);
    signs_on(&platform, &app, &provider);

    let name = asked["name"].as_str().unwrap();
    app.paas(&["addons:destroy", name, "--confirm", app.name()])
        .expect_success();
    provider.hears(&format!("DELETE /heroku/resources/{id}"), "");
    app.serves("nothing", SOON);
    let drains = app.paas(&["drains", "--json"]).expect_success().json();
    assert_eq!(drains, json!([]), "the drain goes with its add-on");
    let is_forgotten = || {
        let removed = platform.paas(&["addons:providers:remove", "errorbucket"]);
        (removed.code == 0).then_some(())
    };
    assert!(within(SOON, is_forgotten).is_some(), "nobody has one any more");
}

/// Says what it has for an address.
const SERVE: &str = r#"import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ.get("ERRORBUCKET_URL", "nothing").encode())
    do_HEAD = do_GET
http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// By the operator, from where the provider has its manifest: the client secret.
fn registers(platform: &Platform, provider: &Provider) -> String {
    let url = format!("http://127.0.0.1:{}/manifest.json", provider.port);
    let added = platform.paas(&[
        "addons:providers:add",
        &url,
        "--plan",
        "basic",
        "--plan",
        "large",
        "--json",
    ]);
    let added = added.expect_success().json();
    platform
        .paas(&["addons:plans", "errorbucket"])
        .expect_success()
        .expect("errorbucket:large");
    added["client_secret"].as_str().unwrap().to_owned()
}

/// With the code of the request it gets a token, which reads its add-on, and no app.
fn comes_back(platform: &Platform, asked: &Value, secret: &str) {
    let code = asked["oauth_grant"]["code"].as_str().unwrap();
    let form = format!("grant_type=authorization_code&code={code}&client_secret={secret}");
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let tokens = request(platform.api(), "POST", "/oauth/token", &headers, form).unwrap();
    let tokens = tokens.expect_status(200).json();
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let path = format!("/addons/{}", asked["uuid"].as_str().unwrap());
    let addon = platform.call_as(&bearer, "GET", &path, "");
    assert_eq!(addon.expect_status(200).json()["state"], "provisioned");
    for path in ["/apps", "/apps/hello", "/apps/hello/config-vars", "/addons", "/account"] {
        platform.call_as(&bearer, "GET", path, "").expect_status(401);
    }
}

/// By the address of the request, which is all that it has for that.
fn writes(platform: &Platform, app: &App<'_>, asked: &Value) {
    let url = asked["log_input_url"].as_str().unwrap();
    let (_, rest) = url.split_once("://").unwrap();
    let (user_info, place) = rest.split_once('@').unwrap();
    let (_, path) = place.split_once('/').unwrap();
    let line = "<190>1 - host app errorbucket - - a whole bucket of errors";
    let basic = format!("Basic {}", BASE64_STANDARD.encode(user_info));
    let headers = [("Authorization", &*basic), ("Content-Type", "application/logplex-1")];
    let framed = format!("{} {line}", line.len());
    let taken = request(platform.api(), "POST", &format!("/{path}"), &headers, framed).unwrap();
    taken.expect_status(204);
    let name = asked["name"].as_str().unwrap();
    app.logs(&format!("app[{name}]: a whole bucket of errors"), SOON);
}

/// A page that sends a browser there, which has a token that the provider can make, too.
fn signs_on(platform: &Platform, app: &App<'_>, provider: &Provider) {
    let opened = app
        .paas(&["addons:open", "errorbucket"])
        .expect_success()
        .stdout
        .clone();
    let address = format!("http://127.0.0.1:{}/sso", provider.port);
    // Where there is a browser, it has the page.
    let Ok(page) = fs::read_to_string(opened.trim()) else {
        assert!(opened.contains(&address), "{opened}");
        return;
    };
    fs::remove_file(opened.trim()).unwrap();
    for field in [&address, "resource_token", "timestamp", "nav-data"] {
        assert!(page.contains(field), "{page}");
    }
    assert!(!platform.log().contains("the-salt") && !page.contains("the-salt"));
}
