//! What a proxy in front says about its client before it passes bytes on (haproxy, *The PROXY protocol*, versions 1 and 2).
//!
//! Only trusted addresses are asked, and they must say something: whether a header is there is never guessed.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpStream,
};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// §2.1: the longest line of version 1.
const LONGEST_LINE: usize = 107;
/// Addresses and some dozen extensions; certificates of clients among them could be longer, and nobody asked for those.
const LONGEST_BLOCK: usize = 4096;
/// §2.2.6: the extension that tells of TLS, and its flag for "the client connected over it".
const EXTENSION_SSL: u8 = 0x20;
const CLIENT_SSL: u8 = 0x01;

/// A connection as the proxy saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Introduced {
    pub(crate) client: IpAddr,
    /// Which port of the proxy the client connected to.
    pub(crate) port: u16,
    /// The client talks TLS with the proxy.
    pub(crate) is_secure: bool,
}

#[derive(Debug, Error)]
pub(crate) enum ProxyProtocolError {
    #[error("read the PROXY header")]
    Read(#[from] io::Error),
    #[error("the PROXY header is malformed")]
    Malformed,
}

/// Reads the header, and not a byte more. `None` when the connection is the proxy's own, a health check for one.
pub(crate) async fn introduction(stream: &mut TcpStream) -> Result<Option<Introduced>, ProxyProtocolError> {
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        return binary(stream).await;
    }
    if !start.starts_with(b"PROXY ") {
        return Err(ProxyProtocolError::Malformed);
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\n") {
        if line.len() == LONGEST_LINE {
            return Err(ProxyProtocolError::Malformed);
        }
        // What is behind the line is not ours, so it is only looked at until the line's end is known.
        let mut ahead = [0; LONGEST_LINE];
        let seen = stream.peek(&mut ahead[..LONGEST_LINE - line.len()]).await?;
        if seen == 0 {
            return Err(ProxyProtocolError::Malformed);
        }
        let ours = memchr::memchr(b'\n', &ahead[..seen]).map_or(seen, |end| end + 1);
        stream.read_exact(&mut ahead[..ours]).await?;
        line.extend_from_slice(&ahead[..ours]);
    }
    text(&line)
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n`
fn text(line: &[u8]) -> Result<Option<Introduced>, ProxyProtocolError> {
    let malformed = || ProxyProtocolError::Malformed;
    let line = line.strip_suffix(b"\r\n").ok_or_else(malformed)?;
    let words: Vec<_> = str::from_utf8(line).map_err(|_| malformed())?.split(' ').collect();
    let ["PROXY", family, rest @ ..] = words.as_slice() else {
        return Err(malformed());
    };
    if *family == "UNKNOWN" {
        return Ok(None);
    }
    let [source, destination, source_port, port] = rest else {
        return Err(malformed());
    };
    let (client, own): (IpAddr, IpAddr) = match (source.parse(), destination.parse()) {
        (Ok(client), Ok(own)) => (client, own),
        _ => return Err(malformed()),
    };
    let is_of_family = |address: &IpAddr| match *family {
        "TCP4" => address.is_ipv4(),
        "TCP6" => address.is_ipv6(),
        _ => false,
    };
    let ports = (source_port.parse::<u16>(), port.parse());
    match ports {
        (Ok(_), Ok(port)) if is_of_family(&client) && is_of_family(&own) => Ok(Some(Introduced {
            client: client.to_canonical(),
            port,
            is_secure: false,
        })),
        _ => Err(malformed()),
    }
}

async fn binary(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Introduced>, ProxyProtocolError> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let [command, family, high, low] = header;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if command >> 4 != 2 || length > LONGEST_BLOCK {
        return Err(ProxyProtocolError::Malformed);
    }
    let mut block = vec![0; length];
    stream.read_exact(&mut block).await?;
    match command & 0x0f {
        // LOCAL: the addresses, if any, mean nothing.
        0 => Ok(None),
        1 => addresses(family, &block),
        _ => Err(ProxyProtocolError::Malformed),
    }
}

fn addresses(family: u8, block: &[u8]) -> Result<Option<Introduced>, ProxyProtocolError> {
    let malformed = || ProxyProtocolError::Malformed;
    let (client, port, extensions): (IpAddr, _, _) = match family {
        0x11 => {
            let (address, rest) = block.split_first_chunk::<4>().ok_or_else(malformed)?;
            let (port, extensions) = ports(rest.get(4..).ok_or_else(malformed)?)?;
            (Ipv4Addr::from(*address).into(), port, extensions)
        }
        0x21 => {
            let (address, rest) = block.split_first_chunk::<16>().ok_or_else(malformed)?;
            let (port, extensions) = ports(rest.get(16..).ok_or_else(malformed)?)?;
            (Ipv6Addr::from(*address).into(), port, extensions)
        }
        // UNSPEC, datagrams and unix sockets tell of no client that we could name.
        _ => return Ok(None),
    };
    Ok(Some(Introduced {
        client: client.to_canonical(),
        port,
        is_secure: is_secure(extensions)?,
    }))
}

/// The proxy's port, and what is behind both.
fn ports(bytes: &[u8]) -> Result<(u16, &[u8]), ProxyProtocolError> {
    match bytes {
        [_, _, high, low, rest @ ..] => Ok((u16::from_be_bytes([*high, *low]), rest)),
        _ => Err(ProxyProtocolError::Malformed),
    }
}

fn is_secure(mut extensions: &[u8]) -> Result<bool, ProxyProtocolError> {
    let mut is_secure = false;
    while let [kind, high, low, rest @ ..] = extensions {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, rest) = rest.split_at_checked(length).ok_or(ProxyProtocolError::Malformed)?;
        is_secure |= *kind == EXTENSION_SSL && value.first().is_some_and(|flags| flags & CLIENT_SSL != 0);
        extensions = rest;
    }
    Ok(is_secure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_the_specification_shows_or_malformed() {
        let client =
            |line: &str| text(line.as_bytes()).map(|known| known.map(|known| (known.client.to_string(), known.port)));
        assert_eq!(
            client("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n").unwrap(),
            Some(("192.0.2.1".to_owned(), 443))
        );
        assert_eq!(
            client("PROXY TCP6 2001:db8::1 2001:db8::2 1 80\r\n").unwrap(),
            Some(("2001:db8::1".to_owned(), 80))
        );
        assert_eq!(client("PROXY UNKNOWN\r\n").unwrap(), None);
        assert_eq!(client("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n").unwrap(), None);
        for line in [
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 65536\r\n",
            "PROXY TCP4 2001:db8::1 198.51.100.1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 2001:db8::1 1 2\r\n",
            "PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
            "PROXY \r\n",
        ] {
            assert!(client(line).is_err(), "{line:?}");
        }
    }

    #[tokio::test]
    async fn blocks_are_what_the_specification_shows_or_malformed() {
        let local = [0x20, 0, 0, 0];
        assert_eq!(binary(&mut &local[..]).await.unwrap(), None);
        let ports = [0xdc, 0x04, 0x01, 0xbb];
        let ssl = [EXTENSION_SSL, 0, 5, CLIENT_SSL, 0, 0, 0, 0];
        let v4 = [
            &[0x21, 0x11, 0, 20][..],
            &[192, 0, 2, 1],
            &[198, 51, 100, 1],
            &ports,
            &ssl,
        ]
        .concat();
        let known = binary(&mut &v4[..]).await.unwrap().unwrap();
        assert_eq!(
            (known.client.to_string(), known.port, known.is_secure),
            ("192.0.2.1".to_owned(), 443, true)
        );
        let v6 = [&[0x21, 0x21, 0, 36][..], &[0xfd; 16], &[0xfe; 16], &ports].concat();
        let known = binary(&mut &v6[..]).await.unwrap().unwrap();
        assert_eq!(
            (known.client, known.port, known.is_secure),
            (Ipv6Addr::from([0xfd; 16]).into(), 443, false)
        );
        let unix = [&[0x21, 0x31, 0, 2][..], &[0, 0]].concat();
        assert_eq!(binary(&mut &unix[..]).await.unwrap(), None);
        for malformed in [
            &[0x11, 0x11, 0, 0][..],
            &[0x22, 0x11, 0, 0],
            &[0x21, 0x11, 0, 3, 1, 2, 3],
            &[0x21, 0x11, 0xff, 0xff],
            &[
                0x21,
                0x11,
                0,
                15,
                1,
                2,
                3,
                4,
                1,
                2,
                3,
                4,
                0,
                1,
                0,
                2,
                EXTENSION_SSL,
                0,
                9,
            ],
        ] {
            assert!(binary(&mut &*malformed).await.is_err(), "{malformed:?}");
        }
    }
}
