//! Logins in a browser: a command asks for one, a person finishes it on a page, the command gets a token.
//!
//! ```text
//! POST /auth ──▶ page's address, command's secret        the command opens the page, and waits at GET /auth/{id}
//! GET, POST /login/{secret} ──▶ password ──▶ code ──▶ approved
//!                                            GET /auth/{id} ──▶ {"access_token"}, once
//! ```
//!
//! All of it is in the store, so that a restart of the server loses no login. The address of the page is a secret that only
//! the command and the browser know, so nobody can make a browser send this form for them; a form that another site sends
//! is refused all the same. Whoever knows the address can finish the login, but only the command gets its token.

pub(super) mod html;

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body as HttpBody, Bytes},
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use chrono::TimeDelta;
use futures_util::stream;
use http::{HeaderMap, header};
use paas_api::{ErrorId, LoginResult, NewLogin, Secret};
use paas_core::Id;
use paas_store::{
    account::{self, Account},
    authorization::{self, NewAuthorization, Token, TokenHash},
    event,
    login::{self, Login},
};
use tokio::time::timeout;

use self::html::Page;
use super::{auth, body::Body, error::ApiError, oauth_authorization::change, sign_in, state::Api};

/// As long as Heroku's command waits.
const LIFE: TimeDelta = TimeDelta::minutes(10);
/// Of the token that comes of it: it also serves `git push`, which cannot ask for a new one.
const SESSION_LIFE: TimeDelta = TimeDelta::days(365);
/// Anybody can begin a login, and each is a row until it is over.
const MOST_LOGINS: i64 = 2000;
const MOST_LOGINS_FROM_ONE_ADDRESS: i64 = 50;
const LONGEST_DESCRIPTION: usize = 200;
const LONGEST_FORM_BYTES: usize = 8 * 1024;
/// How often the answer says that it is still alive, and looks again. The router takes a response that is silent for 30 s
/// for a dead one.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// `POST /auth`: without credentials, because there are none yet.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Body(new): Body<NewLogin>,
) -> Result<Json<paas_api::Login>, ApiError> {
    let now = api.now();
    let address = auth::address(&headers);
    let description: String = new.description.unwrap_or_default();
    let description = description.chars().filter(|character| !character.is_control());
    let description: String = description.take(LONGEST_DESCRIPTION).collect();
    let (browser, command) = (Token::generate_secret(), Token::generate_secret());
    let mut transaction = api.store().begin().await?;
    let (all, from_there) = login::count(&mut transaction, &address, now).await?;
    if all >= MOST_LOGINS || from_there >= MOST_LOGINS_FROM_ONE_ADDRESS {
        return Err(ApiError::rate_limit(
            "Too many logins are under way. Please finish one of them, or try again in a few minutes.",
            60,
        ));
    }
    let new = login::NewLogin {
        browser: browser.hash(),
        command: command.hash(),
        description,
        address,
        expires_at: now + LIFE,
    };
    let login = login::create(&mut transaction, new, now).await?;
    transaction.commit().await?;
    Ok(Json(paas_api::Login {
        browser_url: Secret::new(format!("/login/{}", browser.as_str())),
        cli_url: format!("/auth/{}", login.id),
        token: Secret::new(command.as_str()),
    }))
}

/// `GET /auth/{id}`: answers when the login is finished. Until then it sends blanks, which JSON allows before a value, so
/// that neither our router nor any other proxy takes it for dead.
pub(super) async fn wait(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let command = auth::bearer(&headers).ok_or_else(ApiError::unauthorized)?;
    let command = TokenHash::of(command.expose());
    let mut connection = api.connection().await?;
    let login = login::of_command(&mut connection, command, api.now()).await?;
    drop(connection);
    let login = login.filter(|login| login.id.to_string() == id && login.collected_at.is_none());
    if login.is_none() {
        return Err(ApiError::not_found("login"));
    }
    let chunks = stream::unfold(Some(api), move |api| async move {
        let api = api?;
        let (chunk, is_last) = match next(&api, command).await {
            None => (" ".to_owned(), false),
            Some(result) => (serde_json::to_string(&result).unwrap_or_default(), true),
        };
        Some((
            Ok::<_, std::convert::Infallible>(Bytes::from(chunk)),
            (!is_last).then_some(api),
        ))
    });
    // With a charset, because an answer without one is collected and tagged before it is sent.
    let content_type = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    Ok((content_type, HttpBody::from_stream(chunks)).into_response())
}

/// What became of the login; `None` when there is nothing to say yet.
async fn next(api: &Api, command: TokenHash) -> Option<LoginResult> {
    // Registered before the look: a login that is finished in between is not missed.
    let finished = api.logins.notified();
    tokio::pin!(finished);
    finished.as_mut().enable();
    match collect(api, command).await {
        Ok(Some(result)) => return Some(result),
        Ok(None) => {}
        // The database may be back at the next look, and the page with it.
        Err(error) if error.is_unavailable() => {}
        Err(error) => return Some(failed(error.to_string())),
    }
    let stopped = api.platform.stop.cancelled();
    tokio::select! {
        () = stopped => Some(failed("The platform is being restarted. Please log in again.")),
        _ = timeout(HEARTBEAT, finished) => None,
    }
}

async fn collect(api: &Api, command: TokenHash) -> Result<Option<LoginResult>, ApiError> {
    let now = api.now();
    let mut transaction = api.store().begin().await?;
    let Some(login) = login::of_command(&mut transaction, command, now).await? else {
        return Ok(Some(failed(
            "This login took too long, or was ended. Please log in again.",
        )));
    };
    if login.approved_at.is_none() {
        return Ok(None);
    }
    let Some(account) = login::collect(&mut transaction, login.id, now).await? else {
        return Ok(Some(failed(
            "This login was finished by another command. Please log in again.",
        )));
    };
    let account = account::by_id(&mut transaction, account).await?;
    let Some(account) = account.filter(|account| account.disabled_at.is_none()) else {
        return Ok(Some(failed(
            "This account is disabled. Please talk to the operator of this platform.",
        )));
    };
    let token = Token::generate();
    let new = NewAuthorization {
        account: account.id,
        token_hash: token.hash(),
        description: login.description,
        scope: vec!["global".to_owned()],
        expires_at: Some(now + SESSION_LIFE),
    };
    authorization::delete_expired(&mut transaction, now).await?;
    let session = authorization::create_session(&mut transaction, new, now).await?;
    account::note_login(&mut transaction, account.id, now).await?;
    event::record(&mut transaction, change("create", &session, &account, now)).await?;
    transaction.commit().await?;
    let access_token = Secret::new(token.as_str());
    Ok(Some(LoginResult::Done { access_token }))
}

fn failed(error: impl Into<String>) -> LoginResult {
    LoginResult::Failed { error: error.into() }
}

/// `GET /login/{secret}`
pub(super) async fn show(State(api): State<Arc<Api>>, Path(secret): Path<String>, headers: HeaderMap) -> Response {
    or_page(async {
        let login = find(&api, &secret).await?;
        Ok(page(&login, &headers, None).into_response())
    })
    .await
}

/// `POST /login/{secret}`: one step further, or the same page with a reason.
pub(super) async fn submit(
    State(api): State<Arc<Api>>,
    Path(secret): Path<String>,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    or_page(async {
        if is_from_elsewhere(&headers) {
            let message = "This form was sent by another site, so it was not looked at.";
            return Err(ApiError::new(ErrorId::Forbidden, message));
        }
        let login = find(&api, &secret).await?;
        if login.approved_at.is_none()
            && let Err(error) = step(&api, &login, &headers, &form).await
        {
            if error.is_unavailable() {
                return Err(error);
            }
            let page = page(&login, &headers, Some(&trouble(&error)));
            return Ok((error.status(), page).into_response());
        }
        // What the browser reloads must not be the form.
        Ok(Redirect::to(&format!("/login/{secret}")).into_response())
    })
    .await
}

async fn step(api: &Api, login: &Login, headers: &HeaderMap, form: &[u8]) -> Result<(), ApiError> {
    if field(form, "again").is_some() {
        login::set_account(&mut *api.connection().await?, login.id, None).await?;
        return Ok(());
    }
    let (account, is_known) = identified(api, login.account, headers, form).await?;
    if !is_known {
        // The next page asks for the code.
        login::set_account(&mut *api.connection().await?, login.id, Some(account.id)).await?;
        return Ok(());
    }
    login::approve(&mut *api.connection().await?, login.id, account.id, api.now()).await?;
    api.logins.notify_waiters();
    Ok(())
}

/// Whose form this is, and whether that is all that there is to ask: an account with a second factor still owes a code after
/// its password.
pub(super) async fn identified(
    api: &Api,
    before: Option<Id<Account>>,
    headers: &HeaderMap,
    form: &[u8],
) -> Result<(Account, bool), ApiError> {
    if let Some(account) = before {
        let account = account::by_id(&mut *api.connection().await?, account).await?;
        let account = account.ok_or_else(ApiError::unauthorized)?;
        sign_in::check_code(api, &account, &field(form, "code").unwrap_or_default()).await?;
        return Ok((account, true));
    }
    let email = field(form, "email").unwrap_or_default();
    let password = Secret::new(field(form, "password").unwrap_or_default());
    let account = sign_in::by_password(api, email.trim(), password, &auth::address(headers)).await?;
    let is_known = !account.two_factor;
    Ok((account, is_known))
}

/// What a page says of an error.
pub(super) fn trouble(error: &ApiError) -> String {
    match error.id() {
        ErrorId::Unauthorized => "The email or password is not right.".to_owned(),
        _ => error.to_string(),
    }
}

async fn find(api: &Api, secret: &str) -> Result<Login, ApiError> {
    let mut connection = api.connection().await?;
    let login = login::of_browser(&mut connection, TokenHash::of(secret), api.now()).await?;
    login.ok_or_else(|| {
        ApiError::new(
            ErrorId::NotFound,
            "This login is over. Please begin again at the command line.",
        )
    })
}

/// The page that a login is at.
fn page(login: &Login, headers: &HeaderMap, trouble: Option<&str>) -> Page {
    if login.approved_at.is_some() {
        return Page::done();
    }
    let is_elsewhere = login.address != auth::address(headers);
    match login.account {
        None => Page::password(&login.description, &login.address, is_elsewhere, trouble),
        Some(_) => Page::code(trouble),
    }
}

/// Browsers say where a form was sent from (Fetch, *Origin header*; Fetch Metadata); what is no browser says nothing.
pub(super) fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_other_site = text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let host = text("host").unwrap_or_default();
    let is_other_origin =
        text("origin").is_some_and(|origin| origin.split_once("://").map(|(_, host)| host) != Some(host));
    is_other_site || is_other_origin
}

/// A field of a form (URL Standard, *application/x-www-form-urlencoded*).
pub(super) fn field(form: &[u8], name: &str) -> Option<String> {
    let form = form.get(..LONGEST_FORM_BYTES).unwrap_or(form);
    let mut fields = form_urlencoded::parse(form);
    fields.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}

/// Refusals are for people here.
pub(super) async fn or_page(work: impl Future<Output = Result<Response, ApiError>>) -> Response {
    match work.await {
        Ok(response) => response,
        Err(error) => {
            let (status, message) = (error.status(), error.to_string());
            // The JSON is thrown away; what the log is to know rides on it.
            let mut refusal = error.into_response();
            let mut response = (status, Page::trouble(&message)).into_response();
            *response.extensions_mut() = std::mem::take(refusal.extensions_mut());
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn fields_are_decoded_and_nothing_else_is_read() {
        let form = b"email=ada%40example.com&password=a+b%26c%3D&password=second&empty=&odd";
        let field = |name| field(form, name);
        assert_eq!(field("email").as_deref(), Some("ada@example.com"));
        assert_eq!(field("password").as_deref(), Some("a b&c="));
        assert_eq!(
            (field("empty").as_deref(), field("odd").as_deref()),
            (Some(""), Some(""))
        );
        assert_eq!(field("missing"), None);
        assert_eq!(super::field(b"%zz=%ff", "%zz").as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn a_form_of_another_site_is_known() {
        let is_from_elsewhere = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                let name: http::HeaderName = name.parse().unwrap();
                (name, HeaderValue::from_static(value))
            });
            let mut headers: HeaderMap = pairs.collect();
            headers.insert("host", HeaderValue::from_static("api.example.com"));
            is_from_elsewhere(&headers)
        };
        assert!(!is_from_elsewhere(&[]));
        assert!(!is_from_elsewhere(&[
            ("origin", "https://api.example.com"),
            ("sec-fetch-site", "same-origin")
        ]));
        for headers in [
            [("origin", "https://evil.example"), ("accept", "*/*")],
            [("origin", "null"), ("accept", "*/*")],
            [("origin", "https://api.example.com"), ("sec-fetch-site", "cross-site")],
            [("origin", "https://api.example.com"), ("sec-fetch-site", "same-site")],
            [("origin", "https://api.example.com.evil.example"), ("accept", "*/*")],
        ] {
            assert!(is_from_elsewhere(&headers), "{headers:?}");
        }
    }
}
