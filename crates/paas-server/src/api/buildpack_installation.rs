//! The buildpacks that an app is set to use: ours, in order. Without any, each build finds out by itself.

use std::sync::Arc;

use axum::{Json, extract::State};
use paas_api::{BuildpackChoice, BuildpackInstallation, BuildpackInstallations, BuildpackRef};
use paas_build::Buildpack;
use paas_store::app;

use super::{auth::OwnApp, body::Body, error::ApiError, page::Page, state::Api};

pub(super) async fn list(OwnApp { row, .. }: OwnApp) -> Page<BuildpackInstallation> {
    Page::whole(installations(&row.buildpacks))
}

/// Takes effect with the next build.
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
    Body(BuildpackInstallations { updates }): Body<BuildpackInstallations>,
) -> Result<Json<Vec<BuildpackInstallation>>, ApiError> {
    let chosen = updates
        .into_iter()
        .map(|BuildpackChoice { buildpack }| parse(&buildpack))
        .collect::<Result<Vec<_>, _>>()?;
    let chosen = names(&chosen)?;
    if chosen != row.buildpacks {
        let mut transaction = api.store().begin().await?;
        let stamp = api.stamp(&caller.account);
        app::set_buildpacks(&mut transaction, row.app.id, &chosen, stamp).await?;
        transaction.commit().await?;
        let what = match chosen.as_slice() {
            [] => "Buildpacks cleared".to_owned(),
            chosen => format!("Buildpacks set to {}", chosen.join(", ")),
        };
        api.announce(row.app.id, &what, &caller.account);
    }
    Ok(Json(installations(&chosen)))
}

/// A buildpack of ours, however a client names it.
pub(super) fn parse(BuildpackRef(name): &BuildpackRef) -> Result<Buildpack, ApiError> {
    name.parse().map_err(|_| {
        let known: Vec<&str> = Buildpack::ALL.into_iter().map(Buildpack::heroku_name).collect();
        let which = if name.is_empty() {
            "That buildpack".to_owned()
        } else {
            format!("The buildpack {name}")
        };
        ApiError::invalid(format!(
            "{which} cannot be used here: this platform runs its own buildpacks ({}), and none from other \
             places. Choose from these, or build the app from a Dockerfile.",
            known.join(", ")
        ))
    })
}

/// The names that are stored; each buildpack is there once.
fn names(buildpacks: &[Buildpack]) -> Result<Vec<String>, ApiError> {
    let mut names: Vec<String> = Vec::new();
    for buildpack in buildpacks {
        if names.iter().any(|name| name == buildpack.heroku_name()) {
            return Err(ApiError::invalid(format!(
                "The buildpack {} is named twice: name each once.",
                buildpack.heroku_name()
            )));
        }
        names.push(buildpack.heroku_name().to_owned());
    }
    Ok(names)
}

fn installations(names: &[String]) -> Vec<BuildpackInstallation> {
    (0..)
        .zip(names)
        .map(|(ordinal, name)| BuildpackInstallation {
            buildpack: answer(name),
            ordinal,
        })
        .collect()
}

/// The form in which Heroku answers for what is in its registry.
pub(super) fn answer(name: &str) -> paas_api::Buildpack {
    paas_api::Buildpack {
        name: name.to_owned(),
        url: format!("urn:buildpack:{name}"),
    }
}
