//! The stacks that apps can run on.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use chrono::DateTime;
use paas_api::{NamedRef, Stack};
use paas_core::{CNB_STACK, CONTAINER_STACK};
use uuid::{Uuid, uuid};

use super::{
    auth::{Caller, OwnApp},
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
};
use crate::config::Settings;

pub(super) const NAME: &str = "paas-12";
/// The default comes first.
const STACKS: [(&str, Uuid); 3] = [
    (NAME, uuid!("7e04461d-ec81-4bdd-8b37-b69b320a9f83")),
    (CONTAINER_STACK, uuid!("5ff3d2c6-7b0e-4ec9-9d19-0f0f6a7c0d21")),
    (CNB_STACK, uuid!("2d3c0a86-6a39-4d0f-9f0c-6a4d6a1f7e35")),
];

const FIELDS: [Field<Stack>; 2] = [
    Field {
        name: "id",
        key: |one| Key::Text(one.id.to_string()),
    },
    Field {
        name: "name",
        key: |one| Key::Text(one.name.clone()),
    },
];

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Caller,
    Wanted(range): Wanted,
) -> Result<Page<Stack>, ApiError> {
    page(&range, all(&api.platform.settings), &FIELDS)
}

pub(super) async fn list_of_app(
    State(api): State<Arc<Api>>,
    _: OwnApp,
    Wanted(range): Wanted,
) -> Result<Page<Stack>, ApiError> {
    page(&range, all(&api.platform.settings), &FIELDS)
}

pub(super) async fn info(Path(name): Path<String>, _: Caller) -> Result<Json<Stack>, ApiError> {
    let found = find(&name).map(|(name, id)| stack(name, id));
    found.map(Json).ok_or_else(|| ApiError::not_found("stack"))
}

/// The stack that is meant. Refuses others, in words.
pub(super) fn check(settings: &Settings, name: &str) -> Result<&'static str, ApiError> {
    match find(name) {
        Some((CNB_STACK, _)) if settings.cnb_builder.is_none() => Err(ApiError::invalid(format!(
            "Stack {CNB_STACK} is not available: Cloud Native Buildpacks need a builder image. Have the platform's operator \
             set PAAS_CNB_BUILDER, such as heroku/builder:24."
        ))),
        Some((name, _)) => Ok(name),
        None => Err(ApiError::invalid(format!(
            "Stack {name} is not available: this platform has {NAME}, and {CONTAINER_STACK} for apps that bring a Dockerfile, \
             a heroku.yml or images."
        ))),
    }
}

pub(super) fn reference(name: &str) -> NamedRef {
    let id = find(name).map_or(STACKS[0].1, |(_, id)| id);
    NamedRef {
        id,
        name: name.to_owned(),
    }
}

fn find(name_or_id: &str) -> Option<(&'static str, Uuid)> {
    // `heroku3` names the first stack that Heroku ever had when its user names none: it means whatever is usual.
    let name_or_id = if name_or_id == "cedar" { NAME } else { name_or_id };
    STACKS
        .into_iter()
        .find(|(name, id)| *name == name_or_id || id.to_string() == name_or_id)
}

/// Those that apps can be put on.
fn all(settings: &Settings) -> Vec<Stack> {
    let stacks = STACKS.into_iter();
    stacks
        .filter(|(name, _)| *name != CNB_STACK || settings.cnb_builder.is_some())
        .map(|(name, id)| stack(name, id))
        .collect()
}

fn stack(name: &str, id: Uuid) -> Stack {
    Stack {
        created_at: DateTime::UNIX_EPOCH.into(),
        default: name == NAME,
        id,
        name: name.to_owned(),
        state: "public".to_owned(),
        updated_at: DateTime::UNIX_EPOCH.into(),
    }
}
