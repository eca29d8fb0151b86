//! A listener on this machine that hands requests on to the platform's API.
//!
//! Who asks must bring the word that this forwarder made up, or nothing: the word becomes the user's token on the way, so other
//! users of the machine gain nothing by finding the port. Answers come back byte by byte, as they are.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use paas_api::Secret;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};

use crate::{
    client::Client,
    error::{Error, Result},
};

const LARGEST_HEAD: u64 = 64 * 1024;
const LARGEST_BODY: u64 = 64 * 1024 * 1024;
/// Whoever is slower than that on one machine is not there any more.
const PATIENCE: Duration = Duration::from_mins(1);
/// What one hop says to the next (RFC 9110 §7.6.1), and what is said anew on each.
const OF_ONE_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Listens as long as the command runs.
#[derive(Debug)]
pub(super) struct Forwarder {
    address: SocketAddr,
    word: Secret,
}

/// What each connection needs to know.
#[derive(Debug)]
struct Way {
    client: Client,
    word: Secret,
    token: Secret,
}

/// Why a request goes no further.
#[derive(Debug)]
enum Refusal {
    Malformed,
    TooLarge,
    LengthRequired,
    /// The word is not the one.
    Unknown,
    Unreachable(Box<Error>),
}

impl Forwarder {
    /// Forwards to the API of `client`, with this token.
    pub(super) fn start(client: &Client, token: Secret) -> Result<Self> {
        let mut random = [0u8; 32];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let word = Secret::new(URL_SAFE_NO_PAD.encode(random));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let way = Arc::new(Way {
            client: client.clone(),
            word: word.clone(),
            token,
        });
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let way = Arc::clone(&way);
                // A connection that breaks is the business of who made it.
                thread::spawn(move || _ = way.serve(&connection));
            }
        });
        Ok(Self { address, word })
    }

    /// `http://127.0.0.1:PORT`
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn host(&self) -> String {
        self.address.ip().to_string()
    }

    /// What stands for the token here.
    pub(super) const fn word(&self) -> &Secret {
        &self.word
    }
}

impl Way {
    /// One request for each connection: it is told so, and comes again.
    fn serve(&self, connection: &TcpStream) -> io::Result<()> {
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        let mut reader = BufReader::new(connection);
        let answer = read(&mut reader)
            .and_then(|request| self.admit(request))
            .and_then(|request| {
                self.client
                    .forward(request)
                    .map_err(|error| Refusal::Unreachable(Box::new(error)))
            });
        let response = match answer {
            Ok(response) => response,
            Err(refusal) => return refuse(connection, &refusal),
        };
        let (head, body) = response.into_parts();
        let mut told = format!("HTTP/1.1 {}\r\nconnection: close\r\n", head.status).into_bytes();
        for (name, value) in &head.headers {
            if *name == header::CONTENT_LENGTH || !OF_ONE_HOP.contains(name) {
                told.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
            }
        }
        told.extend(b"\r\n");
        let mut writer = connection;
        writer.write_all(&told)?;
        // Piece by piece: a stream is read while it is written.
        let mut body = body.into_reader();
        let mut piece = [0; 16 * 1024];
        loop {
            let length = body.read(&mut piece)?;
            if length == 0 {
                return Ok(());
            }
            writer.write_all(&piece[..length])?;
        }
    }

    /// Puts the token in the place of the word.
    fn admit(&self, mut request: Request<Vec<u8>>) -> Result<Request<Vec<u8>>, Refusal> {
        let Some(given) = request.headers().get(header::AUTHORIZATION) else {
            return Ok(request);
        };
        let given = given.to_str().ok().and_then(|given| given.split_once(' '));
        let (scheme, value) = given.ok_or(Refusal::Unknown)?;
        let ours = if scheme.eq_ignore_ascii_case("bearer") {
            self.is_word(value).then(|| format!("Bearer {}", self.token.expose()))
        } else if scheme.eq_ignore_ascii_case("basic") {
            let pair = STANDARD
                .decode(value)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = pair.ok_or(Refusal::Unknown)?;
            let (user, password) = pair.split_once(':').ok_or(Refusal::Unknown)?;
            let ours = || STANDARD.encode(format!("{user}:{}", self.token.expose()));
            self.is_word(password).then(|| format!("Basic {}", ours()))
        } else {
            None
        };
        let ours = ours
            .and_then(|ours| HeaderValue::try_from(ours).ok())
            .ok_or(Refusal::Unknown)?;
        request.headers_mut().insert(header::AUTHORIZATION, ours);
        Ok(request)
    }

    /// Takes as long for a good guess as for a bad one.
    fn is_word(&self, given: &str) -> bool {
        let (given, word) = (given.as_bytes(), self.word.expose().as_bytes());
        given.len() == word.len() && given.iter().zip(word).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }
}

/// Reads one request whole. Its URI is a path.
fn read(reader: &mut impl io::BufRead) -> Result<Request<Vec<u8>>, Refusal> {
    let mut head = reader.take(LARGEST_HEAD);
    let mut line = || -> Result<String, Refusal> {
        let mut line = String::new();
        head.read_line(&mut line).map_err(|_| Refusal::Malformed)?;
        let text = line.strip_suffix('\n').ok_or(Refusal::Malformed)?;
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1"), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refusal::Malformed);
    };
    if !target.starts_with('/') {
        return Err(Refusal::Malformed);
    }
    let mut headers = HeaderMap::new();
    loop {
        let line = line()?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or(Refusal::Malformed)?;
        let name = HeaderName::try_from(name).map_err(|_| Refusal::Malformed)?;
        headers.append(
            name,
            HeaderValue::try_from(value.trim()).map_err(|_| Refusal::Malformed)?,
        );
    }
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::LengthRequired);
    }
    let length = headers
        .get(header::CONTENT_LENGTH)
        .map(|length| length.to_str().ok()?.parse::<u64>().ok());
    let length = length.map_or(Ok(0), |length| length.ok_or(Refusal::Malformed))?;
    if length > LARGEST_BODY {
        return Err(Refusal::TooLarge);
    }
    for name in OF_ONE_HOP {
        headers.remove(name);
    }
    let mut body = Vec::new();
    let read = reader
        .take(length)
        .read_to_end(&mut body)
        .map_err(|_| Refusal::Malformed)?;
    if read as u64 != length {
        return Err(Refusal::Malformed);
    }
    let mut request = Request::new(body);
    *request.method_mut() = Method::try_from(method).map_err(|_| Refusal::Malformed)?;
    *request.uri_mut() = target.parse().map_err(|_| Refusal::Malformed)?;
    *request.headers_mut() = headers;
    Ok(request)
}

fn refuse(mut connection: &TcpStream, refusal: &Refusal) -> io::Result<()> {
    let (status, id, message) = match refusal {
        Refusal::Malformed => (
            "400 Bad Request",
            "bad_request",
            "This is no request that can be forwarded.".to_owned(),
        ),
        Refusal::TooLarge => (
            "413 Content Too Large",
            "bad_request",
            "The request is too large.".to_owned(),
        ),
        Refusal::LengthRequired => (
            "411 Length Required",
            "bad_request",
            "The request has no length.".to_owned(),
        ),
        Refusal::Unknown => (
            "401 Unauthorized",
            "unauthorized",
            "Only the command that was started by paas heroku is served here.".to_owned(),
        ),
        Refusal::Unreachable(error) => ("502 Bad Gateway", "unreachable", error.to_string()),
    };
    let body = serde_json::json!({ "id": id, "message": message }).to_string();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    connection.write_all(head.as_bytes())?;
    connection.write_all(body.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Request<Vec<u8>>, Refusal> {
        read(&mut text.as_bytes())
    }

    #[test]
    fn a_request_is_read_whole_and_loses_what_is_of_one_hop() {
        let text = "DELETE /log-drains/https%3A%2F%2Fa?eq[name]=x HTTP/1.1\r\nHost: 127.0.0.1:1\r\nConnection: keep-alive\r\n\
                    Range: id ..; max=1\r\ncontent-length: 3\r\n\r\nabcdef";
        let request = parsed(text).unwrap();
        assert_eq!(request.method(), Method::DELETE);
        assert_eq!(request.uri(), "/log-drains/https%3A%2F%2Fa?eq[name]=x");
        assert_eq!(request.body(), b"abc");
        let names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["range"]);
    }

    #[test]
    fn what_is_no_request_goes_no_further() {
        for bad in [
            "",
            "GET / HTTP/1.1\r\n",
            "GET http://example.com/ HTTP/1.1\r\n\r\n",
            "CONNECT example.com:443 HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nnonsense\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nabc",
            "POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        ] {
            assert!(matches!(parsed(bad), Err(Refusal::Malformed)), "{bad:?}");
        }
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        assert!(matches!(parsed(chunked), Err(Refusal::LengthRequired)));
        let large = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n", LARGEST_BODY + 1);
        assert!(matches!(parsed(&large), Err(Refusal::TooLarge)));
        let endless = format!("GET / HTTP/1.1\r\nname: {}\r\n\r\n", "x".repeat(70_000));
        assert!(matches!(parsed(&endless), Err(Refusal::Malformed)));
    }
}
