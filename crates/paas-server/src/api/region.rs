//! The one region: this machine.

use axum::{Json, extract::Path};
use chrono::DateTime;
use paas_api::{NamedRef, Provider, Region};
use uuid::{Uuid, uuid};

use super::{
    auth::Caller,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
};

const ID: Uuid = uuid!("59accabd-516d-4f0e-83e6-6e3757701145");
/// Heroku's command shows every region but this one beside an app's name. Where there is one, it says nothing.
pub(super) const NAME: &str = "us";

const FIELDS: [Field<Region>; 2] = [
    Field {
        name: "id",
        key: |one| Key::Text(one.id.to_string()),
    },
    Field {
        name: "name",
        key: |one| Key::Text(one.name.clone()),
    },
];

pub(super) async fn list(_: Caller, Wanted(range): Wanted) -> Result<Page<Region>, ApiError> {
    page(&range, vec![region()], &FIELDS)
}

pub(super) async fn info(Path(name): Path<String>, _: Caller) -> Result<Json<Region>, ApiError> {
    if is_ours(&name) {
        Ok(Json(region()))
    } else {
        Err(ApiError::not_found("region"))
    }
}

pub(super) fn is_ours(name: &str) -> bool {
    name == NAME || name == ID.to_string()
}

pub(super) fn reference() -> NamedRef {
    NamedRef {
        id: ID,
        name: NAME.to_owned(),
    }
}

fn region() -> Region {
    Region {
        country: "Wherever this machine stands".to_owned(),
        created_at: DateTime::UNIX_EPOCH.into(),
        description: "This machine".to_owned(),
        id: ID,
        locale: "Self-hosted".to_owned(),
        name: NAME.to_owned(),
        private_capable: false,
        provider: Provider {
            name: "self-hosted".to_owned(),
            // The schema knows Amazon's names only, and strict clients check.
            region: "us-east-1".to_owned(),
        },
        updated_at: DateTime::UNIX_EPOCH.into(),
    }
}
