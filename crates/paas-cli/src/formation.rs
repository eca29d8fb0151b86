//! The formation: how many dynos of each process type.

use std::collections::BTreeMap;

use clap::Args;
use paas_api::{Formation, FormationBatch, FormationUpdate, Quantity};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
    table::Table,
};

#[derive(Debug, Args)]
pub(crate) struct ScaleArgs {
    /// What to change, such as web=2, worker+1 or web=1:Standard-2X; without it, print the formation
    #[arg(value_name = "TYPE=QUANTITY[:SIZE]", allow_hyphen_values = false)]
    changes: Vec<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Print the formation as JSON
    #[arg(long)]
    json: bool,
}

/// `ps:scale`
pub(crate) fn scale(args: &ScaleArgs, context: &Context) -> Result<()> {
    let updates = args
        .changes
        .iter()
        .map(|change| parse(change))
        .collect::<Result<Vec<_>>>()?;
    let app = args.app.name(context)?;
    let path = format!("/apps/{}/formation", segment(&app));
    if updates.is_empty() {
        let formation: Vec<Formation> = context.client.list(&path, "id")?;
        if args.json {
            return context.output.json(&formation);
        }
        if formation.is_empty() {
            let message = format!("{app} has no process types yet; its first push brings them");
            return Err(Error::Absent(message));
        }
        let words = formation
            .iter()
            .map(|entry| format!("{}={}:{}", entry.r#type, entry.quantity, entry.size));
        return context.output.line(words.collect::<Vec<_>>().join(" "));
    }
    let batch = FormationBatch { updates };
    let running = |formation: &Vec<Formation>| {
        let entries = formation.iter().filter(|entry| {
            batch
                .updates
                .iter()
                .any(|update| update.r#type.as_ref() == Some(&entry.r#type))
        });
        let words = entries.map(|entry| format!("{} at {}:{}", entry.r#type, entry.quantity, entry.size));
        format!(", now running {}", words.collect::<Vec<_>>().join(", "))
    };
    let formation = context
        .output
        .action("Scaling dynos", || context.client.patch(&path, &batch), running)?;
    if args.json {
        context.output.json(&formation)
    } else {
        Ok(())
    }
}

#[derive(Debug, Args)]
pub(crate) struct ResizeArgs {
    /// A size for all process types (Standard-2X), or one for each (web=Standard-2X); without it, print the formation
    #[arg(value_name = "[TYPE=]SIZE")]
    changes: Vec<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Print the formation as JSON
    #[arg(long)]
    json: bool,
}

/// `ps:type`, `ps:resize`
pub(crate) fn resize(args: &ResizeArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let path = format!("/apps/{}/formation", segment(&app));
    let formation: Vec<Formation> = context.client.list(&path, "id")?;
    let updates = sizes(&args.changes, &formation)?;
    if !updates.is_empty() {
        let batch = FormationBatch { updates };
        let what = format!("Scaling dynos on {app}");
        let work = || context.client.patch::<Vec<Formation>>(&path, &batch);
        context.output.action(&what, work, |_| String::new())?;
    }
    let formation: Vec<Formation> = context.client.list(&path, "id")?;
    if args.json {
        return context.output.json(&formation);
    }
    context.output.header("Process Types")?;
    let rows = formation
        .iter()
        .map(|entry| [entry.r#type.clone(), entry.size.clone(), entry.quantity.to_string()]);
    context.output.table(&Table::new(["type", "size", "qty"], rows))?;
    let mut totals = BTreeMap::<&str, u32>::new();
    for entry in &formation {
        *totals.entry(&entry.size).or_default() += entry.quantity;
    }
    context.output.line("")?;
    context.output.header("Dyno Totals")?;
    let rows = totals
        .into_iter()
        .filter(|(_, total)| *total > 0)
        .map(|(size, total)| [size.to_owned(), total.to_string()]);
    context.output.table(&Table::new(["type", "total"], rows))
}

/// Heroku's command takes either one size or pairs.
fn sizes(changes: &[String], formation: &[Formation]) -> Result<Vec<FormationUpdate>> {
    let update = |process_type: &str, size: &str| FormationUpdate {
        r#type: Some(process_type.to_owned()),
        size: Some(size.into()),
        ..FormationUpdate::default()
    };
    if let [size] = changes
        && !size.contains('=')
    {
        return Ok(formation.iter().map(|entry| update(&entry.r#type, size)).collect());
    }
    let pair = |change: &String| match change.split_once('=') {
        Some((process_type, size)) if !process_type.is_empty() && !size.is_empty() => {
            if formation.iter().any(|entry| entry.r#type == process_type) {
                return Ok(update(process_type, size));
            }
            let known: Vec<&str> = formation.iter().map(|entry| entry.r#type.as_str()).collect();
            let known = known.join(", ");
            Err(Error::Absent(format!(
                "Type {process_type} not found in process formation.\nTypes: {known}"
            )))
        }
        _ => Err(Error::Usage(format!("{change} is not a size: write web=Standard-2X"))),
    };
    changes.iter().map(pair).collect()
}

/// `web=2`, `worker+1`, `worker-1`, each with `:SIZE` behind it or not. A type may have dashes: the last sign counts.
fn parse(text: &str) -> Result<FormationUpdate> {
    let error = || {
        Error::Usage(format!(
            "{text} is not a change of scale: write web=2, worker+1 or web=1:Standard-2X"
        ))
    };
    let (change, size) = match text.split_once(':') {
        Some((change, size)) => (change, Some(size)),
        None => (text, None),
    };
    let place = change.rfind(['=', '+', '-']).ok_or_else(error)?;
    let (process_type, quantity) = change.split_at(place);
    let digits = &quantity[1..];
    if process_type.is_empty()
        || digits.is_empty()
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
        || size == Some("")
    {
        return Err(error());
    }
    Ok(FormationUpdate {
        r#type: Some(process_type.to_owned()),
        quantity: Some(Quantity(quantity.trim_start_matches('=').to_owned())),
        size: size.map(Into::into),
        dyno_size: None,
        docker_image: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_absolute_or_relative_and_may_name_a_size() {
        for (text, process_type, quantity, size) in [
            ("web=2", "web", "2", None),
            ("worker+1", "worker", "+1", None),
            ("worker-1", "worker", "-1", None),
            ("my-worker=3", "my-worker", "3", None),
            ("my-worker-2:Basic", "my-worker", "-2", Some("Basic")),
            ("web=1:Standard-2X", "web", "1", Some("Standard-2X")),
        ] {
            let update = parse(text).unwrap();
            assert_eq!(update.r#type.as_deref(), Some(process_type), "{text}");
            assert_eq!(update.quantity.unwrap().0, quantity, "{text}");
            assert_eq!(update.size.as_ref().map(paas_api::ResourceRef::as_str), size, "{text}");
        }
        for bad in ["web", "web=", "=2", "web=two", "web=1:", "web==1x", ""] {
            assert!(parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
