//! Keys: public SSH keys of people.

use chrono::{DateTime, Utc};
use paas_core::Id;

use crate::{PgConnection, StoreError, account::Account, new_id};

/// A public key as it was uploaded, and how people know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub id: Id<Key>,
    pub account: Id<Account>,
    pub public_key: String,
    pub comment: String,
    /// MD5 in colons.
    pub fingerprint: String,
    /// `SHA256:…`
    pub sha256: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What makes a key.
#[derive(Debug, Clone, Copy)]
pub struct NewKey<'a> {
    pub account: Id<Account>,
    pub public_key: &'a str,
    pub comment: &'a str,
    pub fingerprint: &'a str,
    pub sha256: &'a str,
}

/// Fails with [`StoreError::KeyTaken`]: a key says who somebody is.
pub async fn create(conn: &mut PgConnection, new: NewKey<'_>, now: DateTime<Utc>) -> Result<Key, StoreError> {
    let id = new_id::<Key>(now);
    let key = sqlx::query_as!(
        Key,
        "insert into keys (id, account, public_key, comment, fingerprint, sha256, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $7)
        returning id, account, public_key, comment, fingerprint, sha256, created_at, updated_at",
        id.as_uuid(),
        new.account.as_uuid(),
        new.public_key,
        new.comment,
        new.fingerprint,
        new.sha256,
        now,
    );
    Ok(key.fetch_one(conn).await?)
}

/// Oldest first.
pub async fn list(conn: &mut PgConnection, account: Id<Account>) -> Result<Vec<Key>, StoreError> {
    let keys = sqlx::query_as!(
        Key,
        "select id, account, public_key, comment, fingerprint, sha256, created_at, updated_at
        from keys
        where account = $1
        order by created_at, id",
        account.as_uuid(),
    );
    Ok(keys.fetch_all(conn).await?)
}

/// By id or either fingerprint.
pub async fn find(conn: &mut PgConnection, account: Id<Account>, name: &str) -> Result<Option<Key>, StoreError> {
    let key = sqlx::query_as!(
        Key,
        "select id, account, public_key, comment, fingerprint, sha256, created_at, updated_at
        from keys
        where account = $1
            and (id::text = lower($2) or fingerprint = lower($2) or sha256 = $2)",
        account.as_uuid(),
        name,
    );
    Ok(key.fetch_optional(conn).await?)
}

/// Whether it was there to be deleted.
pub async fn delete(conn: &mut PgConnection, id: Id<Key>) -> Result<bool, StoreError> {
    let deleted = sqlx::query!("delete from keys where id = $1", id.as_uuid());
    Ok(deleted.execute(conn).await?.rows_affected() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{database, noon};

    #[tokio::test]
    async fn a_key_belongs_to_one_person_and_is_found_by_each_of_its_names() {
        let database = database().await;
        let mut conn = database.store.connection().await.unwrap();
        let (ann, bob) = (database.account("ann").await, database.account("bob").await);
        let new = |account| NewKey {
            account,
            public_key: "ssh-ed25519 AAAA ann@laptop",
            comment: "ann@laptop",
            fingerprint: "0a:1b",
            sha256: "SHA256:Abc",
        };
        let key = create(&mut conn, new(ann), noon()).await.unwrap();
        for account in [ann, bob] {
            let again = create(&mut conn, new(account), noon()).await;
            assert!(matches!(again, Err(StoreError::KeyTaken)));
        }
        for name in [&key.id.to_string(), "0A:1b", "SHA256:Abc"] {
            assert_eq!(find(&mut conn, ann, name).await.unwrap(), Some(key.clone()), "{name}");
            assert_eq!(find(&mut conn, bob, name).await.unwrap(), None, "{name}");
        }
        assert_eq!(list(&mut conn, ann).await.unwrap(), std::slice::from_ref(&key));
        assert!(delete(&mut conn, key.id).await.unwrap());
        assert!(!delete(&mut conn, key.id).await.unwrap());
        assert_eq!(list(&mut conn, ann).await.unwrap(), []);
    }
}
