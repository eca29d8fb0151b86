//! Certificates that the router serves: uploaded ones, which belong to an app, and managed ones, which belong to their
//! names. A private key leaves this crate only through [`key`].

mod served;

use chrono::{DateTime, Utc};
use paas_core::{App, DomainName, Id};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

pub use served::{Served, all_served};

use crate::{
    PgConnection, Sealed, Sealer, Stamp, StoreError,
    column::{corrupt, parse},
    domain,
    event::{self, Change},
    new_id,
};

const NOUN: &str = "certificate key";

/// A certificate with its chain; its key is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub id: Id<Certificate>,
    pub source: Source,
    /// What it is valid for.
    pub hostnames: Vec<DomainName>,
    /// Leaf first.
    pub chain_pem: String,
    key: Sealed,
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    /// Changes with the chain and the key.
    pub updated_at: DateTime<Utc>,
}

/// Where a certificate came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Somebody uploaded it for an app: an SNI endpoint with a name, such as `ichthyosaur-33412`.
    Uploaded { app: Id<App>, name: String },
    /// An authority issued it.
    Acme,
    /// Our own authority issued it, for a name that no other can validate.
    Local,
}

/// What is in a certificate: its leaf's names and dates, all of its chain, and its private key.
#[derive(Clone, Copy)]
pub struct Material<'a> {
    pub hostnames: &'a [DomainName],
    pub chain_pem: &'a str,
    pub key_pem: &'a str,
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
}

impl Source {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Uploaded { .. } => "uploaded",
            Self::Acme => "acme",
            Self::Local => "local",
        }
    }
}

impl Certificate {
    pub fn covers(&self, name: &DomainName) -> bool {
        self.hostnames.iter().any(|hostname| hostname.covers(name))
    }

    pub fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        self.not_before <= now && now < self.not_after
    }
}

macro_rules! select_certificates {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select
                certificates.id,
                certificates.app,
                certificates.name,
                certificates.source,
                certificates.hostnames,
                certificates.chain_pem,
                certificates.key,
                certificates.not_before,
                certificates.not_after,
                certificates.created_at,
                certificates.updated_at
            from certificates
            " + $filter
            $(, $argument)*
        )
    };
}

/// All uploaded certificates of an app, by name; then the managed ones that cover a domain of it.
pub async fn list_of_app(conn: &mut PgConnection, app: Id<App>) -> Result<Vec<Certificate>, StoreError> {
    let domains = domain::list_of_app(conn, app).await?;
    let mut names: Vec<_> = domains.iter().map(|domain| domain.hostname.clone()).collect();
    names.extend(domains.iter().filter_map(|domain| domain.hostname.wildcard_above()));
    select_certificates!(
        "where certificates.app = $1
            or (certificates.source <> 'uploaded' and certificates.hostnames && $2)
        order by certificates.name, certificates.hostnames, certificates.created_at",
        app.as_uuid(),
        &texts(&names),
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Certificate::try_from)
    .collect()
}

/// The managed certificates of all names, oldest first.
pub async fn managed(conn: &mut PgConnection) -> Result<Vec<Certificate>, StoreError> {
    select_certificates!("where certificates.source <> 'uploaded' order by certificates.id")
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Certificate::try_from)
        .collect()
}

/// The app's uploaded certificate with this name or id.
pub async fn find(conn: &mut PgConnection, app: Id<App>, name_or_id: &str) -> Result<Option<Certificate>, StoreError> {
    let found = if let Ok(id) = name_or_id.parse::<Uuid>() {
        select_certificates!(
            "where certificates.app = $1 and certificates.id = $2",
            app.as_uuid(),
            id
        )
        .fetch_optional(conn)
        .await?
    } else {
        select_certificates!(
            "where certificates.app = $1 and certificates.name = $2",
            app.as_uuid(),
            name_or_id,
        )
        .fetch_optional(conn)
        .await?
    };
    found.map(Certificate::try_from).transpose()
}

pub async fn by_id(conn: &mut PgConnection, id: Id<Certificate>) -> Result<Option<Certificate>, StoreError> {
    select_certificates!("where certificates.id = $1", id.as_uuid())
        .fetch_optional(conn)
        .await?
        .map(Certificate::try_from)
        .transpose()
}

/// The private key, in the clear.
pub fn key(sealer: &Sealer, certificate: &Certificate) -> Result<String, StoreError> {
    let bytes = sealer.open(NOUN, certificate.id.as_uuid(), &certificate.key)?;
    String::from_utf8(bytes).map_err(|_| corrupt(NOUN, "no text"))
}

/// Keeps what somebody uploaded. Fails with [`StoreError::NameTaken`].
pub async fn upload(
    conn: &mut PgConnection,
    sealer: &Sealer,
    app: Id<App>,
    name: &str,
    material: Material<'_>,
    stamp: Stamp,
) -> Result<Certificate, StoreError> {
    let mut transaction = conn.begin().await?;
    if !crate::app::lock(&mut transaction, app).await? {
        return Err(StoreError::AppGone);
    }
    let name = name.to_owned();
    let certificate = insert(
        &mut transaction,
        sealer,
        Source::Uploaded { app, name },
        material,
        stamp.at,
    )
    .await?;
    record_upload(&mut transaction, &certificate, "create", stamp).await?;
    transaction.commit().await?;
    Ok(certificate)
}

/// Keeps what an authority issued. Those before it stay: it serves from now on because it is newer.
pub async fn issued_by_acme(
    conn: &mut PgConnection,
    sealer: &Sealer,
    material: Material<'_>,
    now: DateTime<Utc>,
) -> Result<Certificate, StoreError> {
    let mut transaction = conn.begin().await?;
    let certificate = insert(&mut transaction, sealer, Source::Acme, material, now).await?;
    record_issued(&mut transaction, &certificate, now).await?;
    transaction.commit().await?;
    Ok(certificate)
}

/// Keeps what our own authority issued.
pub async fn issued_locally(
    conn: &mut PgConnection,
    sealer: &Sealer,
    material: Material<'_>,
    now: DateTime<Utc>,
) -> Result<Certificate, StoreError> {
    insert(conn, sealer, Source::Local, material, now).await
}

/// Puts new chain and key in the place of an uploaded certificate; the domains that chose it keep it.
pub async fn replace(
    conn: &mut PgConnection,
    sealer: &Sealer,
    id: Id<Certificate>,
    material: Material<'_>,
    stamp: Stamp,
) -> Result<Certificate, StoreError> {
    let mut transaction = conn.begin().await?;
    sqlx::query!(
        "update certificates
        set hostnames = $2, chain_pem = $3, key = $4, not_before = $5, not_after = $6, updated_at = $7
        where id = $1
            and source = 'uploaded'",
        id.as_uuid(),
        &texts(material.hostnames),
        material.chain_pem,
        sealer.seal(NOUN, id.as_uuid(), material.key_pem.as_bytes()).0,
        material.not_before,
        material.not_after,
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let certificate = by_id(&mut transaction, id).await?;
    let certificate = certificate.ok_or(StoreError::CertificateGone)?;
    record_upload(&mut transaction, &certificate, "update", stamp).await?;
    transaction.commit().await?;
    Ok(certificate)
}

/// Removes an uploaded certificate; domains that chose it go back to the managed one of their name.
pub async fn delete(conn: &mut PgConnection, id: Id<Certificate>, stamp: Stamp) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let certificate = by_id(&mut transaction, id).await?;
    let certificate = certificate.ok_or(StoreError::CertificateGone)?;
    sqlx::query!(
        "delete from certificates
        where id = $1
            and source = 'uploaded'",
        id.as_uuid(),
    )
    .execute(&mut *transaction)
    .await?;
    record_upload(&mut transaction, &certificate, "destroy", stamp).await?;
    Ok(transaction.commit().await?)
}

/// Forgets the managed certificates that ended before this time. Says how many there were.
pub async fn delete_expired(conn: &mut PgConnection, before: DateTime<Utc>) -> Result<u64, StoreError> {
    let deleted = sqlx::query!(
        "delete from certificates
        where source <> 'uploaded'
            and not_after < $1",
        before,
    );
    Ok(deleted.execute(conn).await?.rows_affected())
}

/// Every certificate, served or not.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<Certificate>, StoreError> {
    select_certificates!("order by certificates.id")
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Certificate::try_from)
        .collect()
}

async fn insert(
    conn: &mut PgConnection,
    sealer: &Sealer,
    source: Source,
    material: Material<'_>,
    now: DateTime<Utc>,
) -> Result<Certificate, StoreError> {
    let id = new_id::<Certificate>(now);
    let key = sealer.seal(NOUN, id.as_uuid(), material.key_pem.as_bytes());
    let (app, name) = match &source {
        Source::Uploaded { app, name } => (Some(*app.as_uuid()), Some(name.as_str())),
        Source::Acme | Source::Local => (None, None),
    };
    sqlx::query!(
        "insert into certificates
            (id, app, name, source, hostnames, chain_pem, key, not_before, not_after, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
        id.as_uuid(),
        app,
        name,
        source.as_str(),
        &texts(material.hostnames),
        material.chain_pem,
        key.0,
        material.not_before,
        material.not_after,
        now,
    )
    .execute(&mut *conn)
    .await?;
    by_id(conn, id).await?.ok_or(StoreError::CertificateGone)
}

fn texts(hostnames: &[DomainName]) -> Vec<String> {
    hostnames.iter().map(ToString::to_string).collect()
}

async fn record_upload(
    conn: &mut PgConnection,
    certificate: &Certificate,
    action: &str,
    stamp: Stamp,
) -> Result<(), StoreError> {
    let Source::Uploaded { app, name } = &certificate.source else {
        return Err(StoreError::CertificateGone);
    };
    let change = Change {
        action,
        resource: "sni-endpoint",
        id: certificate.id.as_uuid(),
    };
    let mut payload = facts(certificate);
    payload["name"] = json!(name);
    event::record(conn, change.by(*app, stamp, payload)).await
}

/// One event for each app that has one of its names; one without an app for names of the platform itself.
async fn record_issued(
    conn: &mut PgConnection,
    certificate: &Certificate,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let apps = sqlx::query_scalar!(
        "select distinct app
        from domains
        where hostname = any($1)",
        &texts(&certificate.hostnames),
    );
    let mut apps: Vec<_> = apps.fetch_all(&mut *conn).await?.into_iter().map(Some).collect();
    if apps.is_empty() {
        apps.push(None);
    }
    for app in apps {
        let event = event::Event {
            app: app.map(Id::from_uuid),
            actor: None,
            action: "create".to_owned(),
            resource: "acm".to_owned(),
            resource_id: Some(*certificate.id.as_uuid()),
            payload: facts(certificate),
            at: now,
        };
        event::record(conn, event).await?;
    }
    Ok(())
}

/// What an event tells of it.
fn facts(certificate: &Certificate) -> serde_json::Value {
    json!({
        "hostnames": texts(&certificate.hostnames),
        "expires_at": certificate.not_after,
    })
}

struct Row {
    id: Uuid,
    app: Option<Uuid>,
    name: Option<String>,
    source: String,
    hostnames: Vec<String>,
    chain_pem: String,
    key: Vec<u8>,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Certificate {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let source = match (row.source.as_str(), row.app, row.name) {
            ("uploaded", Some(app), Some(name)) => Source::Uploaded { app: app.into(), name },
            ("acme", None, None) => Source::Acme,
            ("local", None, None) => Source::Local,
            _ => return Err(corrupt("certificate", &row.source)),
        };
        let hostnames = row.hostnames.iter().map(|name| parse("certificate", name));
        Ok(Self {
            id: row.id.into(),
            source,
            hostnames: hostnames.collect::<Result<_, _>>()?,
            chain_pem: row.chain_pem,
            key: Sealed(row.key),
            not_before: row.not_before,
            not_after: row.not_after,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[cfg(test)]
mod tests;
