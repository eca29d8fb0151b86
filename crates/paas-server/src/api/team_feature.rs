//! Features of teams. There is one, which Heroku's command asks for: permissions can be given app by app.

use axum::{Json, extract::Path};
use paas_api::TeamFeature;
use paas_store::team::Team;
use uuid::{Uuid, uuid};

use super::{access::OwnTeam, error::ApiError, page::Page};

const ACCESS_CONTROLS: &str = "org-access-controls";
const ACCESS_CONTROLS_ID: Uuid = uuid!("5b1c9a55-6f3e-4d0e-8a53-2f2f0d1f7c11");

pub(super) async fn list(OwnTeam { team, .. }: OwnTeam) -> Page<TeamFeature> {
    Page::whole(vec![access_controls(&team)])
}

pub(super) async fn info(
    Path((_, feature)): Path<(String, String)>,
    OwnTeam { team, .. }: OwnTeam,
) -> Result<Json<TeamFeature>, ApiError> {
    if feature == ACCESS_CONTROLS || feature == ACCESS_CONTROLS_ID.to_string() {
        Ok(Json(access_controls(&team)))
    } else {
        Err(ApiError::not_found("feature"))
    }
}

fn access_controls(team: &Team) -> TeamFeature {
    TeamFeature {
        created_at: team.created_at.into(),
        description: "Give each member and collaborator their own permissions on each app.".to_owned(),
        display_name: "App permissions".to_owned(),
        doc_url: "https://devcenter.heroku.com/articles/app-permissions".to_owned(),
        enabled: true,
        feedback_email: team.name.address(),
        id: ACCESS_CONTROLS_ID,
        name: ACCESS_CONTROLS.to_owned(),
        state: "general".to_owned(),
        updated_at: team.created_at.into(),
    }
}
