//! A request's way through the router.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{
        CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_VERSION, STRICT_TRANSPORT_SECURITY, TRANSFER_ENCODING,
        USER_AGENT,
    },
    request, uri,
};
use http_body::Body;
use hyper::ext::ReasonPhrase;

use crate::{
    affinity::Affinity,
    body::{ClientBody, DynoResponse, RequestBody, ResponseBody},
    check::{self, Refusal},
    code::Code,
    connect::{Aim, Connected, NoDyno, Reuse, Search},
    dyno_body::DynoBody,
    exchange::{Exchange, Opening},
    feed::Protocol,
    flow::{Flow, Patience},
    framing::Verdict,
    header::{self, Forwarded},
    link::Link,
    page, restriction,
    shared::Shared,
    table::{App, Host, Table},
    tunnel::{Switch, Tunnel},
    visitor::Visitor,
};

/// How often a request is sent anew because the connection turned out to be closed before it was used.
const RESENDS: usize = 3;
const ACME_CHALLENGE: &str = "/.well-known/acme-challenge/";

/// One client connection.
pub(crate) struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) verdict: Arc<Verdict>,
    /// Whoever is at the other end, or was introduced by it.
    pub(crate) visitor: Visitor,
    /// The visitor is a proxy whose headers are believed.
    pub(crate) is_trusted: bool,
    /// Clients know the ports of a proxy, and not ours.
    pub(crate) is_behind: bool,
    /// The name that the client asked for when it opened a TLS connection, in lower case.
    pub(crate) server_name: Option<Box<str>>,
    /// Requests so far: their order is how the verdict names them.
    pub(crate) requests: AtomicU32,
}

/// A request that knows where it goes.
struct Outgoing {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: RequestBody,
    flow: Arc<Flow>,
    patience: Patience,
    /// May be sent a second time after a connection broke.
    is_replayable: bool,
    upgrade: Option<Switch>,
    /// With session affinity only.
    affinity: Option<Affinity>,
    exchange: Exchange,
}

impl Outgoing {
    /// The code that an app's request gets before a dyno is looked for.
    fn refusal(&self) -> Option<Code> {
        if self.exchange.is_too_many() {
            return Some(Code::H11);
        }
        // Only a proxy before us can have taken the rest of the handshake away (Dev Center, *Error Codes*, H23).
        let is_broken = self.upgrade.is_none() && self.headers.contains_key(SEC_WEBSOCKET_VERSION);
        is_broken.then_some(Code::H23)
    }
}

impl Client {
    pub(crate) async fn handle(&self, request: Request<ClientBody>) -> Response<ResponseBody> {
        let is_old = request.version() < Version::HTTP_11;
        let mut response = self.answer(request).await;
        if is_old {
            // Heroku closes after each request of an HTTP/1.0 client; a keep-alive of theirs is not negotiated.
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn answer(&self, mut request: Request<ClientBody>) -> Response<ResponseBody> {
        if self.is_trusted {
            let visitor = self.shared.proxies.follow(self.visitor, request.headers_mut());
            request.extensions_mut().insert(visitor);
        }
        let is_secure = self.visitor(&request).tls.is_used();
        let table = self.shared.tables.current();
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let malformed = self.verdict.of(number).map(|malformed| Refusal(malformed.cause()));
        let hostname = match malformed.map_or_else(|| check::host(&request), Err) {
            Ok(hostname) => hostname.into_owned(),
            Err(refusal) => return self.refuse(&table, &request, refusal),
        };
        if let Some(token) = request.uri().path().strip_prefix(ACME_CHALLENGE) {
            return table
                .challenge(token)
                .map_or_else(page::no_such_challenge, page::challenge);
        }
        if table.version == 0 {
            return page::starting();
        }
        let Some(host) = table.host(&hostname) else {
            return page::no_such_app();
        };
        if !self.is_for(&hostname, &table) {
            return self.misdirected(&request, &hostname, host);
        }
        let Host::App(app) = host else {
            self.verdict.patient.store(true, Ordering::Relaxed);
            let outgoing = self.outgoing(request, &hostname, None);
            let search = Search::new(&self.shared, &hostname, table, Aim::default());
            return self.forward(outgoing, search).await;
        };
        let app = app.clone();
        if app.rules.https_redirect
            && !is_secure
            && let Some(location) = self.https(&hostname, request.uri())
        {
            let mut exchange = self.open(Some(app), &request, &hostname);
            let response = page::redirect(request.method(), location);
            exchange.responded(response.status());
            exchange.finish();
            return response;
        }
        let (id, is_roomy) = (app.id, app.activity.has_large_heads());
        let hsts = app.rules.hsts.clone().filter(|_| is_secure);
        let is_grpc = header::is_grpc(&request);
        let outgoing = self.outgoing(request, &hostname, Some(app));
        let mut response = match outgoing.refusal() {
            Some(code) => outgoing.exchange.answer(code),
            None => {
                let aim = Aim {
                    app: Some(id),
                    preferred: outgoing.affinity.as_ref().and_then(|affinity| affinity.wanted),
                    is_grpc,
                    is_roomy,
                };
                let search = Search::new(&self.shared, &hostname, table, aim);
                self.forward(outgoing, search).await
            }
        };
        if let Some(hsts) = hsts {
            // Browsers look at the first only (RFC 6797 §8.1): the app's own word counts.
            let header = response.headers_mut().entry(STRICT_TRANSPORT_SECURITY);
            header.or_insert(hsts);
        }
        response
    }

    /// Where a request over plain HTTP is to go instead; `None` when we do not listen there.
    fn https(&self, hostname: &str, uri: &Uri) -> Option<HeaderValue> {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let location = match self.shared.https_port? {
            // Which ports a proxy in front has is not known here: the usual ones.
            port if port == 443 || self.is_behind => format!("https://{hostname}{path}"),
            port => format!("https://{hostname}:{port}{path}"),
        };
        HeaderValue::try_from(location).ok()
    }

    /// Whether the certificate of this connection serves a host. Clients send requests for several hosts over one
    /// connection when its certificate names them all (RFC 9113 §9.1.1), and some do when it does not.
    fn is_for(&self, hostname: &str, table: &Table) -> bool {
        match self.server_name.as_deref() {
            Some(name) if name != hostname && !self.is_trusted => table.has_same_certificate(name, hostname),
            _ => true,
        }
    }

    fn misdirected(&self, request: &Request<ClientBody>, hostname: &str, host: &Host) -> Response<ResponseBody> {
        if let Host::App(app) = host {
            let agent = request.headers().get(USER_AGENT);
            let agent = agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned());
            self.open(Some(app.clone()), request, hostname).misdirect(agent);
        }
        page::misdirected()
    }

    fn outgoing(&self, mut request: Request<ClientBody>, hostname: &str, app: Option<Arc<App>>) -> Outgoing {
        let visitor = self.visitor(&request);
        let mut upgrade = header::wants_upgrade(&request).then(|| Switch::Http1(hyper::upgrade::on(&mut request)));
        let mut patience = app.as_ref().map_or(Patience::ENDLESS, |app| app.rules.patience);
        let is_grpc = header::is_grpc(&request);
        if is_grpc {
            // Streams of messages may be silent for long.
            patience.floor = None;
        }
        let has_affinity = app.as_ref().is_some_and(|app| app.rules.session_affinity);
        let affinity = has_affinity.then(|| Affinity::read(request.headers(), visitor.tls.is_used()));
        let mut exchange = self.open(app, &request, hostname);
        let (parts, incoming) = request.into_parts();
        let is_whole = incoming.is_end_stream();
        let incoming = match incoming {
            ClientBody::Extended(extended) => {
                upgrade = Some(Switch::Http2(extended));
                None
            }
            body => Some(body),
        };
        let request::Parts {
            method,
            uri,
            mut headers,
            version,
            ..
        } = parts;
        if let Some(authority) = uri.authority()
            && !headers.contains_key(HOST)
            && let Ok(host) = HeaderValue::from_str(authority.as_str())
        {
            headers.insert(HOST, host);
        }
        let mut uri = origin_form(uri);
        exchange.identify(header::to_dyno(
            &mut headers,
            &Forwarded { visitor, version },
            upgrade.is_some(),
        ));
        if is_grpc {
            uri = header::to_http2(&mut headers, uri);
        } else if !is_whole && !headers.contains_key(CONTENT_LENGTH) {
            // hyper leaves the body of a GET away unless its headers say that there is one.
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let flow = Flow::open(patience, is_whole);
        Outgoing {
            is_replayable: is_whole && upgrade.is_none() && method.is_idempotent(),
            method,
            uri,
            headers,
            body: RequestBody::new(incoming, &flow),
            flow,
            patience,
            upgrade,
            affinity,
            exchange,
        }
    }

    /// Sends a request to a dyno, and again to a dyno when it provably was not handled.
    async fn forward(&self, outgoing: Outgoing, mut search: Search<'_>) -> Response<ResponseBody> {
        let Outgoing {
            method,
            uri,
            headers,
            body,
            flow,
            patience,
            is_replayable,
            upgrade,
            affinity,
            mut exchange,
        } = outgoing;
        let needs_task = upgrade.is_some() || !flow.request_has_ended();
        let mut request = build(&method, uri, headers, body);
        let mut reuse = if is_replayable { Reuse::Any } else { Reuse::Young };
        let mut resends = 0;
        loop {
            let connected = match search.connect(reuse).await {
                Ok(connected) => connected,
                Err(NoDyno::Code(code)) => return exchange.answer(code),
                Err(NoDyno::Gone) => {
                    exchange.responded(StatusCode::NOT_FOUND);
                    exchange.finish();
                    return page::no_such_app();
                }
            };
            let Connected {
                mut link,
                in_flight,
                is_reused,
                elapsed,
            } = connected;
            exchange.connected(in_flight.backend(), elapsed);
            if needs_task {
                link.detach(&self.shared.outbound).await;
            }
            flow.dispatch();
            let mut timer = std::mem::take(&mut link.timer);
            let failure = match flow.first_byte(link.send(request, is_replayable), &mut timer).await {
                Err(code) => return exchange.answer(code),
                Ok(Err(failure)) => failure,
                Ok(Ok(mut response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    let Some(client) = upgrade else {
                        return exchange.answer(Code::H17);
                    };
                    if let Some(affinity) = affinity {
                        affinity.remember(response.headers_mut(), in_flight.backend().mark);
                    }
                    let tunnel = Tunnel {
                        client,
                        patience,
                        in_flight: in_flight.into_tunnel(),
                        exchange,
                        is_websocket: header::is_websocket(response.headers()),
                    };
                    return self.switch(response, tunnel);
                }
                Ok(Ok(response)) => {
                    let (mut parts, incoming) = response.into_parts();
                    if let Some(limit) = restriction::of_head(&parts.headers, parts.extensions.get(), link.is_roomy) {
                        return exchange.restrict(limit);
                    }
                    if let Some(affinity) = affinity {
                        affinity.remember(&mut parts.headers, in_flight.backend().mark);
                    }
                    exchange.responded(parts.status);
                    let body = ResponseBody::dyno(DynoResponse {
                        incoming,
                        flow,
                        verdict: self.verdict.clone(),
                        timer,
                        connection: Some(link),
                        failure: None,
                        exchange,
                        in_flight,
                    });
                    return respond(parts.status, parts.headers, parts.extensions.get(), body, false);
                }
            };
            resends += 1;
            let is_large = failure.error.as_ref().is_some_and(hyper::Error::is_parse_too_large);
            let has_room = is_large && search.make_room();
            let may_go_again = if failure.is_sent {
                has_room || (is_reused && !is_large)
            } else {
                resends <= RESENDS
            };
            request = match failure.request {
                Some(request) if may_go_again => request,
                _ => return broken(failure.error.as_ref(), &link, &flow, exchange),
            };
            reuse = Reuse::Never;
        }
    }

    /// Answers 101, and lets the two sides talk from then on.
    fn switch(&self, mut response: Response<DynoBody>, mut tunnel: Tunnel) -> Response<ResponseBody> {
        let dyno = hyper::upgrade::on(&mut response);
        tunnel.exchange.responded(response.status());
        self.verdict.becomes_a_tunnel();
        self.shared.inbound.spawn(tunnel.run(dyno, self.shared.clone()));
        let (parts, _) = response.into_parts();
        let body = ResponseBody::empty();
        respond(parts.status, parts.headers, parts.extensions.get(), body, true)
    }

    /// Refuses a request, with a record when it is plain whose it was.
    fn refuse(&self, table: &Table, request: &Request<ClientBody>, refusal: Refusal) -> Response<ResponseBody> {
        let status = refusal.status();
        if let Ok(hostname) = check::host(request)
            && let Some(Host::App(app)) = table.host(&hostname)
        {
            let mut exchange = self.open(Some(app.clone()), request, &hostname);
            exchange.refuse(refusal.0, status);
        }
        page::refused(status)
    }

    fn open(&self, app: Option<Arc<App>>, request: &Request<ClientBody>, hostname: &str) -> Exchange {
        let Visitor { address, tls, .. } = self.visitor(request);
        let opening = Opening {
            app,
            method: request.method().clone(),
            uri: request.uri().clone(),
            host: hostname.to_owned(),
            protocol: Protocol::from(request.version()),
            tls,
            peer: address,
        };
        Exchange::open(self.shared.clone(), opening)
    }

    fn visitor(&self, request: &Request<ClientBody>) -> Visitor {
        let followed = self.is_trusted.then(|| request.extensions().get()).flatten();
        followed.copied().unwrap_or(self.visitor)
    }
}

/// The answer for a response that never began, or that nobody understands.
fn broken(error: Option<&hyper::Error>, link: &Link, flow: &Flow, exchange: Exchange) -> Response<ResponseBody> {
    if let Some(limit) = error.and_then(restriction::of_error) {
        return exchange.restrict(limit);
    }
    let is_http = link.is_understood() && !error.is_some_and(hyper::Error::is_parse);
    let code = if is_http { Code::H13 } else { Code::H17 };
    exchange.answer(flow.blame(code))
}

fn build(method: &Method, uri: Uri, headers: HeaderMap, body: RequestBody) -> Request<RequestBody> {
    let mut request = Request::new(body);
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

fn respond(
    status: StatusCode,
    mut headers: HeaderMap,
    reason: Option<&ReasonPhrase>,
    body: ResponseBody,
    upgrade: bool,
) -> Response<ResponseBody> {
    header::to_client(&mut headers, upgrade);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if let Some(reason) = reason {
        response.extensions_mut().insert(reason.clone());
    }
    response
}

/// Dynos get what follows the host, even from a client that sent all of it.
fn origin_form(uri: Uri) -> Uri {
    if uri.authority().is_none() {
        return uri;
    }
    let path = uri.into_parts().path_and_query;
    Uri::from(path.unwrap_or_else(|| uri::PathAndQuery::from_static("/")))
}
