use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::sync::{Arc, Mutex};

use tokio::{io::AsyncReadExt, net::TcpListener};

use super::*;

/// A server that gives these answers, one to each connection, and keeps what it was asked.
async fn server(answers: Vec<String>) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    tokio_util::task::TaskTracker::new().spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            heard.lock().unwrap().push(String::from_utf8(head).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (port, asked)
}

async fn fetched(url: &str, allows_private: bool) -> Result<String, FetchError> {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("archive");
    let policy = if allows_private {
        Policy::Anywhere
    } else {
        Policy::Public
    };
    let connector = Connector::new(policy, Path::new("/nonexistent")).unwrap();
    let result = fetch(&connector, &Address::parse(url, allows_private)?, &target).await;
    assert_eq!(target.exists(), result.is_ok(), "a file of a failed fetch stays behind");
    result.map(|_| std::fs::read_to_string(target).unwrap())
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_source_is_found_behind_redirections() {
    let (port, asked) = server(vec![
        answer("302 Found", "Location: /there?signature=1\r\n", ""),
        answer("200 OK", "", "the source"),
    ])
    .await;
    let body = fetched(&format!("http://me:se%63ret@127.0.0.1:{port}/here"), true).await;
    assert_eq!(body.unwrap(), "the source");
    let asked = asked.lock().unwrap().join("");
    assert!(
        asked.contains("GET /here HTTP/1.1") && asked.contains("GET /there?signature=1 HTTP/1.1"),
        "{asked}"
    );
    let login = BASE64_STANDARD.encode("me:secret");
    assert!(asked.contains(&format!("Basic {login}")), "{asked}");
}

#[tokio::test]
async fn what_is_inside_is_not_fetched() {
    for host in [
        "127.0.0.1",
        "localhost",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fd00::1]",
        "0.0.0.0",
    ] {
        let refused = fetched(&format!("https://{host}/x"), false).await.unwrap_err();
        assert!(matches!(refused, FetchError::Private { .. }), "{host}: {refused}");
    }
}

#[tokio::test]
async fn an_address_is_a_whole_https_url() {
    for url in [
        "http://example.com/x",
        "file:///etc/passwd",
        "example.com",
        "",
        "https://",
        "not a url",
        "ftp://example.com/",
    ] {
        let refused = Address::parse(url, false).map(|_| ()).unwrap_err();
        assert!(matches!(refused, FetchError::BadUrl), "{url}: {refused}");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_source_is_told() {
    let (port, _) = server(vec![answer("404 Not Found", "", "")]).await;
    let refused = fetched(&format!("http://127.0.0.1:{port}/x"), true).await.unwrap_err();
    assert_eq!(refused.to_string(), "127.0.0.1 answered 404 Not Found");

    let (port, _) = server(vec![answer("302 Found", "Location: file:///etc/passwd\r\n", "")]).await;
    let refused = fetched(&format!("http://127.0.0.1:{port}/x"), true).await.unwrap_err();
    assert!(matches!(refused, FetchError::BadUrl), "{refused}");

    let again = answer("302 Found", "Location: /x\r\n", "");
    let (port, _) = server(vec![again; 6]).await;
    let refused = fetched(&format!("http://127.0.0.1:{port}/x"), true).await.unwrap_err();
    assert!(matches!(refused, FetchError::Lost { .. }), "{refused}");

    let (port, _) = server(vec!["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned()]).await;
    let refused = fetched(&format!("http://127.0.0.1:{port}/x"), true).await.unwrap_err();
    assert!(matches!(refused, FetchError::Unreachable { .. }), "{refused}");
}

#[test]
fn permissions_in_an_address_are_not_shown() {
    let address = Address::parse("https://me:secret@example.com:8443/a/b?signature=secret", false).unwrap();
    assert_eq!(
        format!("{address} {address:?}"),
        "https://example.com:8443/a/b https://example.com:8443/a/b"
    );
}
