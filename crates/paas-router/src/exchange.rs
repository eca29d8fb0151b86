//! One request of one app, from its head to its end, and the record that it leaves.

use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use http::{HeaderValue, Method, Response, StatusCode, Uri};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    activity::Visit,
    backend::Backend,
    body::ResponseBody,
    code::Code,
    feed::{AccessRecord, Protocol, Report, Tls},
    header::Identity,
    page,
    shared::Shared,
    table::App,
};

/// Leaves exactly one record when it is dropped. Dropped without an ending, it was the client that went away: H27.
pub(crate) struct Exchange {
    shared: Arc<Shared>,
    /// `None` for hosts of the platform, which leave no records.
    visit: Option<Visit>,
    method: Method,
    uri: Uri,
    host: String,
    protocol: Protocol,
    tls: Tls,
    peer: IpAddr,
    identity: Option<Identity>,
    started: Instant,
    backend: Option<Arc<Backend>>,
    connect: Option<Duration>,
    status: Option<StatusCode>,
    bytes: u64,
    ending: Ending,
}

enum Ending {
    None,
    Whole,
    Code(Code),
    Refused(&'static str, StatusCode),
    /// The response breaks this limit.
    Restricted(&'static str),
    Misdirected {
        agent: Option<String>,
    },
}

/// What is known of a request from its first line.
pub(crate) struct Opening {
    pub(crate) app: Option<Arc<App>>,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) host: String,
    pub(crate) protocol: Protocol,
    pub(crate) tls: Tls,
    pub(crate) peer: IpAddr,
}

impl Exchange {
    pub(crate) fn open(shared: Arc<Shared>, opening: Opening) -> Self {
        let Opening {
            app,
            method,
            uri,
            host,
            protocol,
            tls,
            peer,
        } = opening;
        Self {
            shared,
            visit: app.map(Visit::begin),
            method,
            uri,
            host,
            protocol,
            tls,
            peer,
            identity: None,
            started: Instant::now(),
            backend: None,
            connect: None,
            status: None,
            bytes: 0,
            ending: Ending::None,
        }
    }

    /// Whether the app has more requests waiting than it may (H11).
    pub(crate) fn is_too_many(&self) -> bool {
        let backlog = self.shared.limits.backlog;
        self.visit.as_ref().is_some_and(|visit| visit.is_too_many(backlog))
    }

    pub(crate) fn identify(&mut self, identity: Identity) {
        self.identity = Some(identity);
    }

    pub(crate) fn connected(&mut self, backend: &Arc<Backend>, connect: Duration) {
        self.backend = Some(backend.clone());
        self.connect = Some(connect);
    }

    pub(crate) fn responded(&mut self, status: StatusCode) {
        self.status = Some(status);
        if let Some(visit) = &mut self.visit {
            visit.answered();
        }
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The client has the whole response.
    pub(crate) fn finish(&mut self) {
        self.end(Ending::Whole);
    }

    pub(crate) fn fail(&mut self, code: Code) {
        self.end(Ending::Code(code));
    }

    /// Ends with a code of ours, and gives the page for it.
    pub(crate) fn answer(mut self, code: Code) -> Response<ResponseBody> {
        self.fail(code);
        self.page(code)
    }

    /// Ends because the response breaks a limit (H25).
    pub(crate) fn restrict(mut self, limit: &'static str) -> Response<ResponseBody> {
        self.end(Ending::Restricted(limit));
        self.page(Code::H25)
    }

    fn page(&self, code: Code) -> Response<ResponseBody> {
        let rules = self.visit.as_ref().map(|visit| &visit.app.rules);
        page::of_code(code, rules.and_then(|rules| rules.page(code)))
    }

    pub(crate) fn refuse(&mut self, cause: &'static str, status: StatusCode) {
        self.end(Ending::Refused(cause, status));
    }

    pub(crate) fn misdirect(&mut self, agent: Option<String>) {
        self.end(Ending::Misdirected { agent });
    }

    /// The first ending counts.
    fn end(&mut self, ending: Ending) {
        if matches!(self.ending, Ending::None) {
            self.ending = ending;
        }
    }

    fn record(&self, app: Uuid) -> AccessRecord<'_> {
        let (code, cause, status) = match &self.ending {
            Ending::None => {
                let code = if self.shared.abort.is_cancelled() {
                    Code::H24
                } else {
                    Code::H27
                };
                (Some(code), None, code.status())
            }
            Ending::Code(code) => (Some(*code), None, code.status()),
            Ending::Restricted(limit) => (Some(Code::H25), Some(Cow::from(*limit)), Code::H25.status()),
            Ending::Refused(cause, status) => (Some(Code::H26), Some(Cow::from(*cause)), *status),
            Ending::Misdirected { .. } => (Some(Code::H31), None, Code::H31.status()),
            Ending::Whole => (None, None, self.status.unwrap_or_default()),
        };
        let agent = match &self.ending {
            Ending::Misdirected { agent } => agent.as_deref().map(Cow::from),
            _ => None,
        };
        let text = |value| String::from_utf8_lossy(HeaderValue::as_bytes(value));
        let (request_id, fwd) = match &self.identity {
            Some(identity) => (text(&identity.request_id), text(&identity.forwarded_for)),
            None => (Cow::default(), self.peer.to_string().into()),
        };
        let service = self.connect.is_some().then(|| self.started.elapsed());
        AccessRecord {
            app,
            at: DateTime::<Utc>::from(std::time::SystemTime::now()),
            code,
            cause,
            agent,
            method: self.method.as_str().into(),
            path: self.uri.path_and_query().map_or("/", |path| path.as_str()).into(),
            host: self.host.as_str().into(),
            request_id,
            fwd,
            dyno: self.backend.as_ref().map(|backend| backend.name.as_str().into()),
            connect_ms: self.connect.map(milliseconds),
            service_ms: service.map(milliseconds),
            status: status.as_u16(),
            bytes: self.status.map(|_| self.bytes),
            protocol: self.protocol,
            tls: self.tls,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(app) = self.visit.as_ref().map(|visit| visit.app.id) {
            let record = self.record(app);
            self.shared.reports.push(&Report::Access(record));
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
