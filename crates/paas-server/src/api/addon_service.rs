//! Services and plans: what add-ons there are.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use paas_api::{AddonService, NamedRef, Price};
use paas_store::addon::AddonRow;

use super::{
    app,
    auth::Caller,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
};
use crate::addon::{Plan, Service};

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
    let services = api.platform.catalogue.services();
    page(
        &range,
        services.map(|service| answer(service)).collect(),
        &SERVICE_FIELDS,
    )
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    _: Caller,
) -> Result<Json<AddonService>, ApiError> {
    Ok(Json(answer(find(&api, &name)?)))
}

pub(super) async fn plans(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    _: Caller,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::Plan>, ApiError> {
    let service = find(&api, &name)?;
    let plans = service.plans.iter().map(|plan| answer_plan(service, plan));
    page(&range, plans.collect(), &PLAN_FIELDS)
}

pub(super) async fn plan_of(
    State(api): State<Arc<Api>>,
    Path((name, plan)): Path<(String, String)>,
    _: Caller,
) -> Result<Json<paas_api::Plan>, ApiError> {
    let service = find(&api, &name)?;
    let plan = plan.strip_prefix(&format!("{}:", service.name)).unwrap_or(&plan);
    let plan = service.plan(plan).ok_or_else(|| unknown_plan(service, plan))?;
    Ok(Json(answer_plan(service, plan)))
}

pub(super) async fn plan(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    _: Caller,
) -> Result<Json<paas_api::Plan>, ApiError> {
    let (service, plan) = choose(&api, &name)?;
    Ok(Json(answer_plan(service, plan)))
}

pub(super) fn find<'a>(api: &'a Api, name: &str) -> Result<&'a Arc<Service>, ApiError> {
    api.platform.catalogue.service(name).ok_or_else(|| {
        let names: Vec<_> = api
            .platform
            .catalogue
            .services()
            .map(|service| service.name.as_str())
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
            service.kind.name, service.kind.version, size.memory_mib, size.disk_gib, size.connections
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

/// The service and the plan of an add-on, also where the catalogue has them no more.
pub(super) fn of_row(api: &Api, row: &AddonRow) -> (AddonService, paas_api::Plan) {
    let addon = &row.addon;
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
