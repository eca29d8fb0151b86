//! The formation: one row per process type of an app.

use chrono::{DateTime, Utc};
use paas_core::{App, DynoSize, Id, ProcessType, QuantityChange, Scale, Slug};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Stamp, StoreError, app,
    column::{integer, parse, unsigned},
    event::{self, Change},
    new_id,
};

/// One process type of an app, with its command in the current slug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormationRow {
    pub id: Id<FormationRow>,
    pub process_type: ProcessType,
    pub command: String,
    pub scale: Scale,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What `ps:scale` and `ps:resize` ask for, of one process type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormationChange {
    pub process_type: ProcessType,
    pub quantity: Option<QuantityChange>,
    pub size: Option<DynoSize>,
}

/// The process types of the current slug but `release`, by name. Empty before the first deploy.
pub async fn list(conn: &mut PgConnection, app: Id<App>) -> Result<Vec<FormationRow>, StoreError> {
    sqlx::query_as!(
        Row,
        r#"select
            formations.id,
            formations.process_type,
            formations.quantity,
            formations.size,
            formations.created_at,
            formations.updated_at,
            slugs.process_types ->> formations.process_type as "command!"
        from formations
        join slugs on slugs.id = (
            select releases.slug
            from releases
            where releases.app = $1
                and releases.status = 'succeeded'
                and releases.slug is not null
            order by releases.version desc
            limit 1
        )
        where formations.app = $1
            and slugs.process_types ? formations.process_type
        order by formations.process_type"#,
        app.as_uuid(),
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(FormationRow::try_from)
    .collect()
}

/// Changes quantity, size or both. Fails with [`StoreError::UnknownProcessType`] and [`StoreError::Quantity`].
pub async fn update(
    conn: &mut PgConnection,
    app: Id<App>,
    change: FormationChange,
    stamp: Stamp,
) -> Result<FormationRow, StoreError> {
    let mut transaction = conn.begin().await?;
    if !app::lock(&mut transaction, app).await? {
        return Err(StoreError::AppGone);
    }
    let rows = list(&mut transaction, app).await?;
    let Some(mut row) = rows.into_iter().find(|row| row.process_type == change.process_type) else {
        return Err(StoreError::UnknownProcessType {
            process_type: change.process_type,
        });
    };
    if let Some(quantity) = change.quantity {
        row.scale.quantity = quantity.apply(row.scale.quantity).map_err(StoreError::Quantity)?;
    }
    if let Some(size) = change.size {
        row.scale.size = size;
    }
    let Scale { quantity, size } = row.scale;
    row.updated_at = sqlx::query_scalar!(
        "update formations
        set quantity = $2, size = $3, updated_at = $4
        where id = $1
        returning updated_at",
        row.id.as_uuid(),
        integer(quantity),
        size.as_str(),
        stamp.at,
    )
    .fetch_one(&mut *transaction)
    .await?;
    let event = Change {
        action: "update",
        resource: "formation",
        id: row.id.as_uuid(),
    };
    let payload = json!({ "type": row.process_type.as_str(), "quantity": quantity, "size": size.as_str() });
    event::record(&mut transaction, event.by(app, stamp, payload)).await?;
    app::wake(&mut transaction, app, stamp.at).await?;
    transaction.commit().await?;
    Ok(row)
}

/// Adds the process types that the app did not have: `web` at one dyno, others at none (Dev Center, *Scaling*).
pub(crate) async fn add_new(conn: &mut PgConnection, slug: &Slug, now: DateTime<Utc>) -> Result<(), StoreError> {
    for process_type in slug
        .process_types
        .keys()
        .filter(|process_type| !process_type.is_release())
    {
        let id = new_id::<FormationRow>(now);
        sqlx::query!(
            "insert into formations (id, app, process_type, quantity, size, created_at, updated_at)
            values ($1, $2, $3, $4, $5, $6, $6)
            on conflict (app, process_type) do nothing",
            id.as_uuid(),
            slug.app.as_uuid(),
            process_type.as_str(),
            i32::from(process_type.is_web()),
            DynoSize::default().as_str(),
            now,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

struct Row {
    id: Uuid,
    process_type: String,
    quantity: i32,
    size: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    command: String,
}

impl TryFrom<Row> for FormationRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            process_type: parse("formation", &row.process_type)?,
            command: row.command,
            scale: Scale {
                quantity: unsigned("formation", row.quantity)?,
                size: parse("formation", &row.size)?,
            },
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[cfg(test)]
mod tests;
