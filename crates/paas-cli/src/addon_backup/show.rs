//! What backups there are.

use clap::Args;
use paas_api::Transfer;

use super::{OneArgs, of_app, one};
use crate::{
    app_context::{AppArgs, Context},
    error::Result,
    table::Table,
    time,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Print the backups as JSON
    #[arg(long)]
    json: bool,
}

/// `pg:backups`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let mut transfers = of_app(context, &app)?;
    transfers.reverse();
    if args.json {
        return context.output.json(&transfers);
    }
    let output = &context.output;
    let of = |sort| {
        let of_it = transfers.iter().filter(move |transfer| Sort::of(transfer) == sort);
        of_it.collect::<Vec<_>>()
    };
    let (backups, restores, copies) = (of(Sort::Backup), of(Sort::Restore), of(Sort::Copy));
    output.header("Backups")?;
    if backups.is_empty() {
        output.line("No backups. Capture one with paas pg:backups:capture")?;
    } else {
        let rows = backups.iter().map(|transfer| {
            let [name, at, status, size] = facts(transfer);
            [name, at, status, size, transfer.from_name.clone(), proof(transfer)]
        });
        let mut table = Table::new(["ID", "Created at", "Status", "Size", "Database", "Proof"], rows);
        if backups.iter().any(|transfer| transfer.bucket.is_some()) {
            table = table.and("Bucket", backups.iter().map(|transfer| bucket(transfer)));
        }
        output.table(&table)?;
    }
    output.line("")?;
    output.header("Restores")?;
    if restores.is_empty() {
        output.line("No restores found. Use paas pg:backups:restore to restore a backup")?;
    } else {
        let rows = restores.into_iter().map(|transfer| {
            let [name, at, status, size] = facts(transfer);
            [name, at, status, size, transfer.to_name.clone()]
        });
        output.table(&Table::new(["ID", "Started at", "Status", "Size", "Database"], rows))?;
    }
    output.line("")?;
    output.header("Copies")?;
    if copies.is_empty() {
        return output.line("No copies found. Use paas pg:copy to copy a database to another");
    }
    let rows = copies.into_iter().map(|transfer| {
        let [name, at, status, size] = facts(transfer);
        [
            name,
            at,
            status,
            size,
            transfer.from_name.clone(),
            transfer.to_name.clone(),
        ]
    });
    output.table(&Table::new(["ID", "Started at", "Status", "Size", "From", "To"], rows))
}

/// What a line of each table begins with.
fn facts(transfer: &Transfer) -> [String; 4] {
    [
        transfer.name.clone(),
        time::minute(transfer.created_at),
        status(transfer),
        bytes(transfer.processed_bytes),
    ]
}

/// `pg:backups:info`
pub(crate) fn info(args: &OneArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let transfer = one(context, &app, args.backup.as_deref())?;
    let (kind, database) = match Sort::of(&transfer) {
        Sort::Backup => ("Backup", transfer.from_name.clone()),
        Sort::Restore => ("Restore", transfer.to_name.clone()),
        Sort::Copy => ("Copy", format!("{} to {}", transfer.from_name, transfer.to_name)),
    };
    context.output.header(&format!("{kind} {}", transfer.name))?;
    let mut facts = vec![
        ("Database", database),
        ("Started at", time::minute(transfer.created_at)),
    ];
    facts.extend(transfer.finished_at.map(|at| ("Finished at", time::minute(at))));
    facts.push(("Status", status(&transfer)));
    facts.push(("Type", transfer.kind.clone()));
    facts.push(("Backup Size", bytes(transfer.processed_bytes)));
    facts.push(("Proof", proof(&transfer)));
    if transfer.bucket.is_some() {
        facts.push(("Bucket", bucket(&transfer)));
    }
    context.output.facts(&facts)?;
    context.output.line("")?;
    context.output.header("Backup Logs")?;
    for log in &transfer.logs {
        context
            .output
            .line(format!("{} {}", time::minute(log.created_at), log.message))?;
    }
    Ok(())
}

/// What a transfer is to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Backup,
    Restore,
    Copy,
}

impl Sort {
    /// As Heroku's client tells them apart: a backup comes out of a server, a restore goes into one, a copy both.
    pub(super) fn of(transfer: &Transfer) -> Self {
        match (transfer.from_type.as_str(), transfer.to_type.as_str()) {
            ("pg_dump", "pg_restore") => Self::Copy,
            (_, "pg_restore") => Self::Restore,
            _ => Self::Backup,
        }
    }

    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Copy => "copy",
        }
    }
}

fn status(transfer: &Transfer) -> String {
    let at = transfer.finished_at.map(time::minute).unwrap_or_default();
    match transfer.succeeded {
        None => format!("Running (processed {})", bytes(transfer.processed_bytes)),
        Some(true) => format!("Completed {at}"),
        Some(false) if transfer.canceled_at.is_some() => format!("Canceled {at}"),
        Some(false) => format!("Failed {at}"),
    }
}

/// What a scratch server said of it.
fn proof(transfer: &Transfer) -> String {
    match &transfer.proof {
        None => "not yet".to_owned(),
        Some(proof) if proof.succeeded => format!("{}, {}", time::minute(proof.created_at), proof.message),
        Some(proof) => format!("NO GOOD: {}", proof.message),
    }
}

/// Whether it is in the platform's bucket, too.
fn bucket(transfer: &Transfer) -> String {
    let Some(bucket) = &transfer.bucket else {
        return String::new();
    };
    match (bucket.stored_at, &bucket.message) {
        (Some(at), _) => format!("stored {}", time::minute(at)),
        (None, Some(message)) => format!("NOT THERE: {message}"),
        (None, None) => "on its way".to_owned(),
    }
}

/// `1.5MB`, with two digits behind the point at most.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
    let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| bytes >= *unit) else {
        return format!("{bytes}B");
    };
    let hundredths = bytes / unit * 100 + bytes % unit * 100 / unit;
    let number = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    format!("{}{name}", number.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_herokus_command_writes_them() {
        for (number, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1KB"),
            (1536, "1.5KB"),
            (10 << 20, "10MB"),
            (u64::MAX, "17179869183.99GB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }
}
