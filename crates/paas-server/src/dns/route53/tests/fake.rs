//! A Route 53 and a metadata service on loopback. They know nothing of our code: signatures are worked out here once more.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use roxmltree::Document;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::clock::Clock;

pub(super) const ACCESS_KEY: &str = "AKIDTEST";
pub(super) const SECRET: &str = "secret/of+the=role";
pub(super) const SESSION: &str = "session//token+==";
const NAMESPACE: &str = "xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"";

pub(super) struct Aws {
    pub(super) base: String,
    pub(super) clock: Clock,
    state: Arc<Mutex<Cloud>>,
    _stop: DropGuard,
}

#[derive(Default)]
pub(super) struct Cloud {
    /// Id → name and whether it is private.
    pub(super) zones: BTreeMap<&'static str, (&'static str, bool)>,
    /// Zone and name → TTL and values.
    pub(super) texts: BTreeMap<(String, String), (u32, Vec<String>)>,
    /// Answers before the next ones: status, code, message.
    pub(super) refusals: Vec<(u16, &'static str, &'static str)>,
    /// Values that somebody else adds right before each of the next changes.
    pub(super) races: Vec<&'static str>,
    /// How often a change is asked for before it is everywhere.
    pub(super) pending: usize,
    pub(super) has_role: bool,
    /// Actions as IAM calls them, in the order of the calls.
    pub(super) calls: Vec<String>,
    pub(super) credentials_asked: usize,
    tokens: HashSet<String>,
    clock: Clock,
}

impl Aws {
    pub(super) async fn start(now: DateTime<Utc>) -> Self {
        let clock = Clock::fixed(now);
        let cloud = Cloud {
            zones: BTreeMap::from([("ZCOM", ("example.com.", false))]),
            has_role: true,
            clock: clock.clone(),
            ..Cloud::default()
        };
        let state = Arc::new(Mutex::new(cloud));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let serve = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
        TaskTracker::new().spawn(async move { serve.await.unwrap() });
        Self {
            base,
            clock,
            state,
            _stop: stop.drop_guard(),
        }
    }

    pub(super) fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.state.lock().unwrap()
    }

    pub(super) fn texts(&self, zone: &str, name: &str) -> Option<(u32, Vec<String>)> {
        self.cloud().texts.get(&(zone.to_owned(), name.to_owned())).cloned()
    }
}

async fn answer(State(state): State<Arc<Mutex<Cloud>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let mut cloud = state.lock().unwrap();
    if parts.uri.path().starts_with("/latest/") {
        return cloud.metadata(&parts);
    }
    if let Err(reason) = verify(&parts, &body, cloud.clock.now()) {
        return refused(403, "SignatureDoesNotMatch", &reason);
    }
    cloud.route53(&parts, &body)
}

impl Cloud {
    fn metadata(&mut self, parts: &Parts) -> Response {
        let header = |name| parts.headers.get(name).map(|value| value.to_str().unwrap());
        if parts.method == "PUT" && parts.uri.path() == "/latest/api/token" {
            assert!(header("x-aws-ec2-metadata-token-ttl-seconds").is_some());
            let token = format!("token-{}", self.tokens.len());
            self.tokens.insert(token.clone());
            return token.into_response();
        }
        if !header("x-aws-ec2-metadata-token").is_some_and(|token| self.tokens.contains(token)) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        match parts.uri.path() {
            "/latest/meta-data/iam/security-credentials/" if self.has_role => "paas-role".into_response(),
            "/latest/meta-data/iam/security-credentials/paas-role" => {
                self.credentials_asked += 1;
                let ends_at = self.clock.now() + TimeDelta::hours(6);
                let answer = serde_json::json!({
                    "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
                    "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET, "Token": SESSION,
                    "Expiration": ends_at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
                });
                answer.to_string().into_response()
            }
            "/latest/meta-data/public-ipv4" => "203.0.113.9".into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }

    fn route53(&mut self, parts: &Parts, body: &[u8]) -> Response {
        let path = parts.uri.path().strip_prefix("/2013-04-01/").unwrap();
        let steps: Vec<_> = path.trim_end_matches('/').split('/').collect();
        let action = match (parts.method.as_str(), &steps[..]) {
            ("GET", ["hostedzonesbyname"]) => "ListHostedZonesByName",
            ("GET", ["hostedzone", _, "rrset"]) => "ListResourceRecordSets",
            ("POST", ["hostedzone", _, "rrset"]) => "ChangeResourceRecordSets",
            ("GET", ["change", "C1"]) => "GetChange",
            other => panic!("there is no such call: {other:?}"),
        };
        self.calls.push(action.to_owned());
        if !self.refusals.is_empty() {
            let (status, code, message) = self.refusals.remove(0);
            return refused(status, code, message);
        }
        let query: BTreeMap<_, _> = pairs(parts).into_iter().collect();
        match action {
            "ListHostedZonesByName" => self.list_zones(&query["dnsname"]),
            "ListResourceRecordSets" => self.list_texts(steps[1], &query["name"]),
            "ChangeResourceRecordSets" => self.change(steps[1], std::str::from_utf8(body).unwrap()),
            _ => {
                self.pending = self.pending.saturating_sub(1);
                change_info(self.pending)
            }
        }
    }

    /// Zones in the order of their reversed names, from the one asked for on, as the real one does.
    fn list_zones(&self, from: &str) -> Response {
        let reversed = |name: &str| {
            let mut labels: Vec<_> = name.trim_end_matches('.').split('.').map(str::to_owned).collect();
            labels.reverse();
            labels
        };
        let mut zones: Vec<_> = self.zones.iter().collect();
        zones.sort_by_key(|(_, (name, _))| reversed(name));
        let mut text = String::new();
        for (id, (name, is_private)) in zones
            .into_iter()
            .filter(|(_, (name, _))| reversed(name) >= reversed(from))
        {
            let _ = write!(
                text,
                "<HostedZone><Id>/hostedzone/{id}</Id><Name>{name}</Name><Config><PrivateZone>{is_private}</PrivateZone></Config></HostedZone>"
            );
        }
        xml(&format!(
            "<ListHostedZonesByNameResponse {NAMESPACE}><HostedZones>{text}</HostedZones></ListHostedZonesByNameResponse>"
        ))
    }

    /// One set of records: the first at or after the name.
    fn list_texts(&self, zone: &str, from: &str) -> Response {
        let mut text = String::new();
        let key = (zone.to_owned(), from.to_owned());
        if let Some(((_, name), (ttl, values))) = self.texts.range(key..).next() {
            let mut records = String::new();
            for value in values {
                let value = value.replace('&', "&amp;").replace('<', "&lt;");
                let _ = write!(records, "<ResourceRecord><Value>{value}</Value></ResourceRecord>");
            }
            text = format!(
                "<ResourceRecordSet><Name>{name}</Name><Type>TXT</Type><TTL>{ttl}</TTL><ResourceRecords>{records}</ResourceRecords></ResourceRecordSet>"
            );
        }
        xml(&format!(
            "<ListResourceRecordSetsResponse {NAMESPACE}><ResourceRecordSets>{text}</ResourceRecordSets></ListResourceRecordSetsResponse>"
        ))
    }

    /// All changes of a batch, or none.
    fn change(&mut self, zone: &str, body: &str) -> Response {
        let document = Document::parse(body).unwrap();
        let text = |node: roxmltree::Node<'_, '_>, tag: &str| {
            let mut nodes = node.descendants().filter(|node| node.tag_name().name() == tag);
            nodes.next().unwrap().text().unwrap().to_owned()
        };
        let mut texts = self.texts.clone();
        for change in document.descendants().filter(|node| node.tag_name().name() == "Change") {
            let values = change.descendants().filter(|node| node.tag_name().name() == "Value");
            let values: Vec<_> = values.map(|node| node.text().unwrap().to_owned()).collect();
            let (name, ttl) = (text(change, "Name"), text(change, "TTL").parse().unwrap());
            assert_eq!(text(change, "Type"), "TXT");
            let key = (zone.to_owned(), name.clone());
            if !self.races.is_empty() {
                let raced = self.races.remove(0).to_owned();
                for texts in [&mut self.texts, &mut texts] {
                    texts
                        .entry(key.clone())
                        .or_insert((300, Vec::new()))
                        .1
                        .push(raced.clone());
                }
            }
            let problem = match (text(change, "Action").as_str(), texts.get(&key)) {
                ("CREATE", Some(_)) => "but it already exists",
                ("DELETE", None) => "but it was not found",
                ("DELETE", Some(there)) if *there != (ttl, values.clone()) => {
                    "but the values provided do not match the current values"
                }
                ("CREATE", None) => {
                    texts.insert(key, (ttl, values));
                    continue;
                }
                ("DELETE", Some(_)) => {
                    texts.remove(&key);
                    continue;
                }
                other => panic!("{other:?}"),
            };
            let message = format!("[Tried to change resource record set [name='{name}', type='TXT'] {problem}]");
            return refused(400, "InvalidChangeBatch", &message);
        }
        self.texts = texts;
        change_info(self.pending)
    }
}

fn change_info(pending: usize) -> Response {
    let status = if pending == 0 { "INSYNC" } else { "PENDING" };
    xml(&format!(
        "<GetChangeResponse {NAMESPACE}><ChangeInfo><Id>/change/C1</Id><Status>{status}</Status></ChangeInfo></GetChangeResponse>"
    ))
}

fn xml(body: &str) -> Response {
    format!("<?xml version=\"1.0\"?>\n{body}").into_response()
}

fn refused(status: u16, code: &str, message: &str) -> Response {
    let message = message.replace('&', "&amp;").replace('<', "&lt;");
    let body = xml(&format!(
        "<ErrorResponse {NAMESPACE}><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         <RequestId>1</RequestId></ErrorResponse>"
    ));
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

fn pairs(parts: &Parts) -> Vec<(String, String)> {
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .unwrap()
            .into_owned()
    };
    let pairs = parts
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap();
        (decode(key), decode(value))
    };
    pairs.map(pair).collect()
}

/// Works the signature out from the request as it came.
fn verify(parts: &Parts, body: &Bytes, now: DateTime<Utc>) -> Result<(), String> {
    let header = |name: &str| parts.headers.get(name).map_or("", |value| value.to_str().unwrap());
    let given = header("authorization")
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .ok_or("no signature")?;
    let field = |name: &str| {
        let mut fields = given.split(", ");
        fields
            .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
    };
    let date = header("x-amz-date");
    if date != now.format("%Y%m%dT%H%M%SZ").to_string() {
        return Err(format!("signed at {date}"));
    }
    if header("x-amz-security-token") != SESSION {
        return Err("no session".to_owned());
    }
    let signed = field("SignedHeaders");
    for needed in ["host", "x-amz-date", "x-amz-security-token"] {
        if !signed.split(';').any(|name| name == needed) {
            return Err(format!("{needed} is not signed"));
        }
    }
    let mut query: Vec<&str> = parts.uri.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    let headers: Vec<_> = signed
        .split(';')
        .map(|name| format!("{name}:{}\n", header(name).trim()))
        .collect();
    let canonical = [
        parts.method.as_str(),
        parts.uri.path(),
        &query.join("&"),
        &headers.concat(),
        signed,
        &hex(&Sha256::digest(body)),
    ]
    .join("\n");
    let scope = format!("{}/us-east-1/route53/aws4_request", &date[..8]);
    let to_sign = ["AWS4-HMAC-SHA256", date, &scope, &hex(&Sha256::digest(&canonical))].join("\n");
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in scope.split('/') {
        key = hmac(&key, part.as_bytes());
    }
    let expected = hex(&hmac(&key, to_sign.as_bytes()));
    if field("Credential") != format!("{ACCESS_KEY}/{scope}") || field("Signature") != expected {
        return Err(format!("the signature is wrong for {canonical:?}"));
    }
    Ok(())
}

/// RFC 2104, by hand. No key here is longer than a block.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::digest([&block.map(|byte| byte ^ 0x36)[..], message].concat());
    Sha256::digest([&block.map(|byte| byte ^ 0x5c)[..], &inner[..]].concat()).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}
