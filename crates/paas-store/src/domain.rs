//! Custom domains. The name that the platform gives each app has no row; neither has a domain of a destroyed app.

use chrono::{DateTime, Utc};
use paas_core::{App, DomainName, Id};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Stamp, StoreError, app,
    certificate::Certificate,
    column::parse,
    event::{self, Change},
    new_id,
};

/// A name that an app answers to besides its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    pub id: Id<Domain>,
    pub app: Id<App>,
    pub hostname: DomainName,
    /// The SNI endpoint that was chosen for it; without one, it is served with the managed certificate of its name.
    pub certificate: Option<Chosen>,
    /// Its app manages certificates: one without a chosen certificate gets one by itself.
    pub acm: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// An uploaded certificate, seen from a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub id: Id<Certificate>,
    pub name: String,
}

/// What makes a domain.
#[derive(Debug, Clone)]
pub struct NewDomain<'a> {
    pub app: Id<App>,
    pub hostname: &'a DomainName,
    pub certificate: Option<Id<Certificate>>,
}

/// Domains are added one at a time, so that two owners never get names that overlap.
const OVERLAP_LOCK: i64 = 0x646f_6d61_696e;

macro_rules! select_domains {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select
                domains.id,
                domains.app,
                domains.hostname,
                domains.certificate,
                certificates.name as "certificate_name?",
                apps.acm,
                domains.created_at,
                domains.updated_at
            from domains
            join apps on apps.id = domains.app
            left join certificates on certificates.id = domains.certificate
            "# + $filter
            $(, $argument)*
        )
    };
}

/// The domains of an app, by name.
pub async fn list_of_app(conn: &mut PgConnection, app: Id<App>) -> Result<Vec<Domain>, StoreError> {
    select_domains!("where domains.app = $1 order by domains.hostname", app.as_uuid())
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Domain::try_from)
        .collect()
}

/// The domains of all apps, by name.
pub async fn list_all(conn: &mut PgConnection) -> Result<Vec<Domain>, StoreError> {
    select_domains!("where apps.destroyed_at is null order by domains.hostname")
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(Domain::try_from)
        .collect()
}

/// The app's domain with this name or id.
pub async fn find(conn: &mut PgConnection, app: Id<App>, name_or_id: &str) -> Result<Option<Domain>, StoreError> {
    let found = if let Ok(id) = name_or_id.parse::<Uuid>() {
        select_domains!("where domains.app = $1 and domains.id = $2", app.as_uuid(), id)
            .fetch_optional(conn)
            .await?
    } else {
        // As it was typed when it was added: in any alphabet and case.
        let Ok(name) = DomainName::custom(name_or_id) else {
            return Ok(None);
        };
        let name = name.to_string();
        select_domains!("where domains.app = $1 and domains.hostname = $2", app.as_uuid(), name)
            .fetch_optional(conn)
            .await?
    };
    found.map(Domain::try_from).transpose()
}

/// The domain with exactly this name, of any app.
pub async fn by_name(conn: &mut PgConnection, name: &DomainName) -> Result<Option<Domain>, StoreError> {
    select_domains!(
        "where domains.hostname = $1 and apps.destroyed_at is null",
        name.to_string()
    )
    .fetch_optional(conn)
    .await?
    .map(Domain::try_from)
    .transpose()
}

/// How many the app has.
pub async fn count(conn: &mut PgConnection, app: Id<App>) -> Result<u64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!"
        from domains
        where app = $1"#,
        app.as_uuid(),
    );
    Ok(count.fetch_one(conn).await?.unsigned_abs())
}

/// Fails with [`StoreError::DomainTaken`]: one name is of one app, and of two names that overlap (`*.example.com` and
/// `www.example.com`) both are of one owner, so that nobody takes requests away from somebody else (Dev Center, *Custom
/// Domain Names*). Fails with [`StoreError::CertificateGone`] when the certificate is not one of the app.
pub async fn create(conn: &mut PgConnection, new: NewDomain<'_>, stamp: Stamp) -> Result<Domain, StoreError> {
    let mut transaction = conn.begin().await?;
    if !app::lock(&mut transaction, new.app).await? {
        return Err(StoreError::AppGone);
    }
    sqlx::query!("select pg_advisory_xact_lock($1)", OVERLAP_LOCK)
        .execute(&mut *transaction)
        .await?;
    if overlaps(&mut transaction, new.app, new.hostname).await? {
        return Err(StoreError::DomainTaken);
    }
    if let Some(certificate) = new.certificate {
        check_certificate(&mut transaction, new.app, certificate).await?;
    }
    let id = new_id::<Domain>(stamp.at);
    sqlx::query!(
        "insert into domains (id, app, hostname, certificate, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $5)",
        id.as_uuid(),
        new.app.as_uuid(),
        new.hostname.to_string(),
        new.certificate.as_ref().map(Id::as_uuid),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let domain = by_id(&mut transaction, id).await?;
    record(&mut transaction, &domain, "create", stamp).await?;
    transaction.commit().await?;
    Ok(domain)
}

/// Chooses the certificate of a domain; `None` leaves it to the managed one. Fails with [`StoreError::DomainGone`], and with
/// [`StoreError::CertificateGone`] when the certificate is not one of the app.
pub async fn set_certificate(
    conn: &mut PgConnection,
    id: Id<Domain>,
    certificate: Option<Id<Certificate>>,
    stamp: Stamp,
) -> Result<Domain, StoreError> {
    let mut transaction = conn.begin().await?;
    let app = sqlx::query_scalar!(
        "update domains
        set updated_at = $2
        where id = $1
        returning app",
        id.as_uuid(),
        stamp.at,
    );
    let app = app.fetch_optional(&mut *transaction).await?;
    let app = app.ok_or(StoreError::DomainGone)?;
    if let Some(certificate) = certificate {
        check_certificate(&mut transaction, app.into(), certificate).await?;
    }
    sqlx::query!(
        "update domains
        set certificate = $2
        where id = $1",
        id.as_uuid(),
        certificate.as_ref().map(Id::as_uuid),
    )
    .execute(&mut *transaction)
    .await?;
    let domain = by_id(&mut transaction, id).await?;
    record(&mut transaction, &domain, "update", stamp).await?;
    transaction.commit().await?;
    Ok(domain)
}

/// Removes it, and says what it was. Its managed certificate stays until it expires: a name that comes back needs no new
/// one. Fails with [`StoreError::DomainGone`].
pub async fn delete(conn: &mut PgConnection, id: Id<Domain>, stamp: Stamp) -> Result<Domain, StoreError> {
    let mut transaction = conn.begin().await?;
    let domain = by_id(&mut transaction, id).await?;
    let deleted = sqlx::query!("delete from domains where id = $1", id.as_uuid());
    if deleted.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Err(StoreError::DomainGone);
    }
    record(&mut transaction, &domain, "destroy", stamp).await?;
    transaction.commit().await?;
    Ok(domain)
}

/// Whether an app of another owner has a wildcard that takes this name, or a name that this wildcard would take.
async fn overlaps(conn: &mut PgConnection, app: Id<App>, name: &DomainName) -> Result<bool, StoreError> {
    let (above, below) = match name {
        DomainName::Exact(_) => (name.wildcard_above().map(|above| above.to_string()), None),
        // No underscore and no percent sign can be in a hostname.
        DomainName::Wildcard(base) => (None, Some(format!("%.{base}"))),
    };
    let found = sqlx::query_scalar!(
        r#"select exists (
            select
            from domains
            join apps on apps.id = domains.app
            where coalesce(apps.owner, apps.team) <> (select coalesce(owner, team) from apps where id = $1)
                and (
                    domains.hostname = $2
                    or (domains.hostname like $3 and split_part(domains.hostname, '.', 1) || $4 = domains.hostname)
                )
        ) as "exists!""#,
        app.as_uuid(),
        above,
        below,
        format!(".{}", name.base()),
    );
    Ok(found.fetch_one(conn).await?)
}

async fn check_certificate(
    conn: &mut PgConnection,
    app: Id<App>,
    certificate: Id<Certificate>,
) -> Result<(), StoreError> {
    let is_ours = sqlx::query_scalar!(
        r#"select exists (
            select
            from certificates
            where id = $1
                and app = $2
        ) as "exists!""#,
        certificate.as_uuid(),
        app.as_uuid(),
    );
    if is_ours.fetch_one(conn).await? {
        Ok(())
    } else {
        Err(StoreError::CertificateGone)
    }
}

async fn by_id(conn: &mut PgConnection, id: Id<Domain>) -> Result<Domain, StoreError> {
    select_domains!("where domains.id = $1", id.as_uuid())
        .fetch_optional(conn)
        .await?
        .ok_or(StoreError::DomainGone)?
        .try_into()
}

async fn record(conn: &mut PgConnection, domain: &Domain, action: &str, stamp: Stamp) -> Result<(), StoreError> {
    let change = Change {
        action,
        resource: "domain",
        id: domain.id.as_uuid(),
    };
    let payload = json!({
        "hostname": domain.hostname.to_string(),
        "sni_endpoint": domain.certificate.as_ref().map(|chosen| &chosen.name),
    });
    event::record(conn, change.by(domain.app, stamp, payload)).await
}

struct Row {
    id: Uuid,
    app: Uuid,
    hostname: String,
    certificate: Option<Uuid>,
    certificate_name: Option<String>,
    acm: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Domain {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let chosen = |(id, name): (Uuid, String)| Chosen { id: id.into(), name };
        Ok(Self {
            id: row.id.into(),
            app: row.app.into(),
            hostname: parse("domain", &row.hostname)?,
            certificate: row.certificate.zip(row.certificate_name).map(chosen),
            acm: row.acm,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[cfg(test)]
mod tests;
