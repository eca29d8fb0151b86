//! What a payload is, and what has to become of it.

/// One request that two servers could read differently, or that looks as if they could.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// Where the trick is known from.
    pub(crate) source: &'static str,
    pub(crate) payload: &'static str,
    pub(crate) fate: Fate,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    /// Answered with this status, then the connection is closed; not one byte reaches the dyno.
    Refused(u16),
    /// Its head was in order and may have gone on; its body never becomes whole, and the connection is closed.
    Broken,
    /// Harmless: the dyno gets exactly this, and what follows is a request of its own.
    Passed(&'static str),
}

pub(crate) const fn refused(name: &'static str, source: &'static str, payload: &'static str) -> Attack {
    Attack {
        name,
        source,
        payload,
        fate: Fate::Refused(400),
    }
}

pub(crate) const fn broken(name: &'static str, source: &'static str, payload: &'static str) -> Attack {
    Attack {
        name,
        source,
        payload,
        fate: Fate::Broken,
    }
}

pub(crate) const fn passed(
    name: &'static str,
    source: &'static str,
    payload: &'static str,
    seen: &'static str,
) -> Attack {
    Attack {
        name,
        source,
        payload,
        fate: Fate::Passed(seen),
    }
}

/// A `POST` with these header lines and this body.
macro_rules! post {
    ($headers:expr, $body:expr) => {
        concat!(
            "POST /attack HTTP/1.1\r\nHost: hello.test\r\n",
            $headers,
            "\r\n\r\n",
            $body
        )
    };
}

/// A `GET` with these header lines.
macro_rules! get {
    ($headers:expr) => {
        concat!("GET /attack HTTP/1.1\r\nHost: hello.test\r\n", $headers, "\r\n\r\n")
    };
}

pub(crate) use {get, post};
