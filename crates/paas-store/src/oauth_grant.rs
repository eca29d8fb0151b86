//! What people are asked to allow to OAuth clients (RFC 6749 §4.1).
//!
//! A grant begins with a page for somebody nobody knows yet, and ends with a code that the client uses once. Page and code are
//! secrets, stored as hashes.

use chrono::{DateTime, Utc};
use paas_core::Id;
use uuid::Uuid;

use crate::{
    PgConnection, StoreError,
    account::Account,
    authorization::{Authorization, TokenHash},
    new_id,
    oauth_client::OauthClient,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthGrant {
    pub id: Id<OauthGrant>,
    pub client: Id<OauthClient>,
    pub scope: Vec<String>,
    pub state: Option<String>,
    pub code_challenge: Option<String>,
    pub address: String,
    /// Whose password was right.
    pub account: Option<Id<Account>>,
    /// Nothing more is owed but an answer.
    pub is_known: bool,
    /// What the code was used for.
    pub authorization: Option<Id<Authorization>>,
    pub used_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone)]
pub struct NewOauthGrant {
    pub client: Id<OauthClient>,
    pub browser: TokenHash,
    pub scope: Vec<String>,
    pub state: Option<String>,
    pub code_challenge: Option<String>,
    pub address: String,
    pub expires_at: DateTime<Utc>,
}

/// How many grants are under way: all, and from one address. Forgets those that are over.
pub async fn count(conn: &mut PgConnection, address: &str, now: DateTime<Utc>) -> Result<(i64, i64), StoreError> {
    sqlx::query!("delete from oauth_grants where expires_at <= $1", now)
        .execute(&mut *conn)
        .await?;
    let counted = sqlx::query!(
        r#"select count(*) as "all!", count(*) filter (where address = $1) as "from_there!"
        from oauth_grants"#,
        address,
    );
    let counted = counted.fetch_one(conn).await?;
    Ok((counted.all, counted.from_there))
}

pub async fn create(
    conn: &mut PgConnection,
    new: NewOauthGrant,
    now: DateTime<Utc>,
) -> Result<Id<OauthGrant>, StoreError> {
    let id = new_id::<OauthGrant>(now);
    sqlx::query!(
        "insert into oauth_grants
            (id, client, browser_hash, scope, state, code_challenge, address, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        id.as_uuid(),
        new.client.as_uuid(),
        new.browser.as_bytes(),
        &new.scope,
        new.state,
        new.code_challenge,
        new.address,
        now,
        new.expires_at,
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// The grant whose page this is, unless it is over or was answered.
pub async fn of_browser(
    conn: &mut PgConnection,
    browser: TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<OauthGrant>, StoreError> {
    let grant = sqlx::query_as!(
        Row,
        r#"select id, client, scope, state, code_challenge, address, account, is_known,
            "authorization", used_at
        from oauth_grants
        where browser_hash = $1
            and code_hash is null
            and expires_at > $2"#,
        browser.as_bytes(),
        now,
    );
    Ok(grant.fetch_optional(conn).await?.map(OauthGrant::from))
}

/// Whose password was right, and whether that is all that is owed; `None` begins again. Whoever knew the page until now does
/// not know the next one: only the browser that showed who it is goes on.
pub async fn set_account(
    conn: &mut PgConnection,
    id: Id<OauthGrant>,
    account: Option<Id<Account>>,
    is_known: bool,
    browser: TokenHash,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update oauth_grants
        set account = $2, is_known = $3, browser_hash = $4
        where id = $1
            and code_hash is null",
        id.as_uuid(),
        account.as_ref().map(Id::as_uuid),
        is_known,
        browser.as_bytes(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The person allows it: the client may have a token for this code. Whether the grant was still open.
pub async fn allow(
    conn: &mut PgConnection,
    id: Id<OauthGrant>,
    code: TokenHash,
    expires_at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let allowed = sqlx::query!(
        "update oauth_grants
        set code_hash = $2, expires_at = $3
        where id = $1
            and is_known
            and code_hash is null",
        id.as_uuid(),
        code.as_bytes(),
        expires_at,
    );
    Ok(allowed.execute(conn).await?.rows_affected() > 0)
}

/// The person does not allow it.
pub async fn delete(conn: &mut PgConnection, id: Id<OauthGrant>) -> Result<(), StoreError> {
    sqlx::query!("delete from oauth_grants where id = $1", id.as_uuid())
        .execute(conn)
        .await?;
    Ok(())
}

/// The grant that this code belongs to, used or not. Nobody else uses it meanwhile.
pub async fn of_code(
    conn: &mut PgConnection,
    code: TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<OauthGrant>, StoreError> {
    let grant = sqlx::query_as!(
        Row,
        r#"select id, client, scope, state, code_challenge, address, account, is_known,
            "authorization", used_at
        from oauth_grants
        where code_hash = $1
            and expires_at > $2
        for update"#,
        code.as_bytes(),
        now,
    );
    Ok(grant.fetch_optional(conn).await?.map(OauthGrant::from))
}

/// The client has its token.
pub async fn note_use(
    conn: &mut PgConnection,
    id: Id<OauthGrant>,
    authorization: Id<Authorization>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"update oauth_grants
        set "authorization" = $2, used_at = $3
        where id = $1"#,
        id.as_uuid(),
        authorization.as_uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

struct Row {
    id: Uuid,
    client: Uuid,
    scope: Vec<String>,
    state: Option<String>,
    code_challenge: Option<String>,
    address: String,
    account: Option<Uuid>,
    is_known: bool,
    authorization: Option<Uuid>,
    used_at: Option<DateTime<Utc>>,
}

impl From<Row> for OauthGrant {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            client: row.client.into(),
            scope: row.scope,
            state: row.state,
            code_challenge: row.code_challenge,
            address: row.address,
            account: row.account.map(Id::from_uuid),
            is_known: row.is_known,
            authorization: row.authorization.map(Id::from_uuid),
            used_at: row.used_at,
        }
    }
}
