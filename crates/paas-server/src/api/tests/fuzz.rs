//! Every endpoint under paths, queries, ranges and bodies that nobody would send on purpose: each is answered, none with 500,
//! and what refuses says why (`shape.rs` looks at every answer).
//!
//! Bodies come from the table of requests, so that they get further than a parser: right and wrong kinds, texts that are
//! trouble, fields left out. The numbers are the same in every run; another [`SEED`] is another thousand requests.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};

use super::server::{Server, server};
use crate::api::{
    needs::NEEDS,
    shape::{self, Kind, Shape},
};

const SEED: [u8; 32] = *b"any 32 bytes begin another story";
const CASES_OF_EACH: usize = 6;
/// However busy the machine is: an answer that takes longer never comes.
const LIMIT: Duration = Duration::from_secs(45);

/// Texts that are trouble somewhere.
const TEXTS: [&str; 24] = [
    "",
    " ",
    "hello",
    "web",
    "web.1",
    "v1",
    "1",
    "-1",
    "+1",
    "~",
    "null",
    "..",
    "../../etc/passwd",
    "a\0b",
    "line\nbreak",
    "\u{202e}right to left",
    "naïve café",
    "💥",
    "'; drop table apps; --",
    "$(reboot)",
    "99999999999999999999",
    "00000000-0000-0000-0000-000000000000",
    "http://127.0.0.1:1/",
    "ada@example.com",
];

#[derive(Debug)]
struct Case {
    path: String,
    range: Option<HeaderValue>,
    body: Vec<u8>,
}

#[tokio::test]
async fn whatever_is_sent_is_answered_and_no_answer_is_500() {
    let server = server().await;
    server.set_password().await;
    let app = server.app("hello").await;
    // By its id: it may get another name.
    let id = app.app.id.to_string();
    let release = server.deploy(&app, &[("web", "./web")]).await;
    server.dyno(&release, "web.1").await;
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for (route, _) in NEEDS {
        for _ in 0..CASES_OF_EACH {
            let case = case(route, &id).new_tree(&mut runner).unwrap().current();
            try_out(&server, route, case).await;
        }
    }
    // Nothing of it has broken what was there.
    assert_eq!(server.get(&format!("/apps/{id}")).await.ok()["id"], id);
    server.get("/account").await.ok();
}

async fn try_out(server: &Server, route: &str, case: Case) {
    // So that the rate limit lets all of them through.
    server.tick();
    let (method, _) = route.split_once(' ').unwrap();
    let mut request = server.request(Method::from_bytes(method.as_bytes()).unwrap(), &case.path);
    if let Some(range) = case.range {
        request.headers_mut().insert(header::RANGE, range);
    }
    let shown = format!("{method} {} {:?}", case.path, String::from_utf8_lossy(&case.body));
    let answer = tokio::time::timeout(LIMIT, server.send(request.map(|_| Body::from(case.body)))).await;
    let answer = answer.unwrap_or_else(|_| panic!("{shown}: no answer"));
    let broke = [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::SERVICE_UNAVAILABLE];
    assert!(!broke.contains(&answer.status), "{shown}: {}", answer.text);
}

fn case(route: &'static str, app: &str) -> impl Strategy<Value = Case> + use<> {
    (path(route, app), range(), body(route)).prop_map(|(path, range, body)| Case { path, range, body })
}

fn path(route: &'static str, app: &str) -> impl Strategy<Value = String> + use<> {
    let (_, pattern) = route.split_once(' ').unwrap();
    // What would take away what the others are tried on: the app, the token itself.
    let is_fatal = route.starts_with("DELETE ") || route.ends_with("/regenerate-tokens");
    let segments: Vec<BoxedStrategy<String>> = pattern
        .split('/')
        .enumerate()
        .map(|(position, segment)| {
            let is_last = position + 1 == pattern.split('/').count();
            if !segment.starts_with('{') {
                return Just(segment.to_owned()).boxed();
            }
            let text = match segment {
                "{app}" if is_fatal && is_last => select(vec!["nobody", "a\0b", "💥"]).prop_map(str::to_owned).boxed(),
                "{authorization}" | "{session}" if is_fatal => {
                    any::<String>().prop_map(|text| format!("x{text}")).boxed()
                }
                "{app}" => prop_oneof![4 => Just(app.to_owned()), 1 => text()].boxed(),
                _ => text().boxed(),
            };
            text.prop_map(|text| encoded(&text)).boxed()
        })
        .collect();
    (segments, query()).prop_map(|(segments, query)| segments.join("/") + &query)
}

/// Percent-encoded as a whole; one byte in some texts is not UTF-8.
fn encoded(text: &str) -> String {
    if text.len() % 13 == 7 {
        return "%ff".to_owned();
    }
    let text = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    if text.is_empty() { "%20".to_owned() } else { text }
}

fn query() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(String::new()),
        1 => Just("?extended=true".to_owned()),
        1 => Just("?extended=%ff&extended=2&in[name][]=%00".to_owned()),
        1 => text().prop_map(|text| format!("?eq[status]={}", encoded(&text))),
    ]
}

fn range() -> impl Strategy<Value = Option<HeaderValue>> {
    let field = select(vec![
        "id",
        "name",
        "version",
        "updated_at",
        "seq",
        "hostname",
        "bytes=0-1",
        "",
        "\u{e9}",
    ]);
    let bound =
        prop_oneof![2 => Just(String::new()), 1 => text(), 1 => any::<u64>().prop_map(|number| number.to_string())];
    let end = bound.clone();
    let options = select(vec![
        "",
        "; max=1",
        "; max=0, order=desc",
        "; order=desc,max=99999999999",
        ";;;",
        "; max=-1",
    ]);
    let open = select(vec!["", "]", "["]);
    let range = (field, open, bound, end, options)
        .prop_map(|(field, open, start, end, options)| format!("{field} {open}{start}..{end}{options}"));
    prop_oneof![
        2 => Just(None),
        // What is no header cannot be sent.
        3 => range.prop_map(|range| HeaderValue::from_bytes(range.as_bytes()).ok()),
    ]
}

fn body(route: &'static str) -> BoxedStrategy<Vec<u8>> {
    let json = |value: Value| value.to_string().into_bytes();
    let shaped = match shape::request(route) {
        Some(shape) => fields(shape).prop_map(json).boxed(),
        None => Just(Vec::new()).boxed(),
    };
    prop_oneof![
        6 => shaped,
        1 => anything().prop_map(json),
        1 => vec(any::<u8>(), 0..64),
        1 => Just(b"{\"a\":".to_vec()),
        // Deeper than a parser likes.
        1 => Just([vec![b'['; 4096], vec![b']'; 4096]].concat()),
    ]
    .boxed()
}

/// An object of the right names, whose values are mostly of the right kinds.
fn fields(shape: Shape) -> impl Strategy<Value = Value> {
    let fields: Vec<_> = shape
        .0
        .into_iter()
        .map(|field| {
            let name = if field.name == "*" {
                text().boxed()
            } else {
                Just(field.name.to_owned()).boxed()
            };
            let share = if field.is_required { 0.95 } else { 0.6 };
            proptest::option::weighted(share, (name, value(field.kind)))
        })
        .collect();
    fields.prop_map(|fields| Value::Object(fields.into_iter().flatten().collect::<Map<_, _>>()))
}

fn value(kind: Kind) -> BoxedStrategy<Value> {
    let right = match kind {
        Kind::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Kind::Int | Kind::Number => prop_oneof![
            any::<i64>().prop_map(Value::from),
            (0..200_i64).prop_map(Value::from),
            Just(json!(1.5)),
            Just(json!(1e300)),
        ]
        .boxed(),
        Kind::Object(shape) => fields(shape).boxed(),
        Kind::List(kind) => vec(value(*kind), 0..4).prop_map(Value::from).boxed(),
        Kind::OrNull(kind) => prop_oneof![4 => value(*kind), 1 => Just(Value::Null)].boxed(),
        Kind::Word(words) => select(words).prop_map(Value::from).boxed(),
        Kind::Quantity => prop_oneof![text().prop_map(Value::from), any::<i64>().prop_map(Value::from)].boxed(),
        Kind::Reference => prop_oneof![
            text().prop_map(Value::from),
            text().prop_map(|text| json!({ "id": text })),
            text().prop_map(|text| json!({ "name": text })),
        ]
        .boxed(),
        Kind::AnyObject => btree_map(text(), anything(), 0..3).prop_map(|map| json!(map)).boxed(),
        Kind::Anything => anything().boxed(),
        Kind::Text | Kind::Email | Kind::Uri | Kind::Uuid | Kind::Time => text().prop_map(Value::from).boxed(),
    };
    prop_oneof![9 => right, 1 => anything()].boxed()
}

fn text() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        6 => select(TEXTS.to_vec()).prop_map(str::to_owned),
        2 => "\\PC{0,40}",
        1 => Just("x".repeat(5000)),
    ]
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(text(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}
