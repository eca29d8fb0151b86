//! The exec manager of Heroku's client: it reserves a place in a dyno with a key, and comes by SSH then (`ssh/`).
//!
//! It names the app as the user of its credentials.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::HeaderMap;
use paas_api::{ExecReservation, NewExecReservation, ReservedDyno};
use paas_core::DynoState;
use paas_store::dyno;
use russh::keys::PublicKey;

use super::{auth::OwnApp, body::Body, error::ApiError, one_off, rendezvous, state::Api};
use crate::ssh::Reservation;

/// Longer than a key of 16,384 bits.
const LONGEST_KEY: usize = 8 * 1024;

/// The dynos that one can come to.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<Vec<ReservedDyno>>, ApiError> {
    let mut connection = api.connection().await?;
    let dynos = dyno::of(&mut connection, row.app.id).await?;
    let up = dynos
        .into_iter()
        .filter(|dyno| matches!(dyno.state, DynoState::Up { .. }));
    let reserved = up.map(|dyno| ReservedDyno {
        dyno_name: dyno.name.to_string(),
    });
    Ok(Json(reserved.collect()))
}

/// Lets whoever has this key come to a dyno.
pub(super) async fn reserve(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    OwnApp { caller, row }: OwnApp,
    Body(NewExecReservation { client_key }): Body<NewExecReservation>,
) -> Result<Json<ExecReservation>, ApiError> {
    let key = Some(client_key.trim()).filter(|key| key.len() <= LONGEST_KEY);
    let key = key.and_then(|key| PublicKey::from_openssh(key).ok()).ok_or_else(|| {
        ApiError::invalid("Client key is not a public key of SSH: send a line such as `ssh-rsa AAAA…`.")
    })?;
    let session = one_off::open(&api, &headers, &caller, row.app.id).await?;
    let (name, container) = rendezvous::running(&api, &row, &name).await?;
    let reservation = Reservation::new(caller.account.id, container, key, session);
    let platform = &api.platform;
    let proxy_public_key = platform.ssh.public_key().map_err(ApiError::internal)?;
    let client_user = platform.ssh.reserve(reservation).map_err(ApiError::internal)?;
    let what = format!("Opening dyno {name} for SSH");
    api.announce(row.app.id, &what, &caller.account);
    Ok(Json(ExecReservation {
        client_user,
        // As the dyno knows itself: where forwarded connections begin.
        dyno_ip: "127.0.0.1".to_owned(),
        proxy_public_key,
        tunnel_host: platform.settings.rendezvous_host().to_string(),
    }))
}
