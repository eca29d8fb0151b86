//! What a person allows to an OAuth client: the pages behind `GET /oauth/authorize` (RFC 6749 §4.1).
//!
//! ```text
//! GET /oauth/authorize?client_id=… ──▶ a grant ──▶ /oauth/authorize/{secret}: password ──▶ code ──▶ allow or not
//!                                                                    the client's own address?code=… or ?error=…
//! ```
//!
//! Nobody is sent anywhere but to the address that the client was registered with. Nobody is logged in before: there are no
//! cookies, so the page asks who somebody is each time, and no other site can answer for them. Nor can whoever sent them
//! the page's address: each answer of who somebody is leads to a page of a new address, which only their browser knows.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Redirect, Response},
};
use chrono::TimeDelta;
use http::{HeaderMap, Uri};
use paas_api::ErrorId;
use paas_core::{Id, Scope};
use paas_store::{
    account::{self, Account},
    authorization::{Token, TokenHash},
    oauth_client::{self, OauthClient},
    oauth_grant::{self, NewOauthGrant, OauthGrant},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::{
    auth,
    error::ApiError,
    login::{field, html::Page, identified, is_from_elsewhere, or_page, trouble},
    oauth_authorization::checked_scope,
    state::Api,
};

/// To read the page, to look for the password, and to answer.
const LIFE: TimeDelta = TimeDelta::minutes(15);
/// Of a code; its client waits for it (RFC 6749 §4.1.2).
const CODE_LIFE: TimeDelta = TimeDelta::minutes(5);
/// Anybody can ask for a page, and each is a row until it is over.
const MOST_GRANTS: i64 = 2000;
const MOST_GRANTS_FROM_ONE_ADDRESS: i64 = 50;
/// Of what a client gets back as it sent it.
const LONGEST_STATE: usize = 2000;
/// SHA-256 in base64url, without padding.
const CHALLENGE_CHARACTERS: usize = 43;

/// `GET /oauth/authorize`
pub(super) async fn authorize(State(api): State<Arc<Api>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    or_page(async {
        let query = query.unwrap_or_default();
        let parameter = |name| field(query.as_bytes(), name);
        let client = client(&api, parameter("client_id")).await?;
        // Before anything is sent there (RFC 6749 §4.1.2.1).
        if parameter("redirect_uri").is_some_and(|uri| uri != client.redirect_uri) {
            return Err(ApiError::invalid(format!(
                "{} wants to be called back at another address than the one that it was registered with. Its maker can \
                 correct that: see `paas clients:update --help`.",
                client.name
            )));
        }
        let state = parameter("state");
        let refuse = |error: &str, description: &str| {
            let query = [
                ("error", Some(error)),
                ("error_description", Some(description)),
                ("state", state.as_deref()),
            ];
            Ok(Redirect::to(&call_back(&client, &query)).into_response())
        };
        if state.as_ref().is_some_and(|state| state.len() > LONGEST_STATE) {
            return Err(ApiError::invalid("The state that the program sent is too long."));
        }
        if parameter("response_type").as_deref() != Some("code") {
            return refuse("unsupported_response_type", "response_type must be code");
        }
        let Ok(scope) = wanted_scope(parameter("scope").as_deref()) else {
            return refuse("invalid_scope", "scope must be one or more of Heroku's scopes");
        };
        let Ok(code_challenge) = challenge(
            parameter("code_challenge"),
            parameter("code_challenge_method").as_deref(),
        ) else {
            return refuse("invalid_request", "code_challenge must be of the method S256");
        };
        let browser = Token::generate_secret();
        let new = NewOauthGrant {
            client: client.id,
            browser: browser.hash(),
            scope,
            state: state.clone(),
            code_challenge,
            address: auth::address(&headers),
            expires_at: api.now() + LIFE,
        };
        begin(&api, new).await?;
        Ok(Redirect::to(&address(browser.as_str())).into_response())
    })
    .await
}

fn address(secret: &str) -> String {
    format!("/oauth/authorize/{secret}")
}

async fn begin(api: &Api, new: NewOauthGrant) -> Result<(), ApiError> {
    let now = api.now();
    let mut transaction = api.store().begin().await?;
    let (all, from_there) = oauth_grant::count(&mut transaction, &new.address, now).await?;
    if all >= MOST_GRANTS || from_there >= MOST_GRANTS_FROM_ONE_ADDRESS {
        return Err(ApiError::rate_limit(
            "Too many programs ask for access right now. Please try again in a few minutes.",
            60,
        ));
    }
    oauth_grant::create(&mut transaction, new, now).await?;
    Ok(transaction.commit().await?)
}

/// `GET /oauth/authorize/{secret}`
pub(super) async fn show(State(api): State<Arc<Api>>, Path(secret): Path<String>) -> Response {
    or_page(async {
        let (grant, client) = find(&api, &secret).await?;
        Ok(page(&api, &grant, &client, None).await?.into_response())
    })
    .await
}

/// `POST /oauth/authorize/{secret}`: one step further, or the same page with a reason.
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
        let (grant, client) = find(&api, &secret).await?;
        match step(&api, &grant, &client, &headers, &form).await {
            Ok(Some(elsewhere)) => Ok(Redirect::to(&elsewhere).into_response()),
            // What the browser reloads must not be the form.
            Ok(None) => Ok(Redirect::to(&address(&secret)).into_response()),
            Err(error) if error.is_unavailable() => Err(error),
            Err(error) => {
                let page = page(&api, &grant, &client, Some(&trouble(&error))).await?;
                Ok((error.status(), page).into_response())
            }
        }
    })
    .await
}

/// Where to go; `None`: nothing was answered.
async fn step(
    api: &Api,
    grant: &OauthGrant,
    client: &OauthClient,
    headers: &HeaderMap,
    form: &[u8],
) -> Result<Option<String>, ApiError> {
    let state = grant.state.as_deref();
    if field(form, "again").is_some() {
        return next_page(api, grant, None, false).await.map(Some);
    }
    if field(form, "deny").is_some() {
        oauth_grant::delete(&mut *api.connection().await?, grant.id).await?;
        let query = [("error", Some("access_denied")), ("state", state)];
        return Ok(Some(call_back(client, &query)));
    }
    if grant.is_known {
        if field(form, "allow").is_none() {
            return Ok(None);
        }
        let code = Token::generate_secret();
        let mut connection = api.connection().await?;
        if !oauth_grant::allow(&mut connection, grant.id, code.hash(), api.now() + CODE_LIFE).await? {
            return Err(over());
        }
        let query = [("code", Some(code.as_str())), ("state", state)];
        return Ok(Some(call_back(client, &query)));
    }
    let (account, is_known) = identified(api, grant.account, headers, form).await?;
    next_page(api, grant, Some(account.id), is_known).await.map(Some)
}

async fn next_page(
    api: &Api,
    grant: &OauthGrant,
    account: Option<Id<Account>>,
    is_known: bool,
) -> Result<String, ApiError> {
    let browser = Token::generate_secret();
    let mut connection = api.connection().await?;
    oauth_grant::set_account(&mut connection, grant.id, account, is_known, browser.hash()).await?;
    Ok(address(browser.as_str()))
}

async fn client(api: &Api, id: Option<String>) -> Result<OauthClient, ApiError> {
    let unknown = || ApiError::new(ErrorId::NotFound, "There is no program with this client_id here.");
    let id: Uuid = id.and_then(|id| id.parse().ok()).ok_or_else(unknown)?;
    let mut connection = api.connection().await?;
    let client = oauth_client::get(&mut connection, &api.store().sealer, id).await?;
    client.ok_or_else(unknown)
}

async fn find(api: &Api, secret: &str) -> Result<(OauthGrant, OauthClient), ApiError> {
    let mut connection = api.connection().await?;
    let grant = oauth_grant::of_browser(&mut connection, TokenHash::of(secret), api.now()).await?;
    let grant = grant.ok_or_else(over)?;
    let client = oauth_client::get(&mut connection, &api.store().sealer, *grant.client.as_uuid()).await?;
    Ok((grant, client.ok_or_else(over)?))
}

fn over() -> ApiError {
    ApiError::new(
        ErrorId::NotFound,
        "This page is over. Please begin again in the program that sent you here.",
    )
}

/// The page that a grant is at.
async fn page(api: &Api, grant: &OauthGrant, client: &OauthClient, trouble: Option<&str>) -> Result<Page, ApiError> {
    let account: Option<Account> = match grant.account {
        Some(account) => account::by_id(&mut *api.connection().await?, account).await?,
        None => None,
    };
    let page = match account {
        Some(account) if grant.is_known => {
            let rights: Vec<_> = grant.scope.iter().map(|scope| right(scope)).collect();
            let host = origin(client);
            Page::consent(&client.name, &host, &account.email, &rights, trouble)
        }
        Some(_) => Page::code(trouble),
        None => Page::password_for(&client.name, trouble),
    };
    // Browsers ask this of the address that a form's answer leads to, too (Content Security Policy Level 3, §6.4.2).
    Ok(page.leading_to(origin(client)))
}

/// Scheme, host and port of where the client is called back.
fn origin(client: &OauthClient) -> String {
    let uri: Option<Uri> = client.redirect_uri.parse().ok();
    let parts = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?)));
    parts.map_or_else(String::new, |(scheme, authority)| format!("{scheme}://{authority}"))
}

/// What a scope allows, in words.
fn right(scope: &str) -> &'static str {
    match Scope::ALL.into_iter().find(|known| known.as_str() == scope) {
        Some(Scope::Global) => "Do everything that you can do, but change your password",
        Some(Scope::Identity) => "See your name and email address",
        Some(Scope::Read) => "See your apps, but not their config vars",
        Some(Scope::Write) => "See and change your apps, but not their config vars",
        Some(Scope::ReadProtected) => "See your apps and their config vars",
        Some(Scope::WriteProtected) => "See and change your apps and their config vars",
        None => "Nothing that this platform knows",
    }
}

fn wanted_scope(scope: Option<&str>) -> Result<Vec<String>, ApiError> {
    let words = scope.unwrap_or_default().split([' ', ',']);
    let words: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if words.is_empty() {
        // The least that there is.
        return Ok(vec![Scope::Identity.as_str().to_owned()]);
    }
    checked_scope(&words)
}

/// What the client will prove itself with besides its secret (RFC 7636 §4.3).
fn challenge(challenge: Option<String>, method: Option<&str>) -> Result<Option<String>, ()> {
    let Some(challenge) = challenge else { return Ok(None) };
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if method != Some("S256") || challenge.len() != CHALLENGE_CHARACTERS || !challenge.bytes().all(is_base64url) {
        return Err(());
    }
    Ok(Some(challenge))
}

/// The client's own address with these parameters behind those that it has.
fn call_back(client: &OauthClient, parameters: &[(&str, Option<&str>)]) -> String {
    let mut url = client.redirect_uri.clone();
    for (name, value) in parameters {
        let Some(value) = value else { continue };
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(name);
        url.push('=');
        url.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
    }
    url
}
