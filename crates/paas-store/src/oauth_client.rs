//! OAuth clients: programs that act for people, as their makers registered them.

use chrono::{DateTime, Utc};
use paas_core::Id;
use uuid::Uuid;

use crate::{PgConnection, Sealed, Sealer, StoreError, account::Account, authorization::Token, new_id};

const NOUN: &str = "oauth-client";

/// A program. Its secret is a [`Token`], which `Debug` does not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthClient {
    pub id: Id<OauthClient>,
    pub account: Id<Account>,
    pub name: String,
    pub redirect_uri: String,
    pub secret: Token,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

pub async fn create(
    conn: &mut PgConnection,
    sealer: &Sealer,
    account: Id<Account>,
    (name, redirect_uri): (&str, &str),
    now: DateTime<Utc>,
) -> Result<OauthClient, StoreError> {
    let client = OauthClient {
        id: new_id(now),
        account,
        name: name.to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        secret: Token::generate_secret(),
        created_at: now,
        updated_at: now,
    };
    sqlx::query!(
        "insert into oauth_clients (id, account, name, redirect_uri, secret, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $6)",
        client.id.as_uuid(),
        account.as_uuid(),
        name,
        redirect_uri,
        sealer
            .seal(NOUN, client.id.as_uuid(), client.secret.as_str().as_bytes())
            .0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(client)
}

/// By name.
pub async fn list(
    conn: &mut PgConnection,
    sealer: &Sealer,
    account: Id<Account>,
) -> Result<Vec<OauthClient>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "select id, account, name, redirect_uri, secret, created_at, updated_at
        from oauth_clients
        where account = $1
        order by name, id",
        account.as_uuid(),
    );
    rows.fetch_all(conn)
        .await?
        .into_iter()
        .map(|row| row.open(sealer))
        .collect()
}

/// A client of anybody: whoever knows its id and secret may use it.
pub async fn get(conn: &mut PgConnection, sealer: &Sealer, id: Uuid) -> Result<Option<OauthClient>, StoreError> {
    let row = sqlx::query_as!(
        Row,
        "select id, account, name, redirect_uri, secret, created_at, updated_at
        from oauth_clients
        where id = $1",
        id,
    );
    row.fetch_optional(conn).await?.map(|row| row.open(sealer)).transpose()
}

/// Writes name, address and secret.
pub async fn update(conn: &mut PgConnection, sealer: &Sealer, client: &OauthClient) -> Result<(), StoreError> {
    sqlx::query!(
        "update oauth_clients
        set name = $2, redirect_uri = $3, secret = $4, updated_at = $5
        where id = $1",
        client.id.as_uuid(),
        client.name,
        client.redirect_uri,
        sealer
            .seal(NOUN, client.id.as_uuid(), client.secret.as_str().as_bytes())
            .0,
        client.updated_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Nothing that people allowed the program is worth anything from then on. To be called in a transaction.
pub async fn delete(conn: &mut PgConnection, id: Id<OauthClient>) -> Result<(), StoreError> {
    // Others' authorizations, which name the program only to be told apart, stay.
    sqlx::query!(
        "delete from authorizations
        where client = $1
            and refresh_hash is not null",
        id.as_uuid(),
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("delete from oauth_clients where id = $1", id.as_uuid())
        .execute(conn)
        .await?;
    Ok(())
}

struct Row {
    id: Uuid,
    account: Uuid,
    name: String,
    redirect_uri: String,
    secret: Vec<u8>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl Row {
    fn open(self, sealer: &Sealer) -> Result<OauthClient, StoreError> {
        let secret = sealer.open(NOUN, &self.id, &Sealed(self.secret))?;
        let secret = String::from_utf8(secret).map_err(|_| StoreError::Corrupt {
            noun: NOUN,
            value: self.id.to_string(),
        })?;
        Ok(OauthClient {
            id: self.id.into(),
            account: self.account.into(),
            name: self.name,
            redirect_uri: self.redirect_uri,
            secret: Token::from_stored(secret),
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{database, noon};

    #[tokio::test]
    async fn a_client_keeps_its_secret_until_it_is_rotated() {
        let database = database().await;
        let mut conn = database.store.connection().await.unwrap();
        let sealer = &database.store.sealer;
        let (ann, bob) = (database.account("ann").await, database.account("bob").await);
        let made = create(&mut conn, sealer, ann, ("Amazing", "https://example.com/cb"), noon())
            .await
            .unwrap();
        assert_eq!(list(&mut conn, sealer, ann).await.unwrap(), std::slice::from_ref(&made));
        assert_eq!(list(&mut conn, sealer, bob).await.unwrap(), []);
        let changed = OauthClient {
            name: "Better".to_owned(),
            secret: Token::generate_secret(),
            ..made.clone()
        };
        update(&mut conn, sealer, &changed).await.unwrap();
        assert_eq!(get(&mut conn, sealer, *made.id.as_uuid()).await.unwrap(), Some(changed));
        delete(&mut conn, made.id).await.unwrap();
        assert_eq!(get(&mut conn, sealer, *made.id.as_uuid()).await.unwrap(), None);
    }
}
