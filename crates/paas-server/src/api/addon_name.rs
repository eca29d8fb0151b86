//! Names of add-ons and attachments: invented, and understood.

use paas_core::{AddonName, App, AttachmentName, Id};
use paas_store::{
    PgConnection,
    addon_attachment::{self, AttachmentRow},
    release,
};

use super::{addon_service, error::ApiError, haiku, state::Api};

/// What follows the first attachment of a service, as on Heroku.
const COLOURS: [&str; 19] = [
    "RED", "BLUE", "GREEN", "PINK", "GOLD", "SILVER", "COPPER", "BRONZE", "ORANGE", "PURPLE", "YELLOW", "WHITE",
    "BLACK", "CYAN", "MAGENTA", "OLIVE", "TEAL", "MAROON", "AMBER",
];

/// `postgresql-curved-12345`
pub(super) fn invent(prefix: &str) -> Result<AddonName, ApiError> {
    let words = haiku::invent();
    let mut parts = words.as_str().split('-');
    let (adjective, number) = (parts.next().unwrap_or_default(), parts.next_back().unwrap_or_default());
    Ok(format!("{prefix}-{adjective}-{number}").parse()?)
}

/// What an app calls an add-on of this service when nobody says: `DATABASE`, and `HEROKU_POSTGRESQL_RED` where that is taken.
pub(super) async fn attachment(
    api: &Api,
    connection: &mut PgConnection,
    service: &str,
    app: Id<App>,
) -> Result<AttachmentName, ApiError> {
    let naming = addon_service::naming(api, service)?;
    let attachments = addon_attachment::list_of_app(connection, app).await?;
    let head = release::head(connection, app).await?;
    let head = head.ok_or_else(|| ApiError::not_found("app"))?;
    let config = release::config(connection, &api.store().sealer, head.release.id).await?;
    let is_free = |name: &AttachmentName| {
        let is_taken = attachments.iter().any(|row| row.attachment.name == *name);
        let mut keys = naming.suffixes.iter().filter_map(|suffix| name.config_key(suffix));
        !is_taken && keys.all(|key| config.get(key.as_str()).is_none())
    };
    if is_free(&naming.first_attachment) {
        return Ok(naming.first_attachment);
    }
    let coloured = |ending: &str| format!("{}_{ending}", naming.attachment).parse::<AttachmentName>().ok();
    let mut more = COLOURS
        .iter()
        .filter_map(|colour| coloured(colour))
        .chain((2..1000).filter_map(|number| coloured(&number.to_string())));
    more.find(is_free)
        .ok_or_else(|| ApiError::invalid("Every name for this attachment is taken: give it one with --as."))
}

/// `app::name`, and what was said beside it.
pub(super) fn split(app: Option<String>, name: &str) -> (Option<String>, String) {
    match name.split_once("::") {
        Some((app, name)) => (Some(app.to_owned()), name.to_owned()),
        None => (app, name.to_owned()),
    }
}

/// Whether this attachment is what somebody called so: by its own name or id, that of its add-on, a config var, or what it is.
pub(super) fn is_meant(row: &AttachmentRow, name: &str) -> bool {
    let attachment = &row.attachment;
    attachment.name.as_str().eq_ignore_ascii_case(name)
        || row.keys().iter().any(|key| key.as_str().eq_ignore_ascii_case(name))
        || row.addon_name.as_str() == name
        || row.service == name
        || format!("{}:{}", row.service, row.plan) == name
        || attachment.id.to_string() == name
        || attachment.addon.to_string() == name
}
