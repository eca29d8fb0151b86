//! Route 53, as far as DNS-01 needs it: TXT records, beside those that others keep under the same name.
//!
//! Records are changed by taking away exactly what was read and putting the new ones there, in one batch: when somebody
//! else was faster, the batch is refused and read anew, and no value of anybody is lost.

#[cfg(test)]
mod tests;
mod xml;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use tokio::time::{Instant, sleep};

use self::xml::{
    Action, HostedZone, TextRecords, XmlError, change_batch, parse_change, parse_refusal, parse_texts, parse_zones,
};
use super::{
    Metadata,
    fetch::{FetchError, Fetcher},
};
use crate::{
    aws::{
        Credentials, CredentialsError, CredentialsSource, Scope, ToSign, amz_date, authorization, query_text, sha256,
    },
    clock::Clock,
};

const BASE: &str = "https://route53.amazonaws.com";
const VERSION: &str = "/2013-04-01";
/// Route 53 is one service for the whole world; it signs as if it were in this region.
const SCOPE: Scope<'_> = Scope {
    region: "us-east-1",
    service: "route53",
};

const REQUEST_LIMIT: Duration = Duration::from_secs(15);
/// Five requests a second are allowed to a whole account; whoever else uses it makes us wait.
const TRIES: u32 = 6;
/// Somebody else changes the same name: seldom once, never so often.
const RACES: u32 = 5;
/// AWS promises a minute for a change to be everywhere.
const SYNC_LIMIT: Duration = Duration::from_mins(3);
/// Who looks for our record has not seen it yet; nobody should remember it for long.
const TTL_SECONDS: u32 = 60;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Route53Error {
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error("Route 53 cannot be asked")]
    Fetch(#[from] FetchError),
    #[error(
        "Route 53 has no public hosted zone for {name}\nhint: make one, or use --dns-hook when its DNS is elsewhere"
    )]
    NoZone { name: String },
    #[error("Route 53 has several public hosted zones called {name}: {}\nhint: say which: --dns-route53={}", ids.join(", "), ids[0])]
    ManyZones { name: String, ids: Vec<String> },
    #[error(
        "AWS does not let this platform do {action} on {resource}: {message}\n\
         hint: allow {action} on {resource} in the policy of the instance's role, or of the given key"
    )]
    Denied {
        action: &'static str,
        resource: String,
        message: String,
    },
    #[error(
        "AWS does not accept these credentials ({code}): {message}\nhint: renew the key, or give the instance a role"
    )]
    BadCredentials { code: String, message: String },
    #[error("Route 53 refuses {action}: {code}: {message}")]
    Refused {
        action: &'static str,
        code: String,
        message: String,
    },
    #[error("Route 53's answer to {action} is not understood ({status}): {reason}")]
    Garbled {
        action: &'static str,
        status: StatusCode,
        reason: String,
    },
    #[error("the records of {name} change all the time: somebody else writes them, too")]
    Contended { name: String },
    #[error("Route 53 did not bring the change to its servers within {} seconds", SYNC_LIMIT.as_secs())]
    NotInSync,
}

/// What the operator says about Route 53.
#[derive(Debug, Clone, Default)]
pub(crate) struct Route53Settings {
    /// `None`: looked for by the name.
    pub(crate) zone_id: Option<String>,
    /// `None`: those of the instance's role.
    pub(crate) credentials: Option<Credentials>,
    /// `None`: AWS's own.
    pub(crate) endpoint: Option<String>,
}

pub(crate) struct Route53 {
    base: String,
    pauses: Pauses,
    /// Given by the operator, else looked for.
    zone_id: Option<String>,
    fetcher: Fetcher,
    credentials: CredentialsSource,
    clock: Clock,
}

/// How long to wait before asking again.
struct Pauses {
    /// Doubled every time.
    busy: Duration,
    sync: Duration,
}

/// One kind of call, as IAM calls it and what it is allowed on.
struct Call<'a> {
    action: &'static str,
    resource: String,
    method: Method,
    path: String,
    query: &'a [(&'a str, &'a str)],
    body: String,
}

impl Route53 {
    pub(crate) fn new(settings: Route53Settings, metadata: Metadata, clock: Clock) -> Result<Self, FetchError> {
        let Route53Settings {
            zone_id,
            credentials,
            endpoint,
        } = settings;
        let base = endpoint.unwrap_or_else(|| BASE.to_owned());
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            pauses: Pauses {
                busy: Duration::from_millis(500),
                sync: Duration::from_secs(3),
            },
            zone_id,
            fetcher: Fetcher::new()?,
            credentials: CredentialsSource::new(credentials, metadata, clock.clone()),
            clock,
        })
    }

    /// Adds TXT values to a name, and returns when all servers of its zone have them.
    pub(super) async fn add(&self, name: &str, values: &[String]) -> Result<(), Route53Error> {
        self.change(name, |known| {
            let missing = values.iter().map(|value| xml::quoted(value));
            for value in missing {
                if !known.contains(&value) {
                    known.push(value);
                }
            }
        })
        .await
    }

    /// Takes TXT values away from a name. Those of others stay.
    pub(super) async fn remove(&self, name: &str, values: &[String]) -> Result<(), Route53Error> {
        let ours: Vec<_> = values.iter().map(|value| xml::quoted(value)).collect();
        self.change(name, |known| known.retain(|value| !ours.contains(value)))
            .await
    }

    async fn change(&self, name: &str, edit: impl Fn(&mut Vec<String>)) -> Result<(), Route53Error> {
        let zone = self.zone_of(name).await?;
        let name = format!("{name}.");
        for _ in 0..RACES {
            let before = self.texts(&zone, &name).await?;
            let mut after = before.clone().unwrap_or(TextRecords {
                ttl_seconds: TTL_SECONDS,
                values: Vec::new(),
            });
            edit(&mut after.values);
            let had: &[String] = before.as_ref().map_or(&[], |before| &before.values);
            if after.values == had {
                return Ok(());
            }
            let mut steps = Vec::new();
            steps.extend(before.as_ref().map(|before| (Action::Delete, before)));
            if !after.values.is_empty() {
                steps.push((Action::Create, &after));
            }
            match self.apply(&zone, change_batch(&name, &steps)).await {
                // The records are not those that were read, or are there already.
                Err(Route53Error::Refused { code, message, .. })
                    if code == "InvalidChangeBatch"
                        && (message.contains("not found")
                            || message.contains("already exists")
                            || message.contains("do not match")) => {}
                done => return done,
            }
        }
        Err(Route53Error::Contended { name })
    }

    /// The zone that a name belongs to: of the zones whose name ends it, the longest.
    async fn zone_of(&self, name: &str) -> Result<String, Route53Error> {
        if let Some(id) = &self.zone_id {
            return Ok(id.clone());
        }
        let mut apex = name;
        loop {
            let found = self.public_zones(apex).await?;
            match <[HostedZone; 1]>::try_from(found) {
                Ok([zone]) => return Ok(zone.id),
                Err(many) if many.len() > 1 => {
                    return Err(Route53Error::ManyZones {
                        name: apex.to_owned(),
                        ids: many.into_iter().map(|zone| zone.id).collect(),
                    });
                }
                Err(_) => {}
            }
            // A zone of a single label would be a top-level domain.
            apex = match apex.split_once('.') {
                Some((_, above)) if above.contains('.') => above,
                _ => return Err(Route53Error::NoZone { name: name.to_owned() }),
            };
        }
    }

    async fn public_zones(&self, apex: &str) -> Result<Vec<HostedZone>, Route53Error> {
        let action = "route53:ListHostedZonesByName";
        let query = [("dnsname", apex), ("maxitems", "10")];
        let answer = self
            .call(Call {
                action,
                resource: "*".to_owned(),
                method: Method::GET,
                path: format!("{VERSION}/hostedzonesbyname"),
                query: &query,
                body: String::new(),
            })
            .await?;
        let zones = understood(action, parse_zones(&answer))?;
        let is_it = |zone: &HostedZone| {
            let name = zone.name.strip_suffix('.').unwrap_or(&zone.name);
            !zone.is_private && name.eq_ignore_ascii_case(apex)
        };
        Ok(zones.into_iter().filter(is_it).collect())
    }

    async fn texts(&self, zone: &str, name: &str) -> Result<Option<TextRecords>, Route53Error> {
        let action = "route53:ListResourceRecordSets";
        let query = [("maxitems", "1"), ("name", name), ("type", "TXT")];
        let answer = self
            .call(Call {
                action,
                resource: arn(zone),
                method: Method::GET,
                path: format!("{VERSION}/hostedzone/{zone}/rrset"),
                query: &query,
                body: String::new(),
            })
            .await?;
        understood(action, parse_texts(&answer, name))
    }

    /// Makes a change, and waits until it is everywhere.
    async fn apply(&self, zone: &str, batch: String) -> Result<(), Route53Error> {
        let action = "route53:ChangeResourceRecordSets";
        let answer = self
            .call(Call {
                action,
                resource: arn(zone),
                method: Method::POST,
                path: format!("{VERSION}/hostedzone/{zone}/rrset/"),
                query: &[],
                body: batch,
            })
            .await?;
        let (change, mut is_in_sync) = understood(action, parse_change(&answer))?;
        let deadline = Instant::now() + SYNC_LIMIT;
        while !is_in_sync {
            if Instant::now() > deadline {
                return Err(Route53Error::NotInSync);
            }
            sleep(self.pauses.sync).await;
            let action = "route53:GetChange";
            let answer = self
                .call(Call {
                    action,
                    resource: "arn:aws:route53:::change/*".to_owned(),
                    method: Method::GET,
                    path: format!("{VERSION}/change/{change}"),
                    query: &[],
                    body: String::new(),
                })
                .await?;
            is_in_sync = understood(action, parse_change(&answer))?.1;
        }
        Ok(())
    }

    /// One call, made again while Route 53 asks for patience.
    async fn call(&self, call: Call<'_>) -> Result<String, Route53Error> {
        let mut pause = self.pauses.busy;
        for _ in 1..TRIES {
            match self.call_once(&call).await {
                Err(Route53Error::Refused { code, .. })
                    if [
                        "Throttling",
                        "ThrottlingException",
                        "PriorRequestNotComplete",
                        "ServiceUnavailable",
                    ]
                    .contains(&code.as_str()) => {}
                Err(Route53Error::Garbled { status, .. }) if status.is_server_error() => {}
                done => return done,
            }
            sleep(pause).await;
            pause *= 2;
        }
        self.call_once(&call).await
    }

    async fn call_once(&self, call: &Call<'_>) -> Result<String, Route53Error> {
        let answer = self.fetcher.fetch(self.signed(call).await?, REQUEST_LIMIT).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status.is_success() {
            return Ok(text);
        }
        let refusal = parse_refusal(&text).map_err(|error| Route53Error::Garbled {
            action: call.action,
            status: answer.status,
            reason: error.to_string(),
        })?;
        let (code, message) = (refusal.code, refusal.message);
        Err(match code.as_str() {
            "AccessDenied" | "AccessDeniedException" => Route53Error::Denied {
                action: call.action,
                resource: call.resource.clone(),
                message,
            },
            "InvalidClientTokenId"
            | "ExpiredToken"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException"
            | "RequestExpired"
            | "InvalidSignatureException" => Route53Error::BadCredentials { code, message },
            _ => Route53Error::Refused {
                action: call.action,
                code,
                message,
            },
        })
    }

    async fn signed(&self, call: &Call<'_>) -> Result<Request<Full<Bytes>>, Route53Error> {
        let credentials = self.credentials.current().await?;
        let date = amz_date(self.clock.now());
        let host = self.base.split_once("://").map_or(self.base.as_str(), |(_, host)| host);
        let mut headers = vec![("host", host), ("x-amz-date", date.as_str())];
        if let Some(token) = &credentials.session_token {
            headers.push(("x-amz-security-token", token.expose()));
        }
        let to_sign = ToSign {
            method: call.method.as_str(),
            path: &call.path,
            query: call.query,
            headers: &headers,
            body: &sha256(call.body.as_bytes()),
        };
        let authorization = authorization(&to_sign, &credentials, &SCOPE, &date);
        let query = query_text(call.query);
        let question_mark = if query.is_empty() { "" } else { "?" };
        let mut request = Request::builder()
            .method(&call.method)
            .uri(format!("{}{}{question_mark}{query}", self.base, call.path))
            .header("authorization", authorization)
            .header("content-type", "application/xml");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::from(call.body.clone()));
        request.map_err(|source| {
            Route53Error::Fetch(FetchError::Request {
                host: host.to_owned(),
                source: source.into(),
            })
        })
    }
}

fn arn(zone: &str) -> String {
    format!("arn:aws:route53:::hostedzone/{zone}")
}

fn understood<T>(action: &'static str, parsed: Result<T, XmlError>) -> Result<T, Route53Error> {
    parsed.map_err(|error| Route53Error::Garbled {
        action,
        status: StatusCode::OK,
        reason: error.to_string(),
    })
}
