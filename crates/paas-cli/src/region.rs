//! Regions: where apps can run.

use clap::Args;
use paas_api::Region;

use crate::{app_context::Context, error::Result, table::Table};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print the regions as JSON
    #[arg(long)]
    json: bool,
}

/// `regions`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let regions: Vec<Region> = context.client.list("/regions", "id")?;
    if args.json {
        return context.output.json(&regions);
    }
    let rows = regions.into_iter().map(|region| [region.name, region.description]);
    context.output.table(&Table::new(["ID", "Location"], rows))
}
