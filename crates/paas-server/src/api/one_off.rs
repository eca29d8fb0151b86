//! One-off dynos: commands that run once.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use chrono::TimeDelta;
use http::{HeaderMap, StatusCode};
use paas_api::{DynoState, EnvValue, NewDyno, ReleaseOfDyno};
use paas_core::{App, DynoSize, Id, OneOff, ProcessType};
use paas_engine::{Environment, TerminalSize};
use paas_store::{self as store, Connection, Stamp, one_off, release};

use super::{
    access, app,
    auth::{Caller, OwnApp, authenticate},
    body::Body,
    error::ApiError,
    needs,
    state::Api,
};
use crate::{
    control::{self, Errand},
    rendezvous::Invited,
    sessions::{Holder, Session},
};

/// Linux takes 128 KiB for one argument (execve(2), `MAX_ARG_STRLEN`), and a shell is to quote it.
const LONGEST_COMMAND: usize = 64 * 1024;
const MOST_ENVIRONMENT: usize = 64 * 1024;
/// Random numbers that may be taken before the app has too many dynos for us to find one.
const TRIES: u32 = 20;

/// The row first, then the task: whatever ends this request, the dyno is somebody's.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    OwnApp { caller, row }: OwnApp,
    Body(new): Body<NewDyno>,
) -> Result<(StatusCode, Json<paas_api::Dyno>), ApiError> {
    let NewDyno {
        attach,
        command,
        env,
        force_no_tty,
        size,
        time_to_live,
        r#type,
    } = new;
    let is_attached = attach.unwrap_or(false);
    let command = checked_command(command)?;
    let environment = environment(env)?;
    let size: DynoSize = size.map_or(Ok(DynoSize::default()), |size| size.parse())?;
    let process_type: ProcessType = r#type.as_deref().unwrap_or(OneOff::PROCESS_TYPE).parse()?;
    if process_type.is_release() {
        return Err(ApiError::invalid(
            "Type release is the release phase's; choose another name.",
        ));
    }
    let session = open(&api, &headers, &caller, row.app.id).await?;
    let stamp = api.stamp(&caller.account);
    let life = time_to_live.and_then(|seconds| TimeDelta::try_seconds(i64::try_from(seconds).ok()?.max(1)));
    let life = life.unwrap_or(OneOff::LONGEST_LIFE).min(OneOff::LONGEST_LIFE);

    let mut connection = api.connection().await?;
    let current = release::current(&mut connection, row.app.id).await?;
    let release = current.filter(|row| row.release.slug.is_some()).ok_or_else(|| {
        ApiError::invalid("The app has no code yet: there is nothing to run a command in. Push some first.")
    })?;
    if one_off::of(&mut connection, row.app.id).await?.len() >= OneOff::MOST_OF_AN_APP {
        let most = OneOff::MOST_OF_AN_APP;
        return Err(ApiError::invalid(format!(
            "Cannot run more than {most} one-off dynos of an app at the same time. Stop one of them first."
        )));
    }
    let wanted = Wanted {
        process_type,
        new: one_off::NewOneOff {
            id: store::new_id(stamp.at),
            app: row.app.id,
            name: paas_core::DynoName {
                process_type: ProcessType::web(),
                index: 1,
            },
            release: release.release.id,
            size,
            command,
            is_attached,
            expires_at: stamp.at + life,
        },
    };
    let dyno = wanted.insert(&mut connection, stamp).await?;
    drop(connection);

    let terminal = (is_attached && !force_no_tty.unwrap_or(false)).then(|| terminal(&environment));
    let invited = Invited::Program {
        has_terminal: terminal.is_some(),
    };
    let invitation = if is_attached {
        Some(api.platform.rendezvous.invite(invited).map_err(ApiError::internal)?)
    } else {
        None
    };
    let attach_url = invitation
        .as_ref()
        .map(|invitation| attach_url(&api, &invitation.secret));
    let what = format!("Starting process with command `{}`", dyno.command);
    api.announce(row.app.id, &what, &caller.account);
    let answer = answer(&row.app, &dyno, attach_url);
    let errand = Errand {
        dyno,
        environment,
        terminal,
        attached: invitation.map(|invitation| (invitation, session)),
    };
    control::run_one_off(&api.platform, errand);
    Ok((StatusCode::CREATED, Json(answer)))
}

struct Wanted {
    process_type: ProcessType,
    new: one_off::NewOneOff,
}

impl Wanted {
    /// Under a name that is free.
    async fn insert(mut self, connection: &mut Connection, stamp: Stamp) -> Result<OneOff, ApiError> {
        for _ in 0..TRIES {
            self.new.name = paas_core::DynoName {
                process_type: self.process_type.clone(),
                index: control::random_index(),
            };
            if let Some(dyno) = one_off::create(connection, self.new.clone(), stamp).await? {
                return Ok(dyno);
            }
        }
        Err(ApiError::invalid(
            "There is no free number for another one-off dyno of this type. Stop one of them first.",
        ))
    }
}

/// A session of the caller's, from before a last look at whether the token still is one and still opens the app's dynos.
pub(super) async fn open(api: &Api, headers: &HeaderMap, caller: &Caller, app: Id<App>) -> Result<Session, ApiError> {
    let session = api.platform.sessions.begin(Holder {
        account: caller.account.id,
        authorization: caller.authorization.id,
        app,
    });
    authenticate(&api.platform, headers).await?;
    let (_, granted) = access::app_of(api, caller, &app.to_string()).await?;
    granted.require(needs::RUN)?;
    Ok(session)
}

/// The one-off dyno of the app with this name or id.
pub(super) async fn find(connection: &mut Connection, app: Id<App>, name: &str) -> Result<Option<OneOff>, ApiError> {
    let dynos = one_off::of(connection, app).await?;
    let mut dynos = dynos.into_iter();
    Ok(dynos.find(|dyno| dyno.name.to_string() == name || dyno.id.to_string() == name))
}

/// Stops dynos as somebody wants it.
pub(super) async fn stop(
    api: &Api,
    connection: &mut Connection,
    app: &App,
    dynos: &[OneOff],
    caller: &Caller,
) -> Result<(), ApiError> {
    let names: Vec<_> = dynos.iter().map(|dyno| dyno.name.clone()).collect();
    one_off::record_stop(connection, app.id, &names, api.stamp(&caller.account)).await?;
    for dyno in dynos {
        api.announce(app.id, &format!("Stop dyno {}", dyno.name), &caller.account);
        api.platform.one_offs.stop(dyno.id);
    }
    Ok(())
}

pub(super) fn answer(app: &App, dyno: &OneOff, attach_url: Option<String>) -> paas_api::Dyno {
    paas_api::Dyno {
        app: app::reference(app),
        attach_url,
        command: dyno.command.clone(),
        created_at: dyno.created_at.into(),
        id: *dyno.id.as_uuid(),
        name: dyno.name.to_string(),
        release: ReleaseOfDyno {
            id: *dyno.release.as_uuid(),
            version: dyno.version.number(),
        },
        size: dyno.size.as_str().to_owned(),
        state: if dyno.is_up { DynoState::Up } else { DynoState::Starting },
        r#type: dyno.name.process_type.to_string(),
        updated_at: dyno.since.into(),
    }
}

/// Where Heroku's client goes. Our own takes the secret out of it and comes to the API.
fn attach_url(api: &Api, secret: &str) -> String {
    let host = api.platform.settings.rendezvous_host();
    let port = api
        .platform
        .rendezvous
        .port()
        .unwrap_or(api.platform.settings.rendezvous.port());
    format!("rendezvous://{host}:{port}/{secret}")
}

pub(super) fn checked_command(command: String) -> Result<String, ApiError> {
    if command.trim().is_empty() {
        return Err(ApiError::invalid("Command is missing: say what to run, such as bash."));
    }
    if command.contains('\0') {
        return Err(ApiError::invalid(
            "Command contains a NUL byte, which no command can hold.",
        ));
    }
    if command.len() > LONGEST_COMMAND {
        return Err(ApiError::invalid(format!(
            "Command is too long (maximum is {LONGEST_COMMAND} bytes). Put it into a script of the app."
        )));
    }
    Ok(command)
}

/// Variables on top of the config vars. No message repeats a value.
pub(super) fn environment(env: Option<BTreeMap<String, EnvValue>>) -> Result<Environment, ApiError> {
    let mut environment = Environment::new();
    let mut bytes = 0;
    for (key, value) in env.unwrap_or_default() {
        let Some(value) = value.into_text() else { continue };
        if key.is_empty() || key.contains(['=', '\0']) {
            return Err(ApiError::invalid(
                "The name of a variable is empty, or contains an equals sign or a NUL byte.",
            ));
        }
        if value.contains('\0') {
            return Err(ApiError::invalid(format!(
                "The value of {key} contains a NUL byte, which no environment can hold."
            )));
        }
        bytes += key.len() + value.len();
        environment = environment.with(key, value);
    }
    if bytes > MOST_ENVIRONMENT {
        return Err(ApiError::invalid(format!(
            "The variables are too large: {bytes} bytes, the maximum is {MOST_ENVIRONMENT}."
        )));
    }
    Ok(environment)
}

/// The size that the client has measured.
pub(super) fn terminal(environment: &Environment) -> TerminalSize {
    let measured = |key| environment.get(key)?.parse().ok().filter(|size| *size > 0);
    TerminalSize {
        columns: measured("COLUMNS").unwrap_or(TerminalSize::USUAL.columns),
        rows: measured("LINES").unwrap_or(TerminalSize::USUAL.rows),
    }
}
