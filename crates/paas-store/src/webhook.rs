//! Webhooks: whom an app's people want told of what.

use std::fmt;

use chrono::{DateTime, Utc};
use paas_core::{App, Id, WebhookEntity, WebhookLevel, WebhookUrl};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Sealed, Sealer, Stamp, StoreError, app,
    column::{corrupt, parse},
    event::{self, Change},
    new_id,
};

const URL: &str = "webhook url";
const SECRET: &str = "webhook secret";
const CREDENTIALS: &str = "webhook credentials";

/// Heroku's limit (Dev Center, *App Webhooks*).
pub const MAXIMUM_PER_APP: usize = 10;

/// Somebody who is told. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: Id<Webhook>,
    pub app: Id<App>,
    pub target: WebhookTarget,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Who is told of what, and how the receiver knows that it is us.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookTarget {
    pub include: Vec<WebhookEntity>,
    pub level: WebhookLevel,
    pub url: WebhookUrl,
    /// Notifications are signed with it.
    pub secret: String,
    /// What the receiver gets as the `Authorization` header.
    pub credentials: Option<String>,
}

macro_rules! select_webhooks {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select id, app, include, level, url, secret, credentials, created_at, updated_at
            from webhooks
            " + $filter
            $(, $argument)*
        )
    };
}

/// Those of an app, the oldest first.
pub async fn list(conn: &mut PgConnection, sealer: &Sealer, app: Id<App>) -> Result<Vec<Webhook>, StoreError> {
    let rows = select_webhooks!("where app = $1 order by id", app.as_uuid());
    let rows = rows.fetch_all(conn).await?.into_iter();
    rows.map(|row| row.open(sealer)).collect()
}

pub async fn get(conn: &mut PgConnection, sealer: &Sealer, id: Id<Webhook>) -> Result<Option<Webhook>, StoreError> {
    let row = select_webhooks!("where id = $1", id.as_uuid());
    let row = row.fetch_optional(conn).await?;
    row.map(|row| row.open(sealer)).transpose()
}

/// Fails with [`StoreError::TooManyWebhooks`].
pub async fn create(
    conn: &mut PgConnection,
    sealer: &Sealer,
    app: Id<App>,
    target: WebhookTarget,
    stamp: Stamp,
) -> Result<Webhook, StoreError> {
    let mut transaction = conn.begin().await?;
    if !app::lock(&mut transaction, app).await? {
        return Err(StoreError::AppGone);
    }
    let others = sqlx::query_scalar!(
        r#"select count(*) as "count!" from webhooks where app = $1"#,
        app.as_uuid()
    );
    let others = others.fetch_one(&mut *transaction).await?;
    if usize::try_from(others).unwrap_or(usize::MAX) >= MAXIMUM_PER_APP {
        return Err(StoreError::TooManyWebhooks);
    }
    let webhook = Webhook {
        id: new_id(stamp.at),
        app,
        target,
        created_at: stamp.at,
        updated_at: stamp.at,
    };
    let columns = Columns::seal(sealer, &webhook);
    sqlx::query!(
        "insert into webhooks (id, app, include, level, url, secret, credentials, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        webhook.id.as_uuid(),
        app.as_uuid(),
        &columns.include,
        webhook.target.level.as_str(),
        columns.url,
        columns.secret,
        columns.credentials,
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    record(&mut transaction, &webhook, "create", stamp).await?;
    transaction.commit().await?;
    Ok(webhook)
}

/// Fails with [`StoreError::WebhookGone`].
pub async fn update(
    conn: &mut PgConnection,
    sealer: &Sealer,
    webhook: Webhook,
    target: WebhookTarget,
    stamp: Stamp,
) -> Result<Webhook, StoreError> {
    let mut transaction = conn.begin().await?;
    let webhook = Webhook {
        target,
        updated_at: stamp.at,
        ..webhook
    };
    let columns = Columns::seal(sealer, &webhook);
    let updated = sqlx::query!(
        "update webhooks
        set include = $2, level = $3, url = $4, secret = $5, credentials = $6, updated_at = $7
        where id = $1",
        webhook.id.as_uuid(),
        &columns.include,
        webhook.target.level.as_str(),
        columns.url,
        columns.secret,
        columns.credentials,
        stamp.at,
    );
    if updated.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Err(StoreError::WebhookGone);
    }
    record(&mut transaction, &webhook, "update", stamp).await?;
    transaction.commit().await?;
    Ok(webhook)
}

/// With all that it was to be told of. Fails with [`StoreError::WebhookGone`].
pub async fn delete(conn: &mut PgConnection, webhook: &Webhook, stamp: Stamp) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let deleted = sqlx::query!("delete from webhooks where id = $1", webhook.id.as_uuid());
    if deleted.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Err(StoreError::WebhookGone);
    }
    record(&mut transaction, webhook, "destroy", stamp).await?;
    Ok(transaction.commit().await?)
}

async fn record(conn: &mut PgConnection, webhook: &Webhook, action: &str, stamp: Stamp) -> Result<(), StoreError> {
    let change = Change {
        action,
        resource: "webhook",
        id: webhook.id.as_uuid(),
    };
    let payload = json!({
        "place": webhook.target.url.parts().place(),
        "include": names(&webhook.target.include),
        "level": webhook.target.level.as_str(),
    });
    event::record(conn, change.by(webhook.app, stamp, payload)).await
}

fn names(include: &[WebhookEntity]) -> Vec<String> {
    include.iter().map(|entity| entity.as_str().to_owned()).collect()
}

/// What is written of a webhook, sealed where it is secret.
struct Columns {
    include: Vec<String>,
    url: Vec<u8>,
    secret: Vec<u8>,
    credentials: Option<Vec<u8>>,
}

impl Columns {
    fn seal(sealer: &Sealer, webhook: &Webhook) -> Self {
        let target = &webhook.target;
        let seal = |noun, text: &str| sealer.seal(noun, webhook.id.as_uuid(), text.as_bytes()).0;
        Self {
            include: names(&target.include),
            url: seal(URL, target.url.as_str()),
            secret: seal(SECRET, &target.secret),
            credentials: target.credentials.as_deref().map(|text| seal(CREDENTIALS, text)),
        }
    }
}

struct Row {
    id: Uuid,
    app: Uuid,
    include: Vec<String>,
    level: String,
    url: Vec<u8>,
    secret: Vec<u8>,
    credentials: Option<Vec<u8>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl Row {
    fn open(self, sealer: &Sealer) -> Result<Webhook, StoreError> {
        let open = |noun: &'static str, sealed| {
            let text = sealer.open(noun, &self.id, &Sealed(sealed))?;
            // Not even its ruins are shown.
            String::from_utf8(text).map_err(|_| corrupt(noun, &self.id.to_string()))
        };
        let url = open(URL, self.url)?.parse();
        Ok(Webhook {
            id: self.id.into(),
            app: self.app.into(),
            target: WebhookTarget {
                include: self
                    .include
                    .iter()
                    .map(|name| parse("webhook", name))
                    .collect::<Result<_, _>>()?,
                level: parse("webhook", &self.level)?,
                url: url.map_err(|_| corrupt(URL, &self.id.to_string()))?,
                secret: open(SECRET, self.secret)?,
                credentials: self.credentials.map(|sealed| open(CREDENTIALS, sealed)).transpose()?,
            },
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("id", &self.id)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WebhookTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookTarget")
            .field("include", &self.include)
            .field("level", &self.level)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
