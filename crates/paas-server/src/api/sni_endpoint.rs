//! SNI endpoints: the certificates of an app, those that people brought and those that came by themselves.
//!
//! A private key comes in and never goes out.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use http::StatusCode;
use paas_api::{NewSniEndpoint, SniEndpoint, SslCert};
use paas_core::{App, DomainName, Id};
use paas_router::certificate::{PairError, certificate_facts, check_pair};
use paas_store::{
    PgConnection, StoreError,
    certificate::{self, Certificate, Material, Source},
    domain::{self, Domain},
};

use super::{
    app,
    auth::OwnApp,
    body::Body,
    error::ApiError,
    haiku,
    page::{Field, Key, Page, Wanted, page},
    resource,
    state::Api,
};

/// Invented names are tried this often; each is free with a probability near one.
const INVENTIONS: u32 = 5;

const FIELDS: [Field<SniEndpoint>; 2] = [
    Field {
        name: "id",
        key: |endpoint| Key::Text(endpoint.id.to_string()),
    },
    Field {
        name: "name",
        key: |endpoint| Key::Text(endpoint.name.clone()),
    },
];

/// Heroku's command takes several of them for a choice, and asks its user to make it. So without `?all=true` those that came
/// by themselves, of which nobody can choose, are shown only where there is nothing else and no more than one.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
    RawQuery(query): RawQuery,
    Wanted(range): Wanted,
) -> Result<Page<SniEndpoint>, ApiError> {
    let mut connection = api.connection().await?;
    let domains = domain::list_of_app(&mut connection, row.app.id).await?;
    let mut certificates = shown(&mut connection, row.app.id, &domains).await?;
    if query.as_deref() != Some("all=true") && certificates.len() > 1 {
        certificates.retain(|certificate| !is_managed(certificate));
    }
    let answers = certificates
        .into_iter()
        .map(|certificate| answer(&row.app, certificate, &domains));
    page(&range, answers.collect::<Result<_, _>>()?, &FIELDS)
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<SniEndpoint>, ApiError> {
    let mut connection = api.connection().await?;
    let domains = domain::list_of_app(&mut connection, row.app.id).await?;
    let certificates = shown(&mut connection, row.app.id, &domains).await?;
    match certificates
        .into_iter()
        .find(|certificate| is_called(certificate, &name))
    {
        Some(certificate) => answer(&row.app, certificate, &domains).map(Json),
        None => Err(ApiError::not_found("certificate")),
    }
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
    Body(new): Body<NewSniEndpoint>,
) -> Result<(StatusCode, Json<SniEndpoint>), ApiError> {
    let pair = Pair::check(&new, &api)?;
    let app = row.app.id;
    let stamp = api.stamp(&caller.account);
    let mut connection = api.connection().await?;
    let mut attempt = 1;
    let certificate = loop {
        let name = haiku::invent();
        let sealer = &api.store().sealer;
        match certificate::upload(&mut connection, sealer, app, name.as_str(), pair.material(), stamp).await {
            Err(StoreError::NameTaken) if attempt < INVENTIONS => attempt += 1,
            result => break result?,
        }
    };
    let what = format!("Add certificate {}", name(&certificate));
    api.announce(app, &what, &caller.account);
    let domains = domain::list_of_app(&mut connection, app).await?;
    Ok((StatusCode::CREATED, Json(answer(&row.app, certificate, &domains)?)))
}

/// Puts another chain and key in its place; its domains go on with them.
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
    Body(new): Body<NewSniEndpoint>,
) -> Result<Json<SniEndpoint>, ApiError> {
    let pair = Pair::check(&new, &api)?;
    let app = row.app.id;
    let mut transaction = api.store().begin().await?;
    let certificate = find(&mut transaction, app, &name).await?;
    let domains = domain::list_of_app(&mut transaction, app).await?;
    let uses = domains.iter().filter(|domain| is_used(&certificate, domain));
    for domain in uses {
        if !pair.hostnames.iter().any(|name| name.covers(&domain.hostname)) {
            let hostname = domain.hostname.to_string();
            let names = pair.hostnames.iter().map(ToString::to_string).collect();
            return Err(refusal(&PairError::Name { hostname, names }));
        }
    }
    let sealer = &api.store().sealer;
    let stamp = api.stamp(&caller.account);
    let certificate = certificate::replace(&mut transaction, sealer, certificate.id, pair.material(), stamp).await?;
    transaction.commit().await?;
    let what = format!("Update certificate {}", self::name(&certificate));
    api.announce(app, &what, &caller.account);
    answer(&row.app, certificate, &domains).map(Json)
}

pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
) -> Result<Json<SniEndpoint>, ApiError> {
    let app = row.app.id;
    let mut transaction = api.store().begin().await?;
    let certificate = find(&mut transaction, app, &name).await?;
    certificate::delete(&mut transaction, certificate.id, api.stamp(&caller.account)).await?;
    let what = format!("Remove certificate {}", self::name(&certificate));
    let gone = answer(&row.app, certificate, &[])?;
    resource::describe_end(&mut transaction, &gone.id, &gone).await?;
    transaction.commit().await?;
    api.announce(app, &what, &caller.account);
    Ok(Json(gone))
}

/// The app's uploaded certificate with this name or id: managed ones are nobody's to choose.
pub(super) async fn find(conn: &mut PgConnection, app: Id<App>, name_or_id: &str) -> Result<Certificate, ApiError> {
    if let Some(found) = certificate::find(conn, app, name_or_id).await? {
        return Ok(found);
    }
    let domains = domain::list_of_app(conn, app).await?;
    let others = shown(conn, app, &domains).await?;
    Err(if others.iter().any(|other| is_called(other, name_or_id)) {
        ApiError::invalid(format!(
            "{name_or_id} comes by itself and cannot be chosen, replaced or removed. Upload a certificate of your own, or \
             turn Automated Certificate Management off."
        ))
    } else {
        ApiError::not_found("certificate")
    })
}

/// All that were uploaded, and the managed ones that a domain uses: of several for the same names only the newest, which is
/// the one that serves.
async fn shown(conn: &mut PgConnection, app: Id<App>, domains: &[Domain]) -> Result<Vec<Certificate>, ApiError> {
    let mut certificates = certificate::list_of_app(conn, app).await?;
    certificates
        .retain(|certificate| !is_managed(certificate) || domains.iter().any(|domain| is_used(certificate, domain)));
    certificates.sort_by_key(|certificate| std::cmp::Reverse(certificate.not_after));
    let mut kept: Vec<Certificate> = Vec::new();
    for certificate in certificates {
        let is_older = |newer: &Certificate| {
            is_managed(newer) && newer.source == certificate.source && newer.hostnames == certificate.hostnames
        };
        if !kept.iter().any(is_older) {
            kept.push(certificate);
        }
    }
    Ok(kept)
}

/// A chain and a key that belong together and can be served now.
struct Pair<'a> {
    new: &'a NewSniEndpoint,
    hostnames: Vec<DomainName>,
    facts: paas_router::certificate::CertificateFacts,
}

impl<'a> Pair<'a> {
    fn check(new: &'a NewSniEndpoint, api: &Api) -> Result<Self, ApiError> {
        let key = new.private_key.expose();
        let facts = check_pair(&new.certificate_chain, key, None, api.now()).map_err(|error| refusal(&error))?;
        // Certificates may have names that no request can ask for, such as those with an underscore.
        let hostnames: Vec<_> = facts.names.iter().filter_map(|name| name.parse().ok()).collect();
        if hostnames.is_empty() {
            return Err(refusal(&PairError::NoNames));
        }
        Ok(Self { new, hostnames, facts })
    }

    fn material(&self) -> Material<'_> {
        Material {
            hostnames: &self.hostnames,
            chain_pem: &self.new.certificate_chain,
            key_pem: self.new.private_key.expose(),
            not_before: self.facts.not_before,
            not_after: self.facts.not_after,
        }
    }
}

/// What is wrong with a chain or a key, as a sentence.
fn refusal(error: &PairError) -> ApiError {
    ApiError::invalid(format!("The certificate was not kept: {error}."))
}

/// Managed ones have no name of their own; the last digits of their ids are random.
fn name(certificate: &Certificate) -> String {
    match &certificate.source {
        Source::Uploaded { name, .. } => name.clone(),
        Source::Acme | Source::Local => {
            let id = certificate.id.as_uuid().simple().to_string();
            format!("acm-{}", &id[id.len() - 8..])
        }
    }
}

fn is_called(certificate: &Certificate, name_or_id: &str) -> bool {
    name(certificate) == name_or_id || certificate.id.to_string() == name_or_id
}

fn is_managed(certificate: &Certificate) -> bool {
    !matches!(certificate.source, Source::Uploaded { .. })
}

fn is_used(certificate: &Certificate, domain: &Domain) -> bool {
    match (&certificate.source, &domain.certificate) {
        (Source::Uploaded { .. }, Some(chosen)) => chosen.id == certificate.id,
        (Source::Acme | Source::Local, None) => domain.acm && certificate.covers(&domain.hostname),
        _ => false,
    }
}

pub(super) fn answer(app: &App, certificate: Certificate, domains: &[Domain]) -> Result<SniEndpoint, ApiError> {
    let facts = certificate_facts(&certificate.chain_pem).map_err(ApiError::internal)?;
    let domains = domains.iter().filter(|domain| is_used(&certificate, domain));
    Ok(SniEndpoint {
        app: app::reference(app),
        created_at: certificate.created_at.into(),
        display_name: None,
        domains: domains.map(|domain| *domain.id.as_uuid()).collect(),
        id: *certificate.id.as_uuid(),
        name: name(&certificate),
        ssl_cert: SslCert {
            acm: is_managed(&certificate),
            ca_signed: !facts.is_self_signed && certificate.source != Source::Local,
            cert_domains: certificate.hostnames.iter().map(ToString::to_string).collect(),
            expires_at: certificate.not_after.into(),
            id: *certificate.id.as_uuid(),
            issuer: facts.issuer,
            self_signed: facts.is_self_signed,
            starts_at: certificate.not_before.into(),
            subject: facts.subject,
        },
        updated_at: certificate.updated_at.into(),
        certificate_chain: certificate.chain_pem,
    })
}
