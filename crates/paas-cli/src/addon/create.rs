//! `addons:create`

use std::time::Duration;

use clap::Args;
use paas_api::{Addon, AttachmentOfNewAddon, NewAddon};
use serde_json::{Map, Value};

use super::{TROUBLE_LIMIT, follow, newest_release};
use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
};

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// What, such as heroku-postgresql or heroku-redis:mini
    #[arg(value_name = "SERVICE:PLAN")]
    plan: String,
    /// Options of the service, as --OPTION VALUE
    #[arg(
        value_name = "OPTION",
        trailing_var_arg = true,
        allow_hyphen_values = true,
        hide = true
    )]
    options: Vec<String>,
    #[command(flatten)]
    app: AppArgs,
    /// What the app calls it: DATABASE makes `DATABASE_URL`
    #[arg(long = "as", value_name = "NAME")]
    attachment: Option<String>,
    /// Its own name, in the place of an invented one
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Wait until it can be used
    #[arg(long)]
    wait: bool,
    /// Print the add-on as JSON
    #[arg(long)]
    json: bool,
    /// The app's name, to overwrite without asking
    #[arg(long, value_name = "NAME", hide = true)]
    confirm: Option<String>,
}

const INTERVAL: Duration = Duration::from_secs(1);

/// `addons:create`
pub(crate) fn create(args: &CreateArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let new = NewAddon {
        attachment: Some(AttachmentOfNewAddon {
            name: args.attachment.clone(),
        }),
        config: Some(options(&args.options)?),
        confirm: args.confirm.clone(),
        name: args.name.clone(),
        plan: Some(args.plan.as_str().into()),
    };
    let path = format!("/apps/{}/addons", segment(&app));
    let what = format!("Creating {} on {app}", args.plan);
    let made: Addon = context
        .output
        .action(&what, || context.client.post(&path, &new), |_| ", free".to_owned())?;
    let made = if args.wait && made.state == "provisioning" {
        follow(context, &made, INTERVAL, Some(TROUBLE_LIMIT))?
    } else {
        made
    };
    if args.json {
        return context.output.json(&made);
    }
    let keys = made.config_vars.join(", ");
    if made.state == "provisioning" {
        context.output.line(format!(
            "{} is being created in the background. The app will restart when complete...",
            made.name
        ))?;
        context
            .output
            .line(format!("Use paas addons:info {} to check creation progress", made.name))
    } else {
        let release = newest_release(context, &app)?;
        context
            .output
            .line(format!("Created {} as {keys}, and restarted {app}{release}", made.name))
    }
}

/// `--version 15`, `--version=15` and `--flag`, which is true.
fn options(words: &[String]) -> Result<Map<String, Value>> {
    let mut options = Map::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let Some(option) = word.strip_prefix("--") else {
            return Err(Error::Usage(format!(
                "{word} is no option of an add-on, such as --version 15"
            )));
        };
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => match words.next_if(|next| !next.starts_with("--")) {
                Some(value) => (option, value.clone()),
                None => (option, "true".to_owned()),
            },
        };
        options.insert(name.to_owned(), Value::String(value));
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_herokus_command_reads_them() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let read = options(&words("--version 15 --fast --region=eu")).unwrap();
        assert_eq!(
            Value::Object(read),
            serde_json::json!({ "version": "15", "fast": "true", "region": "eu" })
        );
        assert!(options(&words("fifteen")).is_err());
    }
}
