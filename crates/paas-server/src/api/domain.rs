//! Domains: the one that the platform gives each app, and those that people add.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use paas_api::{Domain, DomainUpdate, NamedRef, NewDomain};
use paas_core::{App, DomainName, Id, is_public_name, registered_domain};
use paas_store::{
    Connection, StoreError,
    app::AppRow,
    certificate::Certificate,
    domain::{self, Domain as DomainRow},
};

use super::{
    acm::{Managed, Progress},
    app,
    auth::OwnApp,
    body::Body,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    resource, sni_endpoint,
    state::Api,
};

const FIELDS: [Field<Domain>; 2] = [
    Field {
        name: "id",
        key: |domain| Key::Text(domain.id.to_string()),
    },
    Field {
        name: "hostname",
        key: |domain| Key::Text(domain.hostname.clone()),
    },
];

/// The app's own name first: its id is the older one.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
    Wanted(range): Wanted,
) -> Result<Page<Domain>, ApiError> {
    let mut connection = api.connection().await?;
    let domains = domain::list_of_app(&mut connection, row.app.id).await?;
    let managed = Managed::of_app(&api, &mut connection, row.app.id).await?;
    drop(connection);
    let targets = Targets::find(&api).await;
    let mut answers = vec![own(&api, &row)];
    answers.extend(domains.into_iter().map(|domain| {
        let progress = managed.progress(&domain);
        targets.answer(&api, &row.app, domain, progress)
    }));
    page(&range, answers, &FIELDS)
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<Domain>, ApiError> {
    let own = own(&api, &row);
    if name.eq_ignore_ascii_case(&own.hostname) || name == own.id.to_string() {
        return Ok(Json(own));
    }
    let mut connection = api.connection().await?;
    let domain = find(&mut connection, row.app.id, &name).await?;
    whole(&api, connection, &row.app, domain).await.map(Json)
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
    Body(new): Body<NewDomain>,
) -> Result<(StatusCode, Json<Domain>), ApiError> {
    let hostname = DomainName::custom(&new.hostname)?;
    refuse_own_names(&api, &hostname)?;
    let app = row.app.id;
    let mut transaction = api.store().begin().await?;
    let certificate = match &new.sni_endpoint {
        Some(endpoint) => Some(sni_endpoint::find(&mut transaction, app, endpoint.as_str()).await?),
        None => None,
    };
    if let Some(certificate) = &certificate {
        check_cover(certificate, &hostname)?;
    }
    let wanted = domain::NewDomain {
        app,
        hostname: &hostname,
        certificate: certificate.map(|certificate| certificate.id),
    };
    let made = match domain::create(&mut transaction, wanted, api.stamp(&caller.account)).await {
        Ok(made) => made,
        Err(StoreError::DomainTaken) => {
            // A unique violation has ended this transaction.
            drop(transaction);
            return Err(taken(&api, app, &hostname).await?);
        }
        Err(error) => return Err(error.into()),
    };
    transaction.commit().await?;
    api.announce(app, &format!("Add domain {hostname}"), &caller.account);
    let connection = api.connection().await?;
    let answer = whole(&api, connection, &row.app, made).await?;
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Chooses the certificate that the domain is served with.
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
    Body(update): Body<DomainUpdate>,
) -> Result<Json<Domain>, ApiError> {
    let app = row.app.id;
    let mut transaction = api.store().begin().await?;
    let domain = find_custom(&api, &mut transaction, &row, &name).await?;
    let certificate = match &update.sni_endpoint {
        Some(endpoint) => Some(sni_endpoint::find(&mut transaction, app, endpoint.as_str()).await?),
        None => None,
    };
    if let Some(certificate) = &certificate {
        check_cover(certificate, &domain.hostname)?;
    }
    let certificate = certificate.map(|certificate| certificate.id);
    let stamp = api.stamp(&caller.account);
    let domain = domain::set_certificate(&mut transaction, domain.id, certificate, stamp).await?;
    transaction.commit().await?;
    let what = match &domain.certificate {
        Some(chosen) => format!("Use certificate {} for domain {}", chosen.name, domain.hostname),
        None => format!("Use the managed certificate for domain {}", domain.hostname),
    };
    api.announce(app, &what, &caller.account);
    let connection = api.connection().await?;
    whole(&api, connection, &row.app, domain).await.map(Json)
}

pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
) -> Result<Json<Domain>, ApiError> {
    let app = row.app.id;
    let mut transaction = api.store().begin().await?;
    let domain = find_custom(&api, &mut transaction, &row, &name).await?;
    let managed = Managed::of_app(&api, &mut transaction, app).await?;
    let domain = domain::delete(&mut transaction, domain.id, api.stamp(&caller.account)).await?;
    let targets = Targets::find(&api).await;
    let progress = managed.progress(&domain);
    let gone = targets.answer(&api, &row.app, domain, progress);
    resource::describe_end(&mut transaction, &gone.id, &gone).await?;
    transaction.commit().await?;
    api.announce(app, &format!("Remove domain {}", gone.hostname), &caller.account);
    Ok(Json(gone))
}

async fn find(connection: &mut Connection, app: Id<App>, name: &str) -> Result<DomainRow, ApiError> {
    let found = domain::find(connection, app, name).await?;
    found.ok_or_else(|| ApiError::not_found("domain"))
}

/// A domain that can be changed.
async fn find_custom(
    api: &Api,
    transaction: &mut paas_store::Transaction,
    row: &AppRow,
    name: &str,
) -> Result<DomainRow, ApiError> {
    let own = own(api, row);
    if name.eq_ignore_ascii_case(&own.hostname) || name == own.id.to_string() {
        return Err(ApiError::invalid(format!(
            "{} comes and goes with the app. To change it, rename the app.",
            own.hostname
        )));
    }
    let found = domain::find(transaction, row.app.id, name).await?;
    found.ok_or_else(|| ApiError::not_found("domain"))
}

/// Everything at and below the platform's own domain is for apps and for the platform itself.
fn refuse_own_names(api: &Api, hostname: &DomainName) -> Result<(), ApiError> {
    let platform = &api.platform.settings.domain;
    if hostname.base() == platform || hostname.base().is_below(platform) {
        return Err(ApiError::invalid(format!(
            "{hostname} belongs to this platform, which gives each app a name below {platform} by itself. Add a name of a \
             domain of your own."
        )));
    }
    Ok(())
}

/// What is in the way, without telling whose it is.
async fn taken(api: &Api, app: Id<App>, hostname: &DomainName) -> Result<ApiError, ApiError> {
    let mut connection = api.connection().await?;
    let ours = domain::find(&mut connection, app, &hostname.to_string()).await?;
    Ok(ApiError::invalid(if ours.is_some() {
        format!("{hostname} is already a domain of this app.")
    } else {
        format!("{hostname} is currently in use by another app.")
    }))
}

fn check_cover(certificate: &Certificate, hostname: &DomainName) -> Result<(), ApiError> {
    if certificate.covers(hostname) {
        return Ok(());
    }
    let names: Vec<_> = certificate.hostnames.iter().map(ToString::to_string).collect();
    Err(ApiError::invalid(format!(
        "The certificate does not cover {hostname}, only {}. Choose or upload one that does.",
        names.join(", ")
    )))
}

pub(super) async fn whole(
    api: &Api,
    mut connection: Connection,
    app: &App,
    domain: DomainRow,
) -> Result<Domain, ApiError> {
    let managed = Managed::of_app(api, &mut connection, app.id).await?;
    drop(connection);
    let targets = Targets::find(api).await;
    let progress = managed.progress(&domain);
    Ok(targets.answer(api, app, domain, progress))
}

/// The name that the platform gave.
fn own(api: &Api, row: &AppRow) -> Domain {
    Domain {
        acm_status: None,
        acm_status_reason: None,
        addresses: Vec::new(),
        app: app::reference(&row.app),
        cname: None,
        created_at: row.app.created_at.into(),
        hostname: api.platform.settings.domain.child(row.app.name.as_str()).to_string(),
        // It comes and goes with the app, and there is one: the app's id serves for both.
        id: *row.app.id.as_uuid(),
        kind: "heroku".to_owned(),
        sni_endpoint: None,
        status: "none".to_owned(),
        updated_at: row.app.updated_at.into(),
    }
}

/// Where DNS records have to point.
struct Targets {
    addresses: Vec<IpAddr>,
}

impl Targets {
    async fn find(api: &Api) -> Self {
        Self {
            addresses: api.platform.addresses.current().await.addresses,
        }
    }

    fn answer(&self, api: &Api, app: &App, row: DomainRow, progress: Progress) -> Domain {
        let DomainRow {
            id,
            app: _,
            hostname,
            certificate,
            acm: _,
            created_at,
            updated_at,
        } = row;
        let status = progress.status_of_domain().to_owned();
        let changed_at = progress.changed_at.map_or(updated_at, |at| at.max(updated_at));
        Domain {
            acm_status: progress.status.map(str::to_owned),
            acm_status_reason: progress.reason,
            addresses: self.addresses.clone(),
            app: app::reference(app),
            cname: Some(self.cname(api, app, &hostname)),
            created_at: created_at.into(),
            hostname: hostname.to_string(),
            id: *id.as_uuid(),
            kind: "custom".to_owned(),
            sni_endpoint: certificate.map(|chosen| NamedRef {
                id: *chosen.id.as_uuid(),
                name: chosen.name,
            }),
            status,
            updated_at: changed_at.into(),
        }
    }

    /// The app's own name, which needs no change if this machine moves; but no alias can stand at the top of a domain
    /// (RFC 1912 §2.4), and none can lead to a name that only this machine knows.
    fn cname(&self, api: &Api, app: &App, hostname: &DomainName) -> String {
        let own = api.platform.settings.domain.child(app.name.as_str()).to_string();
        let is_apex =
            !hostname.is_wildcard() && registered_domain(hostname.base().as_str()) == hostname.base().as_str();
        match self.addresses.first() {
            Some(address) if is_apex || !is_public_name(&own) => address.to_string(),
            _ => own,
        }
    }
}
