//! Dyno sizes, in Heroku's words.

use axum::{Json, extract::Path};
use paas_api::{NamedRef, PageRange};
use paas_core::DynoSize;
use uuid::{Uuid, uuid};

use super::{
    app,
    auth::{Caller, OwnApp},
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
};

/// The ids of the sizes count on from here, in the order of [`DynoSize::ALL`].
const FIRST_ID: Uuid = uuid!("6cbb1a53-9b4c-4a4e-8a4b-0d6f1d7a0000");
const GIBIBYTE: f64 = 1024.0 * 1024.0 * 1024.0;

const FIELDS: [Field<paas_api::DynoSize>; 2] = [
    Field {
        name: "id",
        key: |one| Key::Text(one.id.to_string()),
    },
    Field {
        name: "name",
        key: |one| Key::Text(one.name.clone()),
    },
];

pub(super) async fn list(_: Caller, Wanted(range): Wanted) -> Result<Page<paas_api::DynoSize>, ApiError> {
    all(&range)
}

pub(super) async fn list_of_app(_: OwnApp, Wanted(range): Wanted) -> Result<Page<paas_api::DynoSize>, ApiError> {
    all(&range)
}

pub(super) async fn info(Path(name): Path<String>, _: Caller) -> Result<Json<paas_api::DynoSize>, ApiError> {
    let size = parse(&name).ok_or_else(|| ApiError::not_found("dyno size"))?;
    Ok(Json(answer(size)))
}

/// A size by name, in any case, or by id.
pub(super) fn parse(name_or_id: &str) -> Option<DynoSize> {
    let by_id = || {
        DynoSize::ALL
            .into_iter()
            .find(|size| id(*size).to_string() == name_or_id)
    };
    name_or_id.parse().ok().or_else(by_id)
}

pub(super) fn reference(size: DynoSize) -> NamedRef {
    NamedRef {
        id: id(size),
        name: size.as_str().to_owned(),
    }
}

fn all(range: &PageRange) -> Result<Page<paas_api::DynoSize>, ApiError> {
    page(range, DynoSize::ALL.into_iter().map(answer).collect(), &FIELDS)
}

fn id(size: DynoSize) -> Uuid {
    let position = DynoSize::ALL.iter().position(|one| *one == size).unwrap_or(0);
    Uuid::from_u128(FIRST_ID.as_u128() + position as u128)
}

#[expect(clippy::cast_precision_loss, reason = "sizes are whole fractions of a gigabyte")]
fn answer(size: DynoSize) -> paas_api::DynoSize {
    // Compute and units are Heroku's for these names; the real limit is the weight that the engine is given.
    let (compute, units, tier) = match size {
        DynoSize::Eco => (1, 0.0, "eco"),
        DynoSize::Basic => (1, 0.28, "basic"),
        DynoSize::Standard1X => (1, 1.0, "production"),
        DynoSize::Standard2X => (2, 2.0, "production"),
        DynoSize::PerformanceM => (11, 8.0, "performance"),
        DynoSize::PerformanceL => (46, 16.0, "performance"),
    };
    paas_api::DynoSize {
        architecture: std::env::consts::ARCH.to_owned(),
        can_autoscale: false,
        compute,
        cost: None,
        dedicated: false,
        generation: app::generation(),
        id: id(size),
        infrastructure_tier: tier.to_owned(),
        memory: size.memory_bytes() as f64 / GIBIBYTE,
        name: size.as_str().to_owned(),
        precise_dyno_units: units,
        private_space_only: false,
        product_dyno_tier: tier.to_owned(),
    }
}
