//! The formation: scaling.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use paas_api::{Formation, FormationBatch, FormationUpdate};
use paas_core::{App, DynoSize, Id, NameError, Permissions, ProcessType, Scale};
use paas_store::{
    StoreError,
    formation::{self, FormationChange, FormationRow},
    release, slug,
};
use uuid::Uuid;

use super::{
    access::Granted,
    app,
    auth::{Caller, OwnApp},
    body::Body,
    dyno_size,
    error::ApiError,
    image,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
};

/// Tells the id of the release command from that of the app.
const RELEASE_MARK: u128 = 0x0072_656c_6561_7365;

const FIELDS: [Field<FormationRow>; 2] = [
    Field {
        name: "type",
        key: |row| Key::Text(row.process_type.to_string()),
    },
    Field {
        name: "id",
        key: |row| Key::Text(row.id.to_string()),
    },
];

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
    Wanted(range): Wanted,
) -> Result<Page<Formation>, ApiError> {
    let rows = listed(&api, row.app.id).await?;
    Ok(page(&range, rows, &FIELDS)?.map(|formation| answer(&row.app, formation)))
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<Formation>, ApiError> {
    let rows = listed(&api, row.app.id).await?;
    let types = types(&rows);
    let is_wanted = |row: &FormationRow| row.process_type.as_str() == name || row.id.to_string() == name;
    match rows.into_iter().find(is_wanted) {
        Some(formation) => Ok(Json(answer(&row.app, formation))),
        None => Err(ApiError::unknown_process_type(&name, &types)),
    }
}

/// A process type, and what was pushed for it; `None` takes its image away.
type WantedImages = Vec<(ProcessType, Option<String>)>;

/// All changes or none of them; images, which are released, before numbers.
pub(super) async fn update_all(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
    granted: Granted,
    Body(batch): Body<FormationBatch>,
) -> Result<Json<Vec<Formation>>, ApiError> {
    let mut images = WantedImages::new();
    let changes = batch
        .updates
        .into_iter()
        .map(|update| {
            let name = update.r#type.clone().ok_or_else(|| {
                ApiError::invalid(
                    "Each update must name a process type, such as {\"type\":\"web\",\"quantity\":\"2\"}.",
                )
            })?;
            if let Some(image) = update.docker_image.clone() {
                images.push((name.parse()?, image));
            }
            change(&name, update)
        })
        .collect::<Result<Vec<_>, ApiError>>()?;
    if images.is_empty() {
        let rows = apply(&api, &row.app, &caller, changes).await?;
        let formations = rows.into_iter().map(|formation| answer(&row.app, formation));
        return Ok(Json(formations.collect()));
    }
    granted.require(Permissions::DEPLOY)?;
    check(&api, row.app.id, &images, &changes).await?;
    let named: Vec<ProcessType> = changes.iter().map(|change| change.process_type.clone()).collect();
    image::release(&api, &row, &caller, images).await?;
    apply(&api, &row.app, &caller, with_numbers(changes)).await?;
    // A release phase may have to end before there are dynos of a new type.
    let rows = listed(&api, row.app.id).await?.into_iter();
    let rows = rows.filter(|formation| named.contains(&formation.process_type));
    Ok(Json(rows.map(|formation| answer(&row.app, formation)).collect()))
}

pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
    granted: Granted,
    Body(update): Body<FormationUpdate>,
) -> Result<Json<Formation>, ApiError> {
    if let Some(image) = update.docker_image.clone() {
        granted.require(Permissions::DEPLOY)?;
        let process_type: ProcessType = name.parse()?;
        // One that goes is answered as it was.
        let find = async || {
            let rows = listed(&api, row.app.id).await?;
            Ok::<_, ApiError>(rows.into_iter().find(|row| row.process_type == process_type))
        };
        let before = find().await?;
        let images = vec![(process_type.clone(), image)];
        let changes = vec![change(&name, update)?];
        check(&api, row.app.id, &images, &changes).await?;
        image::release(&api, &row, &caller, images).await?;
        apply(&api, &row.app, &caller, with_numbers(changes)).await?;
        let formation = find()
            .await?
            .or(before)
            .ok_or_else(|| ApiError::not_found("formation"))?;
        return Ok(Json(answer(&row.app, formation)));
    }
    let mut rows = apply(&api, &row.app, &caller, vec![change(&name, update)?]).await?;
    let formation = rows.pop().ok_or_else(|| ApiError::not_found("formation"))?;
    Ok(Json(answer(&row.app, formation)))
}

/// Refuses what would be refused after the images are released: a release cannot be taken back.
async fn check(api: &Api, app: Id<App>, images: &WantedImages, changes: &[FormationChange]) -> Result<(), ApiError> {
    let mut connection = api.connection().await?;
    let rows = formation::list(&mut connection, app).await?;
    for change in changes {
        let process_type = &change.process_type;
        let image = images
            .iter()
            .find(|(named, _)| named == process_type)
            .map(|(_, image)| image);
        let row = rows.iter().find(|row| row.process_type == *process_type);
        let has_numbers = change.quantity.is_some() || change.size.is_some();
        // It stays, or comes to be; the release command has no dynos, nor has what goes.
        let can_be_scaled = match image {
            Some(Some(_)) => !process_type.is_release(),
            Some(None) => false,
            None => row.is_some(),
        };
        if !can_be_scaled && (has_numbers || image.is_none()) {
            return Err(ApiError::unknown_process_type(process_type.as_str(), &types(&rows)));
        }
        if let Some(quantity) = change.quantity {
            let now = row.map_or_else(|| u32::from(process_type.is_web()), |row| row.scale.quantity);
            quantity.apply(now)?;
        }
    }
    Ok(())
}

fn with_numbers(mut changes: Vec<FormationChange>) -> Vec<FormationChange> {
    changes.retain(|change| change.quantity.is_some() || change.size.is_some());
    changes
}

/// Heroku lists the release command among the process types, at no dynos: `releases:retry` looks for it there. Nobody can
/// scale it.
async fn listed(api: &Api, app: Id<App>) -> Result<Vec<FormationRow>, ApiError> {
    let mut connection = api.connection().await?;
    let mut rows = formation::list(&mut connection, app).await?;
    let Some(current) = release::current(&mut connection, app).await? else {
        return Ok(rows);
    };
    let slug = match current.release.slug {
        Some(slug) => slug::get(&mut connection, slug).await?,
        None => None,
    };
    let process_type = ProcessType::release();
    if let Some(command) = slug.and_then(|slug| slug.process_types.get(&process_type).cloned()) {
        // The same every time, and no other row's.
        let id = Uuid::from_u128(app.as_uuid().as_u128() ^ RELEASE_MARK);
        rows.push(FormationRow {
            id: Id::from_uuid(id),
            process_type,
            command,
            scale: Scale {
                quantity: 0,
                size: DynoSize::default(),
            },
            created_at: current.release.created_at,
            updated_at: current.release.created_at,
        });
    }
    Ok(rows)
}

fn change(name: &str, update: FormationUpdate) -> Result<FormationChange, ApiError> {
    let FormationUpdate {
        r#type: _,
        quantity,
        size,
        dyno_size,
        docker_image: _,
    } = update;
    let size = size.or(dyno_size).map(|size| {
        dyno_size::parse(size.as_str()).ok_or_else(|| {
            let error = size.as_str().parse::<paas_core::DynoSize>().err();
            ApiError::invalid(error.map_or_else(String::new, |error: NameError| error.to_string()))
        })
    });
    Ok(FormationChange {
        process_type: name.parse().map_err(|_| ApiError::unknown_process_type(name, &[]))?,
        quantity: quantity.map(|quantity| quantity.0.parse()).transpose()?,
        size: size.transpose()?,
    })
}

async fn apply(
    api: &Api,
    app: &App,
    caller: &Caller,
    changes: Vec<FormationChange>,
) -> Result<Vec<FormationRow>, ApiError> {
    let stamp = api.stamp(&caller.account);
    let mut transaction = api.store().begin().await?;
    let mut rows = Vec::with_capacity(changes.len());
    for change in changes {
        match formation::update(&mut transaction, app.id, change, stamp).await {
            Ok(row) => rows.push(row),
            Err(StoreError::UnknownProcessType { process_type }) => {
                let known = formation::list(&mut transaction, app.id).await?;
                return Err(ApiError::unknown_process_type(process_type.as_str(), &types(&known)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    transaction.commit().await?;
    if !rows.is_empty() {
        let scaled: Vec<String> = rows
            .iter()
            .map(|row| format!("{}@{}:{}", row.process_type, row.scale.quantity, row.scale.size))
            .collect();
        api.announce(app.id, &format!("Scaled to {}", scaled.join(" ")), &caller.account);
    }
    Ok(rows)
}

fn types(rows: &[FormationRow]) -> Vec<ProcessType> {
    rows.iter().map(|row| row.process_type.clone()).collect()
}

pub(super) fn answer(app: &App, row: FormationRow) -> Formation {
    let FormationRow {
        id,
        process_type,
        command,
        scale,
        created_at,
        updated_at,
    } = row;
    Formation {
        app: app::reference(app),
        command,
        created_at: created_at.into(),
        dyno_size: dyno_size::reference(scale.size),
        id: *id.as_uuid(),
        quantity: scale.quantity,
        size: scale.size.as_str().to_owned(),
        r#type: process_type.to_string(),
        updated_at: updated_at.into(),
    }
}
