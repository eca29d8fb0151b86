//! The stacks that apps can run on. There is one.

use axum::{Json, extract::Path};
use chrono::DateTime;
use paas_api::{NamedRef, Stack};
use uuid::{Uuid, uuid};

use super::{
    auth::{Caller, OwnApp},
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
};

const ID: Uuid = uuid!("7e04461d-ec81-4bdd-8b37-b69b320a9f83");
pub(super) const NAME: &str = "paas-12";

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

pub(super) async fn list(_: Caller, Wanted(range): Wanted) -> Result<Page<Stack>, ApiError> {
    page(&range, vec![stack()], &FIELDS)
}

pub(super) async fn list_of_app(_: OwnApp, Wanted(range): Wanted) -> Result<Page<Stack>, ApiError> {
    page(&range, vec![stack()], &FIELDS)
}

pub(super) async fn info(Path(name): Path<String>, _: Caller) -> Result<Json<Stack>, ApiError> {
    if is_ours(&name) {
        Ok(Json(stack()))
    } else {
        Err(ApiError::not_found("stack"))
    }
}

/// Refuses every stack but ours, in words.
pub(super) fn check(name: &str) -> Result<(), ApiError> {
    if is_ours(name) {
        Ok(())
    } else {
        Err(ApiError::invalid(format!(
            "Stack {name} is not available: this platform has {NAME}."
        )))
    }
}

pub(super) fn reference(name: &str) -> NamedRef {
    NamedRef {
        id: ID,
        name: name.to_owned(),
    }
}

fn is_ours(name: &str) -> bool {
    // `heroku3` names the first stack that Heroku ever had when its user names none: it means whatever is usual.
    name == NAME || name == "cedar" || name == ID.to_string()
}

fn stack() -> Stack {
    Stack {
        created_at: DateTime::UNIX_EPOCH.into(),
        default: true,
        id: ID,
        name: NAME.to_owned(),
        state: "public".to_owned(),
        updated_at: DateTime::UNIX_EPOCH.into(),
    }
}
