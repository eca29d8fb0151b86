//! Images that are built already: named by somebody, or pushed to the registry door.

use std::sync::Arc;

use axum::{Json, extract::State};
use http::StatusCode;
use paas_api::NewImage;
use paas_core::{ImageRef, ProcessType};
use paas_engine::RegistryCredentials;
use paas_store::app::AppRow;

use super::{
    auth::{Caller, OwnApp},
    body::Body,
    build,
    error::ApiError,
    origin::Origin,
    state::Api,
};
use crate::{
    control::{self, BuildSource, ImageChanges, ImageError, WantedImage},
    outbound::Policy,
    registry::RegistryError,
};

const LONGEST_NAME: usize = 300;

/// Deploys an image in the place of one of the app's process types.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    origin: Origin,
    OwnApp { caller, row }: OwnApp,
    Body(new): Body<NewImage>,
) -> Result<(StatusCode, Json<paas_api::Build>), ApiError> {
    let NewImage {
        image,
        process_type,
        registry_user,
        registry_password,
    } = new;
    check_name(&image)?;
    let name = ImageRef::new(image.clone());
    check_registry(&api, &name).await?;
    let process_type = process_type.map_or_else(|| Ok(ProcessType::web()), |name| name.parse())?;
    let credentials = match (registry_user, registry_password) {
        (None, None) => None,
        (Some(user), Some(password)) => Some(RegistryCredentials {
            user,
            password: password.expose().to_owned(),
        }),
        _ => {
            return Err(ApiError::invalid(
                "A private registry wants both registry_user and registry_password.",
            ));
        }
    };
    let submitted = control::submit(
        &api.platform,
        control::NewBuild {
            app: row.app.clone(),
            actor: caller.account.clone(),
            description: Some(image),
            source: BuildSource::Image(WantedImage {
                name,
                process_type,
                credentials,
            }),
            commit: None,
            buildpacks: None,
            blob: None,
        },
    )
    .await?;
    api.announce(row.app.id, "Build started", &caller.account);
    let made = build::find(&api, row.app.id, &submitted.build.to_string()).await?;
    Ok((StatusCode::CREATED, Json(build::answer(&api, &origin, &row, made))))
}

/// Releases what was pushed.
pub(super) async fn release(
    api: &Api,
    row: &AppRow,
    caller: &Caller,
    changes: Vec<(ProcessType, Option<String>)>,
) -> Result<(), ApiError> {
    let changes = changes.into_iter().map(|(process_type, digest)| {
        let digest = digest.map(|digest| digest.parse()).transpose();
        let digest = digest.map_err(|_| {
            ApiError::invalid(
                "docker_image must be the digest of an image's configuration: sha256: and 64 hexadecimal digits.",
            )
        })?;
        Ok((process_type, digest))
    });
    let changes = changes.collect::<Result<ImageChanges, ApiError>>()?;
    let released = control::release_images(&api.platform, &row.app, changes, &caller.account).await;
    let release = released.map_err(|error| match error {
        ImageError::Store(error) => error.into(),
        ImageError::NotPushed { .. } | ImageError::NoSuchType { .. } => ApiError::unknown_image(sentence(&error)),
        ImageError::Engine(_) | ImageError::Other(_) | ImageError::Registry(RegistryError::Disk(_)) => {
            ApiError::internal(error)
        }
        error => ApiError::invalid(sentence(&error)),
    })?;
    api.begin_release(release).await;
    Ok(())
}

fn sentence(error: &ImageError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect());
    format!("{first}{}.", letters.as_str())
}

/// What can only be a name (Distribution Specification, *Pulling manifests*; Docker's *reference* grammar): an id would be
/// anybody's image, and an option nobody's.
fn check_name(name: &str) -> Result<(), ApiError> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    let (path, _) = name.split_once('@').unwrap_or((name, ""));
    let parts: Vec<_> = path.split('/').collect();
    let has_parts = parts
        .iter()
        .all(|part| !part.is_empty() && !part.starts_with(['.', '-', ':']));
    let is_id = path.starts_with("sha256");
    if starts_well && has_parts && !is_id && name.len() <= LONGEST_NAME && name.bytes().all(is_word) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "Image {} is no name of an image. Give it as Docker writes it, such as registry.example.com/team/app:1.0.",
        name.chars().take(100).collect::<String>()
    )))
}

/// The engine asks the registry from where the platform is: what is inside is not for everybody. Where a registry of the
/// internet sends the engine on to, nobody sees (docs/containers.md).
async fn check_registry(api: &Api, name: &ImageRef) -> Result<(), ApiError> {
    let Some(first) = name.registry() else {
        return Ok(());
    };
    let policy = Policy::of_sources(&api.platform.settings);
    if matches!(policy, Policy::Anywhere) {
        return Ok(());
    }
    let host = first.split_once(':').map_or(first, |(host, _)| host);
    let found = tokio::net::lookup_host((host, 443))
        .await
        .map_err(|_| ApiError::invalid(format!("The registry {host} has no address: check the image's name.")))?;
    for address in found {
        if let Some(why) = policy.closed(address.ip()) {
            return Err(ApiError::invalid(format!(
                "The registry {host} {why}. The platform's operator can allow that: PAAS_ALLOW_PRIVATE_SOURCES=true."
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_no_name_of_an_image() {
        for name in [
            "debian",
            "debian:12-slim",
            "team/app",
            "127.0.0.1:5000/a/b:c",
            "registry.example.com/a@sha256:00",
        ] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let id = format!("sha256:{}", "0".repeat(64));
        for name in [
            "",
            "-x",
            "a b",
            "../x",
            "a//b",
            "a/../b",
            "/a",
            "a/",
            "a\nb",
            "--help",
            "sha256:abc",
            &id,
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
