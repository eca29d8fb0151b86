//! What takes room on the platform's disks, for those who run it.

use clap::Args;
use paas_api::{Disk, DiskPrune, NewDiskPrune};

use crate::{app_context::Context, error::Result, table::Table};

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Print it as JSON, in bytes
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Say what would go, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Print what goes as JSON
    #[arg(long)]
    json: bool,
}

/// `disk`
pub(crate) fn show(args: &ShowArgs, context: &Context) -> Result<()> {
    let ask = || context.client.get("/disk");
    let disk: Disk = context.output.action("Measuring", ask, |_| String::new())?;
    if args.json {
        return context.output.json(&disk);
    }
    context.output.header("File Systems")?;
    let rows = disk.file_systems.iter().map(|file_system| {
        [
            file_system.path.clone(),
            file_system.holds.join(", "),
            size(file_system.size_bytes),
            size(file_system.free_bytes),
            format!("{} %", file_system.used_percent),
        ]
    });
    context
        .output
        .table(&Table::new(["path", "holds", "size", "free", "used"], rows))?;
    context.output.header("Accounts")?;
    let rows = disk.accounts.iter().filter(|account| account.bytes > 0).map(|account| {
        [
            account.name.clone(),
            size(account.bytes),
            if account.prunable_bytes == 0 {
                String::new()
            } else {
                size(account.prunable_bytes)
            },
        ]
    });
    context.output.table(&Table::new(["account", "size", "can go"], rows))?;
    if !disk.apps.is_empty() {
        context.output.header("Apps")?;
        let rows = disk.apps.iter().map(|app| {
            [
                app.app.name.clone(),
                size(app.total_bytes),
                size(app.image_bytes),
                size(app.image_copy_bytes),
                size(app.cache_bytes),
                size(app.container_bytes),
                size(app.repository_bytes),
                size(app.log_bytes + app.build_output_bytes),
            ]
        });
        let titles = [
            "app",
            "total",
            "images",
            "copies",
            "cache",
            "dynos",
            "repository",
            "logs",
        ];
        context.output.table(&Table::new(titles, rows))?;
    }
    let limit = disk.limit_percent;
    let fullest = disk
        .file_systems
        .iter()
        .map(|file_system| file_system.used_percent)
        .max();
    if fullest.is_some_and(|percent| percent >= limit) {
        let text = format!("Builds start below {limit} %. What can go, goes with: paas disk:prune");
        context.output.warning(&text)?;
    }
    Ok(())
}

/// `disk:prune`
pub(crate) fn prune(args: &PruneArgs, context: &Context) -> Result<()> {
    let wanted = NewDiskPrune { dry_run: args.dry_run };
    let what = if args.dry_run {
        "Looking for what nobody needs"
    } else {
        "Removing what nobody needs"
    };
    let ask = || context.client.post("/disk/actions/prune", &wanted);
    let bytes = |pruned: &DiskPrune| format!(", {}", size(pruned.pruned_bytes));
    let pruned: DiskPrune = context.output.action(what, ask, bytes)?;
    if args.json {
        return context.output.json(&pruned);
    }
    if pruned.items.is_empty() {
        return context.output.note("There is nothing that nobody needs.");
    }
    let rows = pruned.items.into_iter().map(|item| {
        [
            item.kind,
            item.name,
            item.app.map(|app| app.name).unwrap_or_default(),
            size(item.bytes),
        ]
    });
    context.output.table(&Table::new(["what", "name", "app", "size"], rows))
}

/// `1.3 GB`, in units of 1024.
#[expect(clippy::cast_precision_loss, reason = "what is shown has two digits")]
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KB", "MB", "GB"] {
        if value < 1024.0 {
            return if unit == "B" || value >= 10.0 {
                format!("{value:.0} {unit}")
            } else {
                format!("{value:.1} {unit}")
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_exact_enough() {
        assert_eq!([0, 1023, 1024, 15_000].map(size), ["0 B", "1023 B", "1.0 KB", "15 KB"]);
        assert_eq!(size(1_400_000_000), "1.3 GB");
        assert_eq!(size(5 << 40), "5.0 TB");
    }
}
