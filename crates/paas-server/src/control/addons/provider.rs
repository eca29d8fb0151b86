//! Add-ons of providers: Heroku's Add-on Partner API v3, on the platform's side (Dev Center, *Add-on Partner API Reference*).
//!
//! Each request names the add-on by its id, and may be sent twice: a provider answers the second as the first. So the code in it is
//! written down before, and is the same in both.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use chrono::TimeDelta;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use paas_core::{DrainUrl, ResourceStep};
use paas_store::{
    self as store,
    addon::{AddonRow, Values},
    addon_resource::ResourceOf,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AddonsController, tell};
use crate::{
    addon::{PASSWORD, Provider},
    log_drain::closed,
    outbound::{Connector, Policy, Target, ask},
    platform::Platform,
};

/// "Your service MUST respond within 60 seconds."
const REQUEST_LIMIT: Duration = Duration::from_mins(1);
/// Longer than a provider needs between a request and its first look around.
const CODE_LIFE: TimeDelta = TimeDelta::hours(1);
const ACCEPT: HeaderValue = HeaderValue::from_static("application/vnd.heroku-addons+json; version=3");
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("paasd/", env!("CARGO_PKG_VERSION"), " (add-ons)"));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// A provider that went out of business must not keep an app from being destroyed: this is most of a day.
const DEPROVISION_TRIES: u32 = 100;
/// Of what a provider says to people.
const LONGEST_MESSAGE: usize = 1000;

/// What a provider answered.
struct Answer {
    status: StatusCode,
    said: Said,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    message: Option<String>,
    config: Option<BTreeMap<String, String>>,
    log_drain_url: Option<String>,
}

impl AddonsController {
    pub(super) async fn ask_provider(&self, row: &AddonRow, provider: &Provider, step: ResourceStep) -> Result<()> {
        let done = match step {
            ResourceStep::Rest(_) => Ok(()),
            ResourceStep::Provision => self.provision(row, provider).await,
            ResourceStep::GiveUp => self.give_up(row, provider).await,
            ResourceStep::ChangePlan => self.change_plan(row, provider).await,
            ResourceStep::Deprovision => self.deprovision(row, provider).await,
        };
        self.or_trouble(row, done).await
    }

    async fn provision(&self, row: &AddonRow, provider: &Provider) -> Result<()> {
        let platform = &self.platform;
        let (addon, now) = (&row.addon, platform.clock.now());
        let (sealer, expires_at) = (&platform.store.sealer, now + CODE_LIFE);
        let mut conn = platform.store.connection().await?;
        let resource = ResourceOf {
            addon: addon.id,
            provider: provider.id,
        };
        let grants = store::addon_resource::begin(&mut conn, sealer, resource, &addon.plan, (expires_at, now)).await?;
        let options = store::addon_resource::options(&mut conn, sealer, addon.id).await?;
        drop(conn);
        let mut body = json!({
            "callback_url": format!("{}addons/{}", platform.settings.api_url(), addon.id),
            "name": addon.name.as_str(),
            "oauth_grant": {
                "code": grants.code.as_str(),
                "expires_at": expires_at.to_rfc3339(),
                "type": "authorization_code",
            },
            "options": options,
            "plan": addon.plan,
            "region": Provider::region(),
            "uuid": addon.id.to_string(),
        });
        if provider.writes_logs {
            body["log_input_url"] = json!(log_input_url(&platform.settings.api_url(), grants.log_input.as_str()));
        }
        if provider.reads_logs {
            body["log_drain_token"] = json!(grants.drain_token);
        }
        let answer = send(platform, provider, (Method::POST, None), Some(body)).await?;
        let status = answer.status;
        ensure!(status.is_success(), "{}", answer.in_words(provider));
        self.note(row, &answer).await?;
        if let Some(url) = &answer.said.log_drain_url {
            self.set_drain(row, provider, url).await?;
        }
        if status == StatusCode::ACCEPTED {
            let mut conn = platform.store.connection().await?;
            store::addon_resource::accept(&mut conn, addon.id, platform.clock.now()).await?;
            store::addon::clear_trouble(&mut conn, addon.id).await?;
            return Ok(());
        }
        let config = answer.said.config.unwrap_or_default();
        ensure!(
            !config.is_empty(),
            "{} provisioned it without a config var: it has to give those of its manifest, or answer 202",
            provider.human_name
        );
        self.set_config(row, provider, &config).await
    }

    async fn change_plan(&self, row: &AddonRow, provider: &Provider) -> Result<()> {
        let addon = &row.addon;
        let request = (Method::PUT, Some(addon.id.to_string()));
        let refused = || format!("{} has not taken the change of plan", provider.human_name);
        let answer = send(&self.platform, provider, request, Some(json!({ "plan": addon.plan }))).await;
        let answer = answer.with_context(refused)?;
        if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
            let message = format!("{}: {}", refused(), answer.in_words(provider));
            return self.refuse_plan(row, &message).await;
        }
        ensure!(
            answer.status.is_success(),
            "{}: {}",
            refused(),
            answer.in_words(provider)
        );
        self.note(row, &answer).await?;
        if let Some(config) = answer.said.config.filter(|config| !config.is_empty()) {
            self.set_config(row, provider, &config).await?;
        }
        let mut conn = self.platform.store.connection().await?;
        store::addon_resource::set_plan(&mut conn, addon.id, &addon.plan).await?;
        store::addon::clear_trouble(&mut conn, addon.id).await?;
        Ok(())
    }

    /// It would refuse it each time: people have the plan that they had.
    async fn refuse_plan(&self, row: &AddonRow, message: &str) -> Result<()> {
        let (platform, addon) = (&self.platform, &row.addon);
        let mut conn = platform.store.connection().await?;
        let now = platform.clock.now();
        if !store::addon_resource::refuse_plan(&mut conn, addon.id, &addon.plan, message, now).await? {
            return Ok(());
        }
        drop(conn);
        tell::log(platform, addon, message).await;
        platform.wake_webhooks.notify_one();
        Ok(())
    }

    async fn deprovision(&self, row: &AddonRow, provider: &Provider) -> Result<()> {
        let request = (Method::DELETE, Some(row.addon.id.to_string()));
        let told = match send(&self.platform, provider, request, None).await {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::GONE) => Ok(()),
            Ok(answer) => Err(anyhow::anyhow!(answer.in_words(provider))),
            Err(error) => Err(error),
        };
        match told {
            Err(error) if row.failures < DEPROVISION_TRIES => return Err(error),
            Err(error) => tracing::error!(
                addon.name = %row.addon.name,
                addon.id = %row.addon.id,
                error = format!("{error:#}"),
                "a provider does not take it that an add-on is gone: tell it by other ways"
            ),
            Ok(()) => {}
        }
        let mut conn = self.platform.store.connection().await?;
        store::addon::delete(&mut conn, row.addon.id).await?;
        tracing::info!(addon.name = %row.addon.name, "add-on destroyed");
        self.platform.wake.notify_one();
        Ok(())
    }

    async fn give_up(&self, row: &AddonRow, provider: &Provider) -> Result<()> {
        let mut conn = self.platform.store.connection().await?;
        store::addon_resource::give_up(&mut conn, row.addon.id).await?;
        bail!(
            "{} has not provisioned it within 12 hours, and is asked again. Destroy it if you do not want to wait",
            provider.human_name
        )
    }

    /// What it wants people to know.
    async fn note(&self, row: &AddonRow, answer: &Answer) -> Result<()> {
        let mut conn = self.platform.store.connection().await?;
        let message = answer.said.message.as_deref().map(cut);
        Ok(store::addon_resource::set_message(&mut conn, row.addon.id, message).await?)
    }

    /// The log of the app goes there, too, from now on.
    async fn set_drain(&self, row: &AddonRow, provider: &Provider, url: &str) -> Result<()> {
        let (platform, name) = (&self.platform, &provider.human_name);
        ensure!(
            provider.reads_logs,
            "{name} gave a log_drain_url, but its manifest does not have \"syslog_drain\" in `requires`"
        );
        // The address may hold a secret: no message repeats it.
        let url = url.trim().parse::<DrainUrl>();
        let url = url.map_err(|error| anyhow::anyhow!("the log_drain_url of {name} cannot be used: {error}"))?;
        if let Some(reason) = closed(&platform.settings, &url) {
            bail!("the log_drain_url of {name} cannot be used: {reason}");
        }
        let end = platform.logs.end(row.addon.app).await?;
        let mut conn = platform.store.connection().await?;
        let (sealer, now) = (&platform.store.sealer, platform.clock.now());
        store::log_drain::set_of_addon(&mut conn, sealer, row.addon.id, &url, end, now).await?;
        platform.wake_log_drains.notify_one();
        Ok(())
    }

    async fn set_config(&self, row: &AddonRow, provider: &Provider, given: &BTreeMap<String, String>) -> Result<()> {
        let platform = &self.platform;
        let config = provider.config(given, &row.suffixes).map_err(anyhow::Error::msg)?;
        let mut conn = platform.store.connection().await?;
        let (sealer, now) = (&platform.store.sealer, platform.clock.now());
        // Who comes to it is the provider's business: it has no credentials of ours.
        let config = (&Values::new(), &config);
        let releases = store::addon::set_config(&mut conn, sealer, row.addon.id, config, now).await?;
        store::addon::clear_trouble(&mut conn, row.addon.id).await?;
        drop(conn);
        tell::released(platform, releases).await;
        platform.wake_webhooks.notify_one();
        Ok(())
    }
}

async fn send(
    platform: &Platform,
    provider: &Provider,
    (method, resource): (Method, Option<String>),
    body: Option<Value>,
) -> Result<Answer> {
    let mut conn = platform.store.connection().await?;
    let secrets = store::addon_provider::secret(&mut conn, &platform.store.sealer, provider.id).await?;
    drop(conn);
    let url = provider.base_url.parts();
    let path = url.target().trim_end_matches('/');
    let path = resource.map_or_else(|| path.to_owned(), |resource| format!("{path}/{resource}"));
    let body = match &body {
        Some(body) => Bytes::from(serde_json::to_vec(body)?),
        None => Bytes::new(),
    };
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().context("its address cannot be asked")?;
    let password = secrets.get(PASSWORD).map_or("", String::as_str);
    let credentials = BASE64_STANDARD.encode(format!("{}:{password}", provider.name));
    let mut credentials = HeaderValue::try_from(format!("Basic {credentials}"))?;
    credentials.set_sensitive(true);
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::try_from(url.authority())?);
    headers.insert(header::AUTHORIZATION, credentials);
    headers.insert(header::ACCEPT, ACCEPT);
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::USER_AGENT, USER_AGENT);
    let settings = &platform.settings;
    let connector = Connector::new(Policy::of_receivers(settings), &settings.extra_ca)?;
    let asked = ask(&connector, &Target::from(url), request, REQUEST_LIMIT).await;
    let (status, body) = asked.with_context(|| format!("{} cannot be asked", provider.human_name))?;
    // Its own words may hold a secret: they are shown to nobody.
    let said = match serde_json::from_slice(&body) {
        Ok(said) => said,
        Err(_) if body.is_empty() || !matches!(status, StatusCode::OK | StatusCode::CREATED) => Said::default(),
        Err(_) => bail!(
            "{} answered {status} with what is no JSON of the Add-on Partner API",
            provider.human_name
        ),
    };
    Ok(Answer { status, said })
}

impl Answer {
    /// What a provider says of what it does not do is for people.
    fn in_words(&self, provider: &Provider) -> String {
        let message = self
            .said
            .message
            .as_deref()
            .map(cut)
            .filter(|message| !message.is_empty());
        match message {
            Some(message) => format!("{} says: {message}", provider.human_name),
            None => format!("{} answered {}", provider.human_name, self.status),
        }
    }
}

/// The user and the password stand in it, as in Logplex's.
fn log_input_url(api_url: &str, token: &str) -> String {
    let (scheme, rest) = api_url.split_once("://").unwrap_or(("https", api_url));
    format!("{scheme}://token:{token}@{rest}logs")
}

fn cut(message: &str) -> &str {
    let end = message
        .char_indices()
        .nth(LONGEST_MESSAGE)
        .map_or(message.len(), |(end, _)| end);
    message[..end].trim()
}
