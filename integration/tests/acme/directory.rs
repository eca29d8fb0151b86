//! An authority that knows about renewal (RFC 9773) and issues nothing.

use std::{
    convert::Infallible,
    fs,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use paas_router::acme::{Authority, Directory};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

/// What it does.
#[derive(Debug, Clone)]
pub(crate) struct Manners {
    /// Has renewal information at all.
    pub(crate) knows_renewal: bool,
    /// Start and end of the window.
    pub(crate) window: (&'static str, &'static str),
    /// What it says about when to ask again.
    pub(crate) retry_after: Option<&'static str>,
    /// Refuses orders that replace a certificate, with this type of problem.
    pub(crate) refuses_replacements: Option<&'static str>,
    /// Says of an order that it takes what it replaces.
    pub(crate) reflects_replacements: bool,
}

pub(crate) struct FakeDirectory {
    shared: Arc<Shared>,
    folder: TempDir,
}

struct Shared {
    url: String,
    manners: Manners,
    /// What was asked: paths of renewal information and bodies of orders.
    asked: Mutex<Vec<(String, Value)>>,
}

impl Manners {
    pub(crate) fn good() -> Self {
        Self {
            knows_renewal: true,
            window: ("2026-03-01T04:00:00Z", "2026-03-03T04:00:00Z"),
            retry_after: Some("3600"),
            refuses_replacements: None,
            reflects_replacements: true,
        }
    }
}

impl FakeDirectory {
    pub(crate) async fn start(manners: Manners) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared {
            url: format!("https://localhost:{}", listener.local_addr().unwrap().port()),
            manners,
            asked: Mutex::default(),
        });
        let (acceptor, serving) = (TlsAcceptor::from(Arc::new(config)), shared.clone());
        let tracker = TaskTracker::new();
        tracker.clone().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tracker.spawn(serve(stream, acceptor.clone(), serving.clone()));
            }
        });
        Self { shared, folder }
    }

    pub(crate) async fn connect(&self) -> Authority {
        let directory = Directory {
            url: format!("{}/directory", self.shared.url),
            ca_file: Some(self.folder.path().join("ca.pem")),
            email: None,
            external_account: None,
        };
        Authority::connect(&directory, None).await.unwrap().authority
    }

    /// What was asked at this path, without the path: the rest of the address, and the payload.
    pub(crate) fn asked(&self, path: &str) -> Vec<(String, Value)> {
        let asked = self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let below = |(asked, payload): &(String, Value)| Some((asked.strip_prefix(path)?.to_owned(), payload.clone()));
        asked.iter().filter_map(below).collect()
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let service = service_fn(|request: Request<Incoming>| async {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Ok::<_, Infallible>(shared.answer(&parts.method, parts.uri.path(), &body))
    });
    // The client may go at any time.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Shared {
    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Response<Full<Bytes>> {
        let at = |path: &str| format!("{}{path}", self.url);
        let jose: Value = serde_json::from_slice(body).unwrap_or_default();
        let payload = BASE64_URL_SAFE_NO_PAD.decode(jose["payload"].as_str().unwrap_or_default());
        let payload: Value = serde_json::from_slice(&payload.unwrap()).unwrap_or_default();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push((path.to_owned(), payload.clone()));
        let mut response = Response::builder().header("replay-nonce", "nonce");
        let answer = match (method, path) {
            (&Method::GET, "/directory") => {
                let mut directory =
                    json!({ "newNonce": at("/nonce"), "newAccount": at("/account"), "newOrder": at("/order") });
                if self.manners.knows_renewal {
                    directory["renewalInfo"] = at("/renewal").into();
                }
                directory
            }
            (&Method::HEAD, _) => Value::Null,
            (_, "/account") => {
                response = response.header(header::LOCATION, at("/account/1"));
                json!({ "status": "valid" })
            }
            (_, "/order") => match self.manners.refuses_replacements {
                Some(kind) if !payload["replaces"].is_null() => {
                    response = response.status(StatusCode::CONFLICT);
                    json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": "not this one" })
                }
                _ => {
                    response = response.header(header::LOCATION, at("/order/1"));
                    let mut order = json!({ "status": "pending", "authorizations": [], "finalize": at("/finalize") });
                    if let Some(replaces) = payload.get("replaces")
                        && self.manners.reflects_replacements
                    {
                        order["replaces"] = replaces.clone();
                    }
                    order
                }
            },
            (_, path) if path.starts_with("/renewal/") => {
                if let Some(after) = self.manners.retry_after {
                    response = response.header(header::RETRY_AFTER, after);
                }
                let (start, end) = self.manners.window;
                json!({ "suggestedWindow": { "start": start, "end": end }, "explanationURL": at("/why") })
            }
            _ => {
                response = response.status(StatusCode::NOT_FOUND);
                json!({ "detail": "no such page" })
            }
        };
        response.body(answer.to_string().into()).unwrap()
    }
}
