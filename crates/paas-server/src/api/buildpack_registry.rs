//! What Heroku's buildpack registry answers, about our own buildpacks, and that others are fetched from Heroku's: `HEROKU_BUILDPACK_REGISTRY_URL` leads Heroku's
//! command here. As there, nobody has to say who they are.

use axum::{
    Json,
    extract::{Path, RawQuery},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use paas_build::{Buildpack, Choice, RemoteBuildpack};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use uuid::{Uuid, uuid};

use super::error::ApiError;

/// The ids of the buildpacks count on from here, in the order of [`Buildpack::ALL`].
const FIRST_ID: Uuid = uuid!("9a1f6d0c-52f1-4d4e-9a55-0b5f6c7a0000");
/// The only version that there is of each comes with the platform.
const RELEASE: u32 = 1;
const MADE_AT: &str = "2026-11-21T00:00:00Z";

/// `in[namespace][]`, `in[name][]` and `like[description]`, as Heroku's command asks.
pub(super) async fn search(RawQuery(query): RawQuery) -> Json<Vec<Value>> {
    let filters = filters(query.as_deref().unwrap_or_default());
    let found = Buildpack::ALL
        .into_iter()
        .filter(|buildpack| is_wanted(*buildpack, &filters));
    Json(found.map(answer).collect())
}

pub(super) async fn info(Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    describe(&name)
}

pub(super) async fn info_in_namespace(
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    describe(&format!("{namespace}/{name}"))
}

pub(super) async fn revisions(Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let buildpack = find(&name)?;
    Ok(Json(json!([{
        "created_at": MADE_AT,
        "id": id(buildpack),
        "license": "MIT OR Apache-2.0",
        "published_by_email": "",
        "release": RELEASE,
        "status": "published",
        "updated_at": MADE_AT,
    }])))
}

pub(super) async fn readme(Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let buildpack = find(&name)?;
    let text = format!(
        "{} comes with the platform. {}.\n",
        buildpack.heroku_name(),
        buildpack.summary()
    );
    Ok(Json(
        json!({ "content": BASE64_STANDARD.encode(text), "encoding": "base64" }),
    ))
}

fn describe(name: &str) -> Result<Json<Value>, ApiError> {
    match name.parse() {
        Ok(Choice::Ours(ours)) => Ok(Json(answer(ours))),
        // An address is no name.
        Ok(Choice::Elsewhere(remote)) if !name.contains("://") => Ok(Json(answer_elsewhere(&remote))),
        _ => Err(ApiError::not_found("buildpack")),
    }
}

/// Whether it is published there is found out when a build fetches it.
fn answer_elsewhere(remote: &RemoteBuildpack) -> Value {
    let (namespace, name) = remote.name().split_once('/').unwrap_or_default();
    json!({
        "blob_url": format!("urn:buildpack:{}", remote.name()),
        "category": "other",
        "created_at": MADE_AT,
        "description": format!("Not part of this platform: each build fetches it from {}", remote.url()),
        "id": Uuid::nil(),
        "logo": null,
        "name": name,
        "namespace": namespace,
        "source": { "type": "heroku" },
        "support": { "address": "whoever publishes it", "method": "website" },
        "two_factor_authentication": false,
        "updated_at": MADE_AT,
    })
}

fn find(name: &str) -> Result<Buildpack, ApiError> {
    name.parse().map_err(|_| ApiError::not_found("buildpack"))
}

fn answer(buildpack: Buildpack) -> Value {
    let (namespace, name) = parts(buildpack);
    json!({
        // What an app is set to use when its user names this buildpack.
        "blob_url": format!("urn:buildpack:{}", buildpack.heroku_name()),
        "category": "languages",
        "created_at": MADE_AT,
        "description": buildpack.summary(),
        "id": id(buildpack),
        "logo": null,
        "name": name,
        "namespace": namespace,
        "source": { "type": "platform" },
        "support": { "address": "the operator of this platform", "method": "website" },
        "two_factor_authentication": false,
        "updated_at": MADE_AT,
    })
}

fn parts(buildpack: Buildpack) -> (&'static str, &'static str) {
    let name = buildpack.heroku_name();
    name.split_once('/').unwrap_or(("heroku", name))
}

fn id(buildpack: Buildpack) -> Uuid {
    let position = Buildpack::ALL.iter().position(|one| *one == buildpack).unwrap_or(0);
    Uuid::from_u128(FIRST_ID.as_u128() + position as u128)
}

/// Names and values of a query, decoded; the brackets in the names may arrive either way.
fn filters(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// Values of one filter are alternatives; filters go together.
fn is_wanted(buildpack: Buildpack, filters: &[(String, String)]) -> bool {
    let (namespace, name) = parts(buildpack);
    let values = |filter: &str| -> Vec<&str> {
        let wanted = filters.iter().filter(|(key, _)| key == filter);
        wanted.map(|(_, value)| value.as_str()).collect()
    };
    let is_one = |filter: &str, actual: &str| {
        let values = values(filter);
        values.is_empty() || values.contains(&actual)
    };
    let is_described = values("like[description]")
        .iter()
        .all(|words| buildpack.summary().to_lowercase().contains(&words.to_lowercase()));
    is_one("in[namespace][]", namespace) && is_one("in[name][]", name) && is_described
}
