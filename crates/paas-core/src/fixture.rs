//! Dynos for tests, in few words. Times are seconds after some moment.

use std::{collections::BTreeMap, net::SocketAddr, str::FromStr};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{AppWanted, Crash, Dyno, DynoName, DynoSize, DynoState, Endpoint, Id, Release, ReleaseVersion, Routing};

pub(crate) fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

/// A dyno of a release that served. Its id follows from its name and version.
pub(crate) fn dyno(name: &str, version: u32, state: DynoState) -> Dyno {
    let name = DynoName::from_str(name).unwrap();
    let word = name
        .process_type
        .as_str()
        .bytes()
        .fold(0, |word, byte| (word << 8) | u64::from(byte));
    Dyno {
        id: Id::from_uuid(Uuid::from_u128(
            (u128::from(word) << 64) + u128::from(version * 1_000 + name.index),
        )),
        app: Id::from_uuid(Uuid::nil()),
        name,
        release: release(version),
        version: ReleaseVersion::new(version).unwrap(),
        release_served: true,
        size: DynoSize::default(),
        attempt: 1,
        failures: 0,
        state,
        is_condemned: false,
        container: None,
        created_at: at(0),
    }
}

/// An app of which nothing is wanted.
pub(crate) fn blank() -> AppWanted {
    AppWanted {
        app: Id::from_uuid(Uuid::nil()),
        name: "hello".parse().unwrap(),
        hostnames: Vec::new(),
        maintenance: false,
        routing: Routing::default(),
        is_asleep: false,
        target: None,
        formation: BTreeMap::new(),
    }
}

pub(crate) fn release(version: u32) -> Id<Release> {
    Id::from_uuid(Uuid::from_u128(u128::from(version)))
}

pub(crate) fn starting(since: i64) -> DynoState {
    DynoState::Starting { since: at(since) }
}

pub(crate) fn crashed(retry_at: i64) -> DynoState {
    DynoState::Crashed(Crash {
        at: at(0),
        exit_code: Some(1),
        out_of_memory: false,
        boot_timeout: false,
        retry_at: at(retry_at),
    })
}

/// Up, and answering when it is web.
pub(crate) fn up_at(dyno: &Dyno, since: i64) -> DynoState {
    let endpoint = Endpoint {
        container: container_of(dyno),
        address: address_of(dyno),
    };
    DynoState::Up {
        since: at(since),
        endpoint: dyno.is_web().then_some(endpoint),
    }
}

pub(crate) fn container_of(dyno: &Dyno) -> String {
    format!("{} of {}", dyno.name, dyno.version)
}

pub(crate) fn address_of(dyno: &Dyno) -> SocketAddr {
    let (version, index) = (dyno.version.number(), dyno.name.index);
    SocketAddr::from((
        [10, 0, u8::try_from(version).unwrap(), u8::try_from(index).unwrap()],
        5000,
    ))
}
