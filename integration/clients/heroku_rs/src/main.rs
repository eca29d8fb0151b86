//! What somebody's program does with `heroku_rs`: heroku-rs-story URL TOKEN APP NEW_APP

use std::{collections::HashMap, env, error::Error, time::Duration};

use heroku_rs::{
    endpoints::{
        apps::{AppCreate, AppCreateParams, AppDelete, AppDetails, AppList},
        config_vars::{AppConfigVarDetails, AppConfigVarUpdate},
        domains::DomainList,
        dynos::DynoList,
        formations::{FormationList, FormationUpdate, FormationUpdateParams},
        releases::{ReleaseList, ReleaseRollback},
    },
    prelude::{ApiEnvironment, Credentials, HerokuApiClient, HttpApiClient, HttpApiClientConfig},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, token, name, new_name] = &arguments[..] else {
        return Err("URL TOKEN APP NEW_APP".into());
    };
    let config = HttpApiClientConfig {
        http_timeout: Duration::from_secs(30),
        default_headers: http::HeaderMap::default(),
    };
    let token = Credentials::UserAuthToken { token: token.clone() };
    let heroku = HttpApiClient::new(token, config, ApiEnvironment::Custom(url.parse()?))?;

    let params = AppCreateParams {
        name: Some(new_name),
        region: None,
        stack: None,
    };
    let created = heroku.request(&AppCreate { params })?;
    let apps = heroku.request(&AppList {})?;
    let app = heroku.request(&AppDetails { app_id: name })?;
    let newest = |releases: Vec<heroku_rs::endpoints::releases::Release>| {
        releases.into_iter().max_by_key(|release| release.version).ok_or("no release")
    };
    let before = newest(heroku.request(&ReleaseList { app_id: name })?)?;
    let params = HashMap::from([("CLIENT".to_owned(), "heroku_rs".to_owned())]);
    heroku.request(&AppConfigVarUpdate { app_id: name, params })?;
    let vars = heroku.request(&AppConfigVarDetails { app_id: name })?;
    let release = newest(heroku.request(&ReleaseList { app_id: name })?)?;
    let params = FormationUpdateParams {
        quantity: Some(2),
        size: None,
    };
    let web = heroku.request(&FormationUpdate {
        app_id: name,
        formation_id: "web",
        params,
    })?;
    let formation = heroku.request(&FormationList { app_id: name })?;
    let dynos = heroku.request(&DynoList { app_id: name })?;
    let domains = heroku.request(&DomainList { app_id: name })?;
    let refused = heroku.request(&AppDetails { app_id: "nobody" });
    println!(
        "{}",
        serde_json::json!({
            "created": created.name,
            "apps": apps.len(),
            "app": app.name,
            "config": vars.get("CLIENT"),
            "release": { "version": release.version, "description": release.description },
            "web": web.quantity,
            "formation": formation.len(),
            "dynos": !dynos.is_empty(),
            "domains": domains.len(),
            "refused": refused.err().map(|error| error.to_string()),
        })
    );
    heroku.request(&ReleaseRollback::new(name, &before.id))?;
    heroku.request(&AppDelete { app_id: new_name })?;
    Ok(())
}
