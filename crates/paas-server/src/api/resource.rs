//! Resources as the API shows them, for whoever is told of a change: the functions that make answers make these too.
//!
//! Webhooks are told a moment after a change. What a resource is *now* may be more than what the change made of it, so the
//! change itself has the last word on the fields that it names. What a change ends is shown before it is gone, by
//! [`describe_end`].

use std::sync::Arc;

use chrono::{DateTime, Utc};
use paas_api::{ReleaseOfDyno, Time, UserRef, WebhookPayload};
use paas_core::{DynoName, Id, Release, WebhookEntity};
use paas_store::{
    PgConnection,
    app::{self, AppRow},
    build, certificate, collaborator as collaborator_rows, domain, dyno as dyno_rows, event,
    formation as formation_rows, one_off as one_off_rows, release,
    webhook_delivery::{Untold, said_before},
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    addon, addon_attachment, app as apps, build as builds, collaborator, domain as domains, dyno, error::ApiError,
    formation, one_off, origin::Origin, release as releases, sni_endpoint, state::Api,
};
use crate::platform::Platform;

/// Shows resources to whoever has asked for none.
pub(crate) struct Resources {
    api: Api,
    origin: Origin,
}

/// Keeps what a resource was when it ends. To be called in the transaction of that end.
pub(super) async fn describe_end(
    conn: &mut PgConnection,
    id: &Uuid,
    resource: &impl Serialize,
) -> Result<(), ApiError> {
    Ok(event::describe_end(conn, id, &value(resource)?).await?)
}

impl Resources {
    pub(crate) fn new(platform: Arc<Platform>) -> Self {
        Self {
            origin: Origin::of_platform(&platform.settings),
            api: Api::new(platform),
        }
    }

    /// What is told of a change.
    pub(crate) async fn payload(&self, event: &Untold, entity: WebhookEntity) -> Result<WebhookPayload, ApiError> {
        let mut conn = self.api.connection().await?;
        let app = app::by_id(&mut conn, event.app).await?;
        let said = said_before(&mut conn, event).await?;
        drop(conn);
        let (data, previous_data) = if let Some(data) = &event.data {
            (data.clone(), Map::new())
        } else {
            let shown = match &app {
                Some(app) => self.shown(app, event, entity).await?,
                None => None,
            };
            let mut data = shown.unwrap_or_else(|| bare(event));
            let previous = overlay(&mut data, event, said);
            (data, previous)
        };
        Ok(WebhookPayload {
            action: event.action.clone(),
            actor: self.actor(event, &data, app.as_ref()),
            data,
            previous_data,
            published_at: self.api.now().into(),
            resource: entity.resource().to_owned(),
            version: paas_api::ACCEPT.to_owned(),
        })
    }

    /// The resource as it is now. `None` when it is gone.
    async fn shown(&self, app: &AppRow, event: &Untold, entity: WebhookEntity) -> Result<Option<Value>, ApiError> {
        let (api, origin, id) = (&self.api, &self.origin, event.resource_id);
        let mut conn = api.connection().await?;
        let found = match entity {
            WebhookEntity::App => Some(value(&apps::whole(api, app.clone()).await?.0)?),
            WebhookEntity::Build => {
                let row = build::get(&mut conn, app.app.id, id.into()).await?;
                row.map(|row| value(&builds::answer(api, origin, app, row)))
                    .transpose()?
            }
            WebhookEntity::Release => {
                let row = release::by_id(&mut conn, id.into()).await?;
                row.map(|row| value(&releases::answer(api, origin, &app.app, row)))
                    .transpose()?
            }
            WebhookEntity::Formation => {
                let rows = formation_rows::list(&mut conn, app.app.id).await?;
                let row = rows.into_iter().find(|row| *row.id.as_uuid() == id);
                row.map(|row| value(&formation::answer(&app.app, row))).transpose()?
            }
            WebhookEntity::Domain => match domain::find(&mut conn, app.app.id, &id.to_string()).await? {
                Some(row) => Some(value(&domains::whole(api, conn, &app.app, row).await?)?),
                None => None,
            },
            WebhookEntity::SniEndpoint => match certificate::find(&mut conn, app.app.id, &id.to_string()).await? {
                Some(row) => {
                    let domains = domain::list_of_app(&mut conn, app.app.id).await?;
                    Some(value(&sni_endpoint::answer(&app.app, row, &domains)?)?)
                }
                None => None,
            },
            WebhookEntity::NewDyno | WebhookEntity::Dyno => {
                drop(conn);
                self.dyno(app, event).await?
            }
            WebhookEntity::Collaborator => {
                let row = collaborator_rows::find(&mut conn, app.app.id, &id.to_string()).await?;
                row.map(|row| value(&collaborator::answer(app, row))).transpose()?
            }
            WebhookEntity::Addon => match paas_store::addon::by_id(&mut conn, id.into()).await? {
                Some(row) => {
                    drop(conn);
                    Some(value(&addon::shown(api, &row).await?)?)
                }
                None => None,
            },
            WebhookEntity::AddonAttachment => {
                let row = paas_store::addon_attachment::get(&mut conn, id.into()).await?;
                row.map(|row| value(&addon_attachment::answer(api, &row))).transpose()?
            }
        };
        Ok(found)
    }

    async fn dyno(&self, app: &AppRow, event: &Untold) -> Result<Option<Value>, ApiError> {
        let id = event.resource_id;
        let mut conn = self.api.connection().await?;
        let one_offs = one_off_rows::of(&mut conn, app.app.id).await?;
        let mut shown = if let Some(row) = one_offs.iter().find(|row| *row.id.as_uuid() == id) {
            // As in what is told of its end.
            paas_api::Dyno {
                command: String::new(),
                ..one_off::answer(&app.app, row, None)
            }
        } else if let Some(row) = dyno_rows::find(&mut conn, app.app.id, &id.to_string()).await? {
            let commands = dyno::commands(&mut conn, std::slice::from_ref(&row)).await?;
            dyno::answer(&app.app, &row, &commands)
        } else {
            let release = field(event, "release").and_then(|id| id.parse::<Id<Release>>().ok());
            let row = match release {
                Some(id) => release::by_id(&mut conn, id).await?,
                None => None,
            };
            match (row, field(event, "name").and_then(|name| name.parse().ok())) {
                (Some(row), Some(name)) => gone_dyno(app, event, &row.release, &name),
                _ => return Ok(None),
            }
        };
        shown.updated_at = event.at.into();
        let mut shown = value(&shown)?;
        if let Some(status) = event.payload.get("exit_status") {
            shown["exit_status"] = status.clone();
        }
        Ok(Some(shown))
    }

    /// Who did it. What the platform does by itself, it does for whoever the resource is of, or for the app's owner.
    fn actor(&self, event: &Untold, data: &Value, app: Option<&AppRow>) -> UserRef {
        if let Some(actor) = &event.actor {
            return UserRef {
                id: *actor.id.as_uuid(),
                email: actor.email.clone(),
            };
        }
        let user = data.get("user").cloned().map(serde_json::from_value);
        if let Some(Ok(user)) = user {
            return user;
        }
        match app {
            Some(app) => UserRef {
                id: *app.owner.id(),
                email: app.owner.email(),
            },
            None => UserRef {
                id: Uuid::nil(),
                email: format!("platform@{}", self.api.platform.settings.domain),
            },
        }
    }
}

/// A dyno whose row is gone, and the command with it: people type secrets into commands, so events have none.
fn gone_dyno(app: &AppRow, event: &Untold, release: &Release, name: &DynoName) -> paas_api::Dyno {
    let created_at = field(event, "created_at").and_then(|at| at.parse::<DateTime<Utc>>().ok());
    paas_api::Dyno {
        app: apps::reference(&app.app),
        attach_url: None,
        command: String::new(),
        created_at: created_at.unwrap_or(event.at).into(),
        id: event.resource_id,
        name: name.to_string(),
        release: ReleaseOfDyno {
            id: *release.id.as_uuid(),
            version: release.version.number(),
        },
        size: field(event, "size").unwrap_or_default().to_owned(),
        state: paas_api::DynoState::Down,
        r#type: name.process_type.to_string(),
        updated_at: event.at.into(),
    }
}

fn field<'a>(event: &'a Untold, name: &str) -> Option<&'a str> {
    event.payload.get(name).and_then(Value::as_str)
}

fn value(resource: &impl Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(resource).map_err(ApiError::internal)
}

/// What is left to say of a resource that is gone.
fn bare(event: &Untold) -> Value {
    let mut data = json!({ "app": { "id": event.app.as_uuid() }, "id": event.resource_id });
    if let (Some(data), Some(payload)) = (data.as_object_mut(), event.payload.as_object()) {
        data.extend(payload.clone());
    }
    data
}

/// Writes what the change made of the resource over what it is by now. Says what those fields were before.
fn overlay(data: &mut Value, event: &Untold, mut said: Map<String, Value>) -> Map<String, Value> {
    let mut previous = Map::new();
    let (Some(data), Some(payload)) = (data.as_object_mut(), event.payload.as_object()) else {
        return previous;
    };
    for (field, value) in payload {
        let is_of_one_kind = |other: &Value| {
            matches!(
                (value, other),
                (Value::String(_), Value::String(_))
                    | (Value::Number(_), Value::Number(_))
                    | (Value::Bool(_), Value::Bool(_))
            )
        };
        // Times are written in two ways, and no change is about them.
        if field.ends_with("_at") || !data.get(field).is_some_and(is_of_one_kind) {
            continue;
        }
        data.insert(field.clone(), value.clone());
        if event.action == "update"
            && let Some(before) = said.remove(field)
            && before != *value
            && is_of_one_kind(&before)
        {
            previous.insert(field.clone(), before);
        }
    }
    if data.contains_key("updated_at") {
        data.insert("updated_at".to_owned(), json!(Time::from(event.at)));
    }
    previous
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: &str, payload: Value) -> Untold {
        Untold {
            sequence: 7,
            app: Uuid::nil().into(),
            actor: None,
            action: action.to_owned(),
            resource: "formation".to_owned(),
            resource_id: Uuid::nil(),
            payload,
            data: None,
            at: DateTime::from_timestamp(1_767_323_045, 0).unwrap(),
        }
    }

    #[test]
    fn a_change_has_the_last_word_on_what_it_changed() {
        let mut data = json!({
            "quantity": 5, "size": "Basic", "app": { "name": "hello" }, "updated_at": "2026-11-21T00:00:00Z",
        });
        let change = event(
            "update",
            json!({ "quantity": 2, "size": "Basic", "app": "other", "unknown": 1 }),
        );
        let said = json!({ "quantity": 1, "size": "Basic" });
        let previous = overlay(&mut data, &change, said.as_object().cloned().unwrap());
        assert_eq!(
            data,
            json!({ "quantity": 2, "size": "Basic", "app": { "name": "hello" }, "updated_at": "2026-01-02T03:04:05Z" })
        );
        assert_eq!(Value::Object(previous), json!({ "quantity": 1 }));
    }

    #[test]
    fn what_is_new_was_nothing_before() {
        let mut data = json!({ "status": "succeeded" });
        let said = json!({ "status": "failed" });
        let made = event("create", json!({ "status": "pending" }));
        let previous = overlay(&mut data, &made, said.as_object().cloned().unwrap());
        assert_eq!((data["status"].as_str(), previous.len()), (Some("pending"), 0));
    }
}
