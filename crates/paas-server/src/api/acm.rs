//! Automated certificate management: on, off, again; and how it is doing.

use std::sync::Arc;

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use paas_api::{AcmDomain, AcmUpdate};
use paas_core::{App, Id};
use paas_store::{
    PgConnection,
    acm::{self as store, ManagedName},
    app as apps,
    app::AppRow,
    certificate::{self, Certificate, Source},
    domain::{self, Domain},
};

use super::{
    app,
    auth::{Caller, OwnApp},
    body::Body,
    error::ApiError,
    page::Page,
    state::Api,
};

/// What is known of the managed certificates of an app.
pub(super) struct Managed {
    names: Vec<ManagedName>,
    certificates: Vec<Certificate>,
    now: DateTime<Utc>,
}

/// How the certificate of one domain is doing.
#[derive(Default)]
pub(super) struct Progress {
    /// `false`: another certificate was chosen, or its app does without.
    is_managed: bool,
    /// Heroku's `acm_status`.
    pub(super) status: Option<&'static str>,
    pub(super) reason: Option<String>,
    pub(super) changed_at: Option<DateTime<Utc>>,
    tried_at: Option<DateTime<Utc>>,
    next_at: Option<DateTime<Utc>>,
    attempts: u32,
    expires_at: Option<DateTime<Utc>>,
}

/// One entry for each domain whose certificate comes by itself.
pub(super) async fn list(State(api): State<Arc<Api>>, OwnApp { row, .. }: OwnApp) -> Result<Page<AcmDomain>, ApiError> {
    let mut connection = api.connection().await?;
    let domains = domain::list_of_app(&mut connection, row.app.id).await?;
    let managed = Managed::of_app(&api, &mut connection, row.app.id).await?;
    let answers = domains.iter().filter_map(|domain| {
        let progress = managed.progress(domain);
        progress.is_managed.then(|| answer(domain, progress))
    });
    Ok(Page::whole(answers.collect()))
}

pub(super) async fn enable(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
) -> Result<Json<paas_api::App>, ApiError> {
    switch(&api, &caller, row, true).await
}

pub(super) async fn disable(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
) -> Result<Json<paas_api::App>, ApiError> {
    switch(&api, &caller, row, false).await
}

/// Tries again what was given up or waits.
pub(super) async fn refresh(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
    Body(update): Body<AcmUpdate>,
) -> Result<Json<paas_api::App>, ApiError> {
    if !row.acm {
        return Err(ApiError::invalid(
            "Automated Certificate Management is off for this app. Turn it on first.",
        ));
    }
    if update.acm_refresh {
        let mut connection = api.connection().await?;
        store::refresh(&mut connection, row.app.id, api.now()).await?;
        api.announce(row.app.id, "Refresh ACM", &caller.account);
    }
    app::whole(&api, row).await
}

impl Managed {
    pub(super) async fn of_app(api: &Api, conn: &mut PgConnection, app: Id<App>) -> Result<Self, ApiError> {
        let mut certificates = certificate::list_of_app(conn, app).await?;
        certificates.retain(|certificate| !matches!(certificate.source, Source::Uploaded { .. }));
        Ok(Self {
            names: store::list_of_app(conn, app).await?,
            certificates,
            now: api.now(),
        })
    }

    pub(super) fn progress(&self, domain: &Domain) -> Progress {
        if !domain.acm || domain.certificate.is_some() {
            return Progress::default();
        }
        let covering = self.certificates.iter().filter(|found| found.covers(&domain.hostname));
        let valid = covering.filter(|found| found.is_valid_at(self.now));
        let expires_at = valid.map(|found| found.not_after).max();
        let progress = Progress {
            is_managed: true,
            status: expires_at.map(|_| "cert issued"),
            expires_at,
            ..Progress::default()
        };
        let Some(name) = self.names.iter().find(|name| name.hostname == domain.hostname) else {
            return progress;
        };
        Progress {
            status: Some(name.acm.status(expires_at.is_some())),
            reason: name.acm.reason.clone(),
            changed_at: Some(name.acm.changed_at),
            tried_at: name.acm.tried_at,
            next_at: name.acm.next_at(),
            attempts: name.acm.attempts,
            ..progress
        }
    }
}

impl Progress {
    /// Heroku's `status` of a domain: `pending` is what `domains:wait` waits to end.
    pub(super) fn status_of_domain(&self) -> &'static str {
        match self.status {
            _ if !self.is_managed => "none",
            _ if self.expires_at.is_some() => "succeeded",
            Some("failed") => "failed",
            _ => "pending",
        }
    }
}

async fn switch(api: &Api, caller: &Caller, row: AppRow, on: bool) -> Result<Json<paas_api::App>, ApiError> {
    if row.acm != on {
        let mut connection = api.connection().await?;
        apps::set_acm(&mut connection, row.app.id, on, api.stamp(&caller.account)).await?;
        let what = if on { "Enable ACM" } else { "Disable ACM" };
        api.announce(row.app.id, what, &caller.account);
    }
    app::whole(api, AppRow { acm: on, ..row }).await
}

fn answer(domain: &Domain, progress: Progress) -> AcmDomain {
    AcmDomain {
        attempts: progress.attempts,
        expires_at: progress.expires_at.map(Into::into),
        hostname: domain.hostname.to_string(),
        last_try_at: progress.tried_at.map(Into::into),
        next_try_at: progress.next_at.map(Into::into),
        reason: progress.reason,
        status: progress.status.map(str::to_owned),
    }
}
