//! Who may work on an app: its owner.

use std::sync::Arc;

use axum::extract::State;
use paas_api::{Collaborator, CollaboratorUser, Permission};

use super::{app, auth::OwnApp, page::Page, state::Api};

/// What an owner may do, in Heroku's words.
const PERMISSIONS: [(&str, &str); 4] = [
    ("deploy", "Can deploy code, run one-off dynos and change config vars"),
    ("manage", "Can rename and destroy the app, and manage its collaborators"),
    ("operate", "Can scale, restart and change the maintenance mode"),
    ("view", "Can view the app"),
];

pub(super) async fn list(State(_): State<Arc<Api>>, OwnApp { row, .. }: OwnApp) -> Page<Collaborator> {
    Page::whole(vec![Collaborator {
        app: app::reference(&row.app),
        created_at: row.app.created_at.into(),
        // The owner is one for as long as the app exists: its id serves for both.
        id: *row.app.id.as_uuid(),
        permissions: PERMISSIONS
            .into_iter()
            .map(|(name, description)| Permission {
                description: description.to_owned(),
                name: name.to_owned(),
            })
            .collect(),
        role: Some("owner".to_owned()),
        updated_at: row.app.created_at.into(),
        user: CollaboratorUser {
            email: row.owner.email,
            federated: false,
            id: *row.owner.id.as_uuid(),
        },
    }])
}
