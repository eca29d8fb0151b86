//! The buildpacks that an app is set to use: ours and others, in order. Without any, each build finds out by itself.

use std::sync::Arc;

use axum::{Json, extract::State};
use paas_api::{BuildpackChoice, BuildpackInstallation, BuildpackInstallations, BuildpackRef};
use paas_build::{Choice, UnknownBuildpack};
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

/// A buildpack, however a client names it.
pub(super) fn parse(BuildpackRef(name): &BuildpackRef) -> Result<Choice, ApiError> {
    name.parse().map_err(|error: UnknownBuildpack| {
        // Heroku's command sends nothing where the registry did not know the name.
        let which = if name.is_empty() {
            "That buildpack cannot be used here: "
        } else {
            "This buildpack cannot be used: "
        };
        ApiError::invalid(format!(
            "{which}{error}. Choose another, or build the app from a Dockerfile."
        ))
    })
}

/// The names that are stored; each buildpack is there once.
fn names(buildpacks: &[Choice]) -> Result<Vec<String>, ApiError> {
    let mut names: Vec<String> = Vec::new();
    for buildpack in buildpacks.iter().map(Choice::to_string) {
        if names.contains(&buildpack) {
            return Err(ApiError::invalid(format!(
                "The buildpack {buildpack} is named twice: name each once."
            )));
        }
        names.push(buildpack);
    }
    let most = Choice::MOST;
    if names.len() > most {
        return Err(ApiError::invalid(format!("An app has at most {most} buildpacks.")));
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

/// The form in which Heroku answers: an address for what is not in its registry.
pub(super) fn answer(name: &str) -> paas_api::Buildpack {
    let url = if name.contains("://") {
        name.to_owned()
    } else {
        format!("urn:buildpack:{name}")
    };
    paas_api::Buildpack {
        name: name.to_owned(),
        url,
    }
}

/// What a build was made with: `url` leads to that very commit or archive.
pub(super) fn used(name: &str, version: &str) -> paas_api::Buildpack {
    match name.parse() {
        Ok(Choice::Elsewhere(remote)) if !version.is_empty() => paas_api::Buildpack {
            name: name.to_owned(),
            url: remote.pinned(version),
        },
        _ => answer(name),
    }
}
