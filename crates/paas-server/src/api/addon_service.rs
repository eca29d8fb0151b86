//! Services and plans: what add-ons there are.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use paas_api::{AddonService, NamedRef, Price};
use paas_core::{AttachmentName, compare_versions};
use paas_store::addon::AddonRow;
use serde_json::{Map, Value};

use super::{
    app,
    auth::Caller,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
};
use crate::addon::{Plan, Provider, Service};

const SERVICE_FIELDS: [Field<AddonService>; 2] = [
    Field {
        name: "id",
        key: |service| Key::Text(service.id.to_string()),
    },
    Field {
        name: "name",
        key: |service| Key::Text(service.name.clone()),
    },
];

const PLAN_FIELDS: [Field<paas_api::Plan>; 2] = [
    Field {
        name: "name",
        key: |plan| Key::Text(plan.name.clone()),
    },
    Field {
        name: "id",
        key: |plan| Key::Text(plan.id.to_string()),
    },
];

/// A catalogue has no history: it began with the platform's first version.
const EPOCH: i64 = 1_767_225_600;

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Caller,
    Wanted(range): Wanted,
) -> Result<Page<AddonService>, ApiError> {
    let catalogue = &api.platform.catalogue;
    let ours = catalogue.services().map(|service| answer(service));
    let providers = catalogue.providers().all();
    let theirs = providers.iter().map(|provider| answer_provider(provider));
    page(&range, ours.chain(theirs).collect(), &SERVICE_FIELDS)
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    _: Caller,
) -> Result<Json<AddonService>, ApiError> {
    Ok(Json(match api.platform.catalogue.provider(&name) {
        Some(provider) => answer_provider(&provider),
        None => answer(find(&api, &name)?),
    }))
}

pub(super) async fn plans(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    _: Caller,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::Plan>, ApiError> {
    if let Some(provider) = api.platform.catalogue.provider(&name) {
        let plans = provider.plans.iter().map(|plan| answer_plan_of(&provider, plan));
        return page(&range, plans.collect(), &PLAN_FIELDS);
    }
    let service = find(&api, &name)?;
    let plans = service.plans.iter().map(|plan| answer_plan(service, plan));
    page(&range, plans.collect(), &PLAN_FIELDS)
}

pub(super) async fn plan_of(
    State(api): State<Arc<Api>>,
    Path((name, plan)): Path<(String, String)>,
    _: Caller,
) -> Result<Json<paas_api::Plan>, ApiError> {
    let plan = plan.rsplit_once(':').map_or(plan.as_str(), |(_, plan)| plan);
    Ok(Json(offer(&api, &format!("{name}:{plan}"))?.plan))
}

pub(super) async fn plan(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    _: Caller,
) -> Result<Json<paas_api::Plan>, ApiError> {
    Ok(Json(offer(&api, &name)?.plan))
}

/// Refuses what a newer server has written than this one: it could not read that.
pub(super) fn require_reader(row: &AddonRow, (what, version): (&str, &str)) -> Result<(), ApiError> {
    if compare_versions(version, &row.version).is_le() {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "{what} is of version {version}, which {}, of {}, is too old to read. Create one that reads it: paas addons:create {} -- \
         --version {version}",
        row.addon.name, row.version, row.addon.service
    )))
}

/// What an add-on is made by, whoever runs it.
pub(super) struct Offer {
    pub(super) plan: paas_api::Plan,
    pub(super) service: String,
    pub(super) plan_name: String,
    pub(super) version: String,
    pub(super) naming: Naming,
    /// Where its provider runs it, and not this platform.
    pub(super) is_elsewhere: bool,
}

/// How add-ons of a service and their attachments are called.
pub(super) struct Naming {
    pub(super) prefix: String,
    pub(super) first_attachment: AttachmentName,
    /// What all others begin with, before a colour.
    pub(super) attachment: AttachmentName,
    pub(super) suffixes: Vec<String>,
}

/// `heroku-postgresql:essential-0`, a service alone, or the id of a plan.
pub(super) fn offer(api: &Api, name: &str) -> Result<Offer, ApiError> {
    if let Some((provider, plan)) = of_provider(api, name)? {
        return Ok(Offer {
            plan: answer_plan_of(&provider, &plan),
            service: provider.name.clone(),
            plan_name: plan,
            version: String::new(),
            naming: naming(api, &provider.name)?,
            is_elsewhere: true,
        });
    }
    let (service, plan) = choose(api, name)?;
    Ok(Offer {
        plan: answer_plan(service, plan),
        service: service.name.clone(),
        plan_name: plan.name.clone(),
        version: service.kind.version.clone(),
        naming: naming(api, &service.name)?,
        is_elsewhere: false,
    })
}

fn of_provider(api: &Api, name: &str) -> Result<Option<(Arc<Provider>, String)>, ApiError> {
    let catalogue = &api.platform.catalogue;
    let by_id = |provider: Arc<Provider>| {
        let plan = provider
            .plans
            .iter()
            .find(|plan| provider.plan_id(plan).to_string() == name);
        let plan = plan.cloned();
        plan.map(|plan| (provider, plan))
    };
    if let Some(found) = catalogue.providers().all().into_iter().find_map(by_id) {
        return Ok(Some(found));
    }
    let (service, plan) = name
        .split_once(':')
        .map_or((name, None), |(service, plan)| (service, Some(plan)));
    let Some(provider) = catalogue.provider(service) else {
        return Ok(None);
    };
    let plan = plan.unwrap_or(provider.default_plan());
    let is_it = |known: &&String| *known == plan || provider.plan_id(known).to_string() == plan;
    match provider.plans.iter().find(is_it).cloned() {
        Some(plan) => Ok(Some((provider, plan))),
        None => Err(ApiError::not_found("plan").saying(format!(
            "Couldn't find that plan ({service}:{plan}). {} has: {}.",
            provider.human_name,
            provider.plans.join(", ")
        ))),
    }
}

pub(super) fn naming(api: &Api, service: &str) -> Result<Naming, ApiError> {
    if let Some(provider) = api.platform.catalogue.provider(service) {
        return Ok(Naming {
            prefix: provider.name.clone(),
            first_attachment: provider.prefix.clone(),
            attachment: provider.prefix.clone(),
            suffixes: provider.suffixes.clone(),
        });
    }
    let service = find(api, service)?;
    Ok(Naming {
        prefix: service.prefix.clone(),
        first_attachment: service.first_attachment.clone(),
        attachment: service.attachment.clone(),
        suffixes: service.suffixes(),
    })
}

/// A service that runs here.
pub(super) fn find<'a>(api: &'a Api, name: &str) -> Result<&'a Arc<Service>, ApiError> {
    let catalogue = &api.platform.catalogue;
    catalogue.service(name).ok_or_else(|| {
        let providers = catalogue.providers().all();
        if let Some(provider) = providers.iter().find(|provider| provider.name == name) {
            return ApiError::invalid(format!(
                "{} runs at its provider: this can only be done there. `paas addons:open` says where.",
                provider.human_name
            ));
        }
        let ours = catalogue.services().map(|service| service.name.as_str());
        let names: Vec<_> = ours
            .chain(providers.iter().map(|provider| provider.name.as_str()))
            .collect();
        ApiError::not_found_as("add-on service", "add_on_service").saying(format!(
            "Couldn't find that add-on service ({name}). There are: {}.",
            names.join(", ")
        ))
    })
}

/// `heroku-postgresql:essential-0`, a service alone, or the id of a plan.
pub(super) fn choose<'a>(api: &'a Api, name: &str) -> Result<(&'a Arc<Service>, &'a Plan), ApiError> {
    let catalogue = &api.platform.catalogue;
    let by_id = catalogue
        .services()
        .find_map(|service| Some((service, service.plan(name).filter(|plan| plan.id.to_string() == name)?)));
    if let Some(found) = by_id {
        return Ok(found);
    }
    let (service, plan) = match name.split_once(':') {
        Some((service, plan)) => (find(api, service)?, Some(plan)),
        None => (find(api, name)?, None),
    };
    let plan = plan.unwrap_or(&service.default_plan);
    let found = service.plan(plan).ok_or_else(|| unknown_plan(service, plan))?;
    Ok((service, found))
}

/// The version that `--version` asks for; `None` where there is no choice.
pub(super) fn version(api: &Api, plan: &str, config: &Map<String, Value>) -> Result<Option<String>, ApiError> {
    let (service, _) = choose(api, plan)?;
    let Some(value) = config.get("version") else {
        return Ok(None);
    };
    if service.kind.versions.is_empty() {
        return Ok(None);
    }
    let wanted = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if service.kind.image_of(&wanted).is_none() {
        return Err(no_version(service, &wanted));
    }
    Ok(Some(wanted))
}

pub(super) fn no_version(service: &Service, wanted: &str) -> ApiError {
    ApiError::invalid(format!(
        "There is no version {wanted} of {}. There are: {}.",
        service.human_name,
        service.kind.versions().join(", ")
    ))
}

fn unknown_plan(service: &Service, plan: &str) -> ApiError {
    let names: Vec<_> = service.plans.iter().map(|plan| plan.name.as_str()).collect();
    ApiError::not_found("plan").saying(format!(
        "Couldn't find that plan ({}:{plan}). {} has: {}.",
        service.name,
        service.human_name,
        names.join(", ")
    ))
}

pub(super) fn answer(service: &Service) -> AddonService {
    AddonService {
        cli_plugin_name: None,
        created_at: epoch(),
        human_name: service.human_name.clone(),
        id: service.id,
        name: service.name.clone(),
        state: "ga".to_owned(),
        supported_generations: vec![app::generation()],
        supports_multiple_installations: true,
        supports_sharing: true,
        updated_at: epoch(),
    }
}

pub(super) fn answer_plan(service: &Service, plan: &Plan) -> paas_api::Plan {
    let size = plan.size;
    paas_api::Plan {
        addon_service: NamedRef {
            id: service.id,
            name: service.name.clone(),
        },
        compliance: None,
        created_at: epoch(),
        default: plan.name == service.default_plan,
        description: format!(
            "{} {}: {} MB of memory, {} GB of disk, {} connections",
            service.kind.name,
            service.kind.versions().join(" or "),
            size.memory_mib,
            size.disk_gib,
            size.connections
        ),
        human_name: human(&plan.name),
        id: plan.id,
        installable_inside_private_network: true,
        installable_outside_private_network: true,
        name: format!("{}:{}", service.name, plan.name),
        price: price(),
        space_default: false,
        state: "ga".to_owned(),
        updated_at: epoch(),
        visible: true,
    }
}

fn answer_provider(provider: &Provider) -> AddonService {
    AddonService {
        cli_plugin_name: None,
        created_at: epoch(),
        human_name: provider.human_name.clone(),
        id: provider.service_id,
        name: provider.name.clone(),
        state: "ga".to_owned(),
        supported_generations: vec![app::generation()],
        supports_multiple_installations: true,
        supports_sharing: true,
        updated_at: epoch(),
    }
}

fn answer_plan_of(provider: &Provider, plan: &str) -> paas_api::Plan {
    paas_api::Plan {
        addon_service: NamedRef {
            id: provider.service_id,
            name: provider.name.clone(),
        },
        compliance: None,
        created_at: epoch(),
        default: plan == provider.default_plan(),
        description: format!("{} {}, at its provider", provider.human_name, human(plan)),
        human_name: human(plan),
        id: provider.plan_id(plan),
        installable_inside_private_network: true,
        installable_outside_private_network: true,
        name: format!("{}:{plan}", provider.name),
        price: price(),
        space_default: false,
        state: "ga".to_owned(),
        updated_at: epoch(),
        visible: true,
    }
}

/// The service and the plan of an add-on, also where the catalogue has them no more.
pub(super) fn of_row(api: &Api, row: &AddonRow) -> (AddonService, paas_api::Plan) {
    let addon = &row.addon;
    if let Some(provider) = api.platform.catalogue.provider(&addon.service) {
        return (answer_provider(&provider), answer_plan_of(&provider, &addon.plan));
    }
    let service = api.platform.catalogue.service(&addon.service);
    if let Some(service) = service
        && let Some(plan) = service.plan(&addon.plan)
    {
        return (answer(service), answer_plan(service, plan));
    }
    let reference = NamedRef {
        id: *addon.id.as_uuid(),
        name: addon.service.clone(),
    };
    let gone = AddonService {
        cli_plugin_name: None,
        created_at: epoch(),
        human_name: addon.service.clone(),
        id: reference.id,
        name: addon.service.clone(),
        state: "shutdown".to_owned(),
        supported_generations: Vec::new(),
        supports_multiple_installations: false,
        supports_sharing: false,
        updated_at: epoch(),
    };
    let plan = paas_api::Plan {
        addon_service: reference,
        compliance: None,
        created_at: epoch(),
        default: false,
        description: "This platform does not offer it any more.".to_owned(),
        human_name: human(&addon.plan),
        id: *addon.id.as_uuid(),
        installable_inside_private_network: false,
        installable_outside_private_network: false,
        name: format!("{}:{}", addon.service, addon.plan),
        price: price(),
        space_default: false,
        state: "shutdown".to_owned(),
        updated_at: epoch(),
        visible: false,
    };
    (gone, plan)
}

pub(super) fn price() -> Price {
    Price {
        cents: 0,
        contract: false,
        unit: "month".to_owned(),
    }
}

/// `essential-0` is `Essential 0`.
fn human(plan: &str) -> String {
    let text = plan.replace('-', " ");
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

fn epoch() -> paas_api::Time {
    chrono::DateTime::from_timestamp(EPOCH, 0).unwrap_or_default().into()
}
