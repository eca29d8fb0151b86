//! The page of an add-on. One of the platform's own is reached over the API, by a port of this machine; where a provider has it, a
//! browser is sent there with a form that says who comes.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use paas_api::{Addon, AddonSso, NewForward, Rendezvous};

use super::{OneArgs, find};
use crate::{
    app_context::Context,
    error::{Error, Result},
    exec,
    rendezvous::Link,
};

/// `addons:open`
pub(crate) fn open(args: &OneArgs, context: &Context) -> Result<()> {
    let addon = find(context, &args.app, &args.addon)?;
    let Some(url) = &addon.web_url else {
        return show_here(&addon, context);
    };
    let sso: AddonSso = context.client.get(&format!("/addons/{}/sso", addon.id))?;
    let path = keep(&addon, &page(&sso))?;
    if browse(&path) {
        return context.output.line(format!("Opening {url}..."));
    }
    context
        .output
        .note("No browser could be started; within some minutes, open this file in one")?;
    context.output.line(path)
}

/// Until Ctrl-C, which ends this command as any other.
fn show_here(addon: &Addon, context: &Context) -> Result<()> {
    let path = format!("/addons/{}/actions/open", addon.id);
    let made: Rendezvous = context.client.post(&path, &NewForward {})?;
    let listener = exec::listen(0)?;
    let url = format!("http://{}/", listener.local_addr()?);
    context.output.line(format!("{} has its page at {url}", addon.name))?;
    context.output.note(&format!(
        "It asks for the user and the password in its config vars: paas config -a {}",
        addon.app.name
    ))?;
    context.output.line("Use CTRL+C to close it")?;
    // Whoever has no browser here has the address.
    browse(&url);
    let base = context.client.base.clone();
    exec::carry_each(&listener, move || Link::open(&base, &made.attach_path));
    Ok(())
}

/// Whether a browser took it.
fn browse(page: &str) -> bool {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(opener);
    command
        .arg(page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// For nobody else's eyes; the browser reads it after we have ended.
fn keep(addon: &Addon, page: &str) -> Result<String> {
    let unusable = |error: std::io::Error| Error::Usage(format!("The page of {} cannot be kept: {error}", addon.name));
    let mut file = tempfile::Builder::new()
        .prefix("paas-sso-")
        .suffix(".html")
        .tempfile()
        .map_err(unusable)?;
    file.write_all(page.as_bytes()).map_err(unusable)?;
    let (_, path) = file.keep().map_err(|error| unusable(error.error))?;
    Ok(path.display().to_string())
}

fn page(sso: &AddonSso) -> String {
    let mut fields = String::new();
    for (name, value) in &sso.params {
        let (name, value) = (escape(name), escape(value));
        let _ = write!(fields, r#"<input type="hidden" name="{name}" value="{value}">"#);
    }
    let action = escape(&sso.action);
    format!(
        r#"<!doctype html><meta charset="utf-8"><title>Signing on</title>
<body onload="document.forms[0].submit()"><form method="post" action="{action}">{fields}<button>Sign on</button></form>"#
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_is_called_makes_no_page_of_its_own() {
        let params = [("email".to_owned(), r#""><script>"#.to_owned())].into();
        let page = page(&AddonSso {
            action: "https://errorbucket.example.com/sso?a=1&b=2".to_owned(),
            method: "post".to_owned(),
            params,
        });
        assert!(
            page.contains(r#"action="https://errorbucket.example.com/sso?a=1&amp;b=2""#),
            "{page}"
        );
        assert!(
            page.contains(r#"name="email" value="&quot;&gt;&lt;script&gt;""#),
            "{page}"
        );
    }
}
