//! A bucket of S3, or of another that speaks its language: as much of it as backups need.
//!
//! Each request says by its signature what its body is, so a part that was altered on its way is refused. What the bucket holds is
//! sealed: whoever keeps it can neither read it nor put something else in its place.

mod error;
mod xml;

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::Full;
use tokio::time::sleep;

pub(crate) use self::error::BucketError;
use self::xml::{parse_parts, parse_refusal, parse_upload, whole};
use crate::{
    aws::{CredentialsSource, Scope, ToSign, amz_date, authorization, query_text, sha256},
    clock::Clock,
    config::{BucketSettings, Settings},
    dns::Metadata,
    outbound::{Connector, Host, Policy, Target, ask_whole},
};

/// A request that carries no file, or almost none.
const ASK_LIMIT: Duration = Duration::from_mins(1);
/// A part, on a thin line; and what a bucket makes of all parts in the end.
const CARRY_LIMIT: Duration = Duration::from_mins(5);
/// Within one request; whoever asks tries again later.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A list of a thousand parts has a third of that.
const LONGEST_WORDS: usize = 1024 * 1024;

pub(crate) struct Bucket {
    settings: BucketSettings,
    place: String,
    target: Target,
    connector: Connector,
    credentials: CredentialsSource,
    clock: Clock,
}

/// What a bucket has of an upload that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) etag: String,
    pub(crate) bytes: u64,
}

struct Call<'a> {
    /// As its policies call it.
    action: &'static str,
    method: Method,
    key: &'a str,
    query: &'a [(&'a str, &'a str)],
    range: Option<(u64, u64)>,
    body: Bytes,
    limit: Duration,
    longest_answer: usize,
}

struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

impl Bucket {
    /// `None`: the settings name none. Its operator says where it is, so it may be anywhere.
    pub(crate) fn of(settings: &Settings, clock: &Clock) -> anyhow::Result<Option<Self>> {
        let Some(bucket) = settings.bucket.clone() else {
            return Ok(None);
        };
        bucket.require_keys()?;
        let connector = Connector::new(Policy::Anywhere, &settings.extra_ca).context("--backup-bucket")?;
        let address = bucket.host.trim_start_matches('[').trim_end_matches(']').parse();
        let target = Target {
            scheme: if bucket.is_tls { "https" } else { "http" },
            host: address.map_or_else(|_| Host::Name(bucket.host.clone()), Host::Address),
            port: bucket.port,
            is_tls: bucket.is_tls,
        };
        let place = format!("{target}/{}", bucket.name);
        let metadata = Metadata::of_this_machine();
        let credentials = CredentialsSource::new(bucket.credentials.clone(), metadata, clock.clone());
        Ok(Some(Self {
            settings: bucket,
            place,
            target,
            connector,
            credentials,
            clock: clock.clone(),
        }))
    }

    /// Its address: another one is another bucket.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.settings.prefix
    }

    /// Puts all of an object there. Again: the same.
    pub(crate) async fn put(&self, key: &str, body: Bytes) -> Result<(), BucketError> {
        let call = Call {
            body,
            limit: CARRY_LIMIT,
            ..call("s3:PutObject", Method::PUT, key)
        };
        self.call(&call).await.map(drop)
    }

    /// Begins an upload in parts, and says what it is called.
    pub(crate) async fn begin(&self, key: &str) -> Result<String, BucketError> {
        let action = "s3:PutObject";
        let query = [("uploads", "")];
        let call = Call {
            query: &query,
            ..call(action, Method::POST, key)
        };
        let answer = self.call(&call).await?;
        understood(action, parse_upload(&answer.words()))
    }

    /// What is there of an upload. `None`: it has ended, well or not.
    pub(crate) async fn parts(&self, key: &str, upload: &str) -> Result<Option<BTreeMap<u32, Part>>, BucketError> {
        let action = "s3:ListMultipartUploadParts";
        let (mut parts, mut after) = (BTreeMap::new(), "0".to_owned());
        loop {
            let query = [("part-number-marker", after.as_str()), ("uploadId", upload)];
            let call = Call {
                query: &query,
                ..call(action, Method::GET, key)
            };
            let answer = match self.call(&call).await {
                Err(error) if error.says("NoSuchUpload") => return Ok(None),
                answer => answer?,
            };
            let (more, next) = understood(action, parse_parts(&answer.words()))?;
            let is_empty = more.is_empty();
            parts.extend(more);
            match next {
                // One that says the same for ever is not followed.
                Some(next) if !is_empty && next != after => after = next,
                _ => return Ok(Some(parts)),
            }
        }
    }

    /// Sends a part, and says how the bucket calls what came. Again: the same.
    pub(crate) async fn put_part(
        &self,
        key: &str,
        upload: &str,
        number: u32,
        body: Bytes,
    ) -> Result<String, BucketError> {
        let action = "s3:PutObject";
        let number = number.to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", upload)];
        let call = Call {
            query: &query,
            body,
            limit: CARRY_LIMIT,
            ..call(action, Method::PUT, key)
        };
        let answer = self.call(&call).await?;
        let etag = answer.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.ok_or_else(|| BucketError::garbled(action, "it does not say what came"))?;
        Ok(etag.to_owned())
    }

    /// Makes an object of all parts.
    pub(crate) async fn complete(
        &self,
        key: &str,
        upload: &str,
        parts: &BTreeMap<u32, String>,
    ) -> Result<(), BucketError> {
        let action = "s3:PutObject";
        let query = [("uploadId", upload)];
        let call = Call {
            query: &query,
            body: Bytes::from(whole(parts)),
            limit: CARRY_LIMIT,
            ..call(action, Method::POST, key)
        };
        let answer = match self.call(&call).await {
            // Its first answer was lost, and it has ended since: whether well, the object says.
            Err(error) if error.says("NoSuchUpload") => return Ok(()),
            answer => answer?,
        };
        // It answers before it knows: what went wrong is said in the body of a success.
        match parse_refusal(&answer.words()) {
            Some((code, message)) => Err(BucketError::refused(action, StatusCode::OK, code, message)),
            None => Ok(()),
        }
    }

    /// Forgets an upload and its parts. No error when there is none.
    pub(crate) async fn abort(&self, key: &str, upload: &str) -> Result<(), BucketError> {
        let query = [("uploadId", upload)];
        let call = Call {
            query: &query,
            ..call("s3:AbortMultipartUpload", Method::DELETE, key)
        };
        self.gone(&call).await
    }

    /// Removes an object. No error when there is none.
    pub(crate) async fn remove(&self, key: &str) -> Result<(), BucketError> {
        self.gone(&call("s3:DeleteObject", Method::DELETE, key)).await
    }

    /// How long an object is; `None` when there is none.
    pub(crate) async fn length(&self, key: &str) -> Result<Option<u64>, BucketError> {
        let action = "s3:GetObject";
        match self.call(&call(action, Method::HEAD, key)).await {
            Err(error) if error.is_absence() => Ok(None),
            answer => {
                let length = answer?.headers.get(header::CONTENT_LENGTH).cloned();
                let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
                let length = length.ok_or_else(|| BucketError::garbled(action, "it does not say how long it is"))?;
                Ok(Some(length))
            }
        }
    }

    /// A piece of an object.
    pub(crate) async fn piece(&self, key: &str, offset: u64, length: u64) -> Result<Bytes, BucketError> {
        let action = "s3:GetObject";
        let call = Call {
            range: Some((offset, offset + length - 1)),
            limit: CARRY_LIMIT,
            longest_answer: usize::try_from(length).unwrap_or(usize::MAX).max(LONGEST_WORDS),
            ..call(action, Method::GET, key)
        };
        let body = self.call(&call).await?.body;
        if body.len() as u64 == length {
            Ok(body)
        } else {
            Err(BucketError::garbled(action, "it gives less than it has"))
        }
    }

    async fn gone(&self, call: &Call<'_>) -> Result<(), BucketError> {
        match self.call(call).await {
            Err(error) if error.is_absence() => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// One call, made again when that may help.
    async fn call(&self, call: &Call<'_>) -> Result<Answer, BucketError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.call_once(call).await {
                Err(error) if error.is_temporary() => {}
                answer => return answer,
            }
            sleep(pause).await;
            pause *= 2;
        }
        self.call_once(call).await
    }

    async fn call_once(&self, call: &Call<'_>) -> Result<Answer, BucketError> {
        let request = self.signed(call).await?;
        let asked = ask_whole(&self.connector, &self.target, request, call.limit, call.longest_answer);
        let (head, body) = asked.await?;
        if head.status.is_success() {
            let headers = head.headers;
            return Ok(Answer { headers, body });
        }
        let words = String::from_utf8_lossy(&body);
        let (code, message) = parse_refusal(&words).unwrap_or_default();
        Err(BucketError::refused(call.action, head.status, code, message))
    }

    async fn signed(&self, call: &Call<'_>) -> Result<Request<Full<Bytes>>, BucketError> {
        let credentials = self.credentials.current().await?;
        let date = amz_date(self.clock.now());
        let settings = &self.settings;
        let usual = if settings.is_tls { 443 } else { 80 };
        let host = match settings.port {
            port if port == usual => settings.host.clone(),
            port => format!("{}:{port}", settings.host),
        };
        let path = if settings.is_in_path {
            format!("/{}/{}", settings.name, call.key)
        } else {
            format!("/{}", call.key)
        };
        let body = sha256(&call.body);
        let mut headers = vec![
            ("host", host.as_str()),
            ("x-amz-content-sha256", body.as_str()),
            ("x-amz-date", date.as_str()),
        ];
        if let Some(token) = &credentials.session_token {
            headers.push(("x-amz-security-token", token.expose()));
        }
        let to_sign = ToSign {
            method: call.method.as_str(),
            path: &path,
            query: call.query,
            headers: &headers,
            body: &body,
        };
        let scope = Scope {
            region: &settings.region,
            service: "s3",
        };
        let authorization = authorization(&to_sign, &credentials, &scope, &date);
        let query = query_text(call.query);
        let question_mark = if query.is_empty() { "" } else { "?" };
        let mut request = Request::builder()
            .method(&call.method)
            .uri(format!("{path}{question_mark}{query}"))
            .header(header::AUTHORIZATION, authorization);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if call.method == Method::POST && call.body.is_empty() {
            // Some (Google's) insist on it, and hyper leaves it out.
            request = request.header(header::CONTENT_LENGTH, 0);
        }
        if let Some((first, last)) = call.range {
            request = request.header(header::RANGE, format!("bytes={first}-{last}"));
        }
        let request = request.body(Full::from(call.body.clone()));
        request.map_err(|error| BucketError::garbled(call.action, &error.to_string()))
    }
}

impl Answer {
    fn words(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One that asks for nothing special.
const fn call<'a>(action: &'static str, method: Method, key: &'a str) -> Call<'a> {
    Call {
        action,
        method,
        key,
        query: &[],
        range: None,
        body: Bytes::new(),
        limit: ASK_LIMIT,
        longest_answer: LONGEST_WORDS,
    }
}

fn understood<T>(action: &'static str, parsed: Option<T>) -> Result<T, BucketError> {
    parsed.ok_or_else(|| BucketError::garbled(action, "something is missing in it"))
}
