//! When add-ons are copied by themselves.

use clap::Args;
use paas_api::{Addon, Hour, NewSchedule, Schedule};

use crate::{
    addon,
    app_context::{AppArgs, Context},
    error::{Error, Result},
    postgres::DatabaseArgs,
};

#[derive(Debug, Args)]
pub(crate) struct ScheduleArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// When, each day: '02:00 UTC', or any other time zone
    #[arg(long, value_name = "TIME")]
    at: String,
}

#[derive(Debug, Args)]
pub(crate) struct SchedulesArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Print the schedules as JSON
    #[arg(long)]
    json: bool,
}

/// `pg:backups:schedule`
pub(crate) fn schedule(args: &ScheduleArgs, context: &Context) -> Result<()> {
    let (hour, timezone) = parse(&args.at).ok_or_else(|| {
        Error::Usage("Invalid schedule format: expected --at '[HH]:00 [TIMEZONE]', such as '02:00 UTC'".to_owned())
    })?;
    let database = args.database.find(context)?;
    let new = NewSchedule {
        hour: Hour(hour),
        schedule_name: database.config_vars.first().cloned(),
        timezone,
    };
    let path = path_of(&database);
    let make = || context.client.post::<Schedule>(&path, &new);
    let what = format!("Scheduling automatic daily backups of {} at {}", database.name, args.at);
    context.output.action(&what, make, |_| String::new()).map(drop)
}

/// `pg:backups:schedules`
pub(crate) fn schedules(args: &SchedulesArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let mut schedules: Vec<Schedule> = Vec::new();
    for database in addon::of_app(&app, context)? {
        schedules.extend(context.client.get::<Vec<Schedule>>(&path_of(&database))?);
    }
    if args.json {
        return context.output.json(&schedules);
    }
    if schedules.is_empty() {
        context.output.warning(&format!("No backup schedules found on {app}"))?;
        return context.output.note("Use paas pg:backups:schedule to set one up");
    }
    context.output.header("Backup Schedules")?;
    for Schedule {
        hour,
        minute,
        name,
        timezone,
        ..
    } in schedules
    {
        context
            .output
            .line(format!("{name}: daily at {hour}:{minute:02} {timezone}"))?;
    }
    Ok(())
}

/// `pg:backups:unschedule`
pub(crate) fn unschedule(args: &DatabaseArgs, context: &Context) -> Result<()> {
    let database = args.find(context)?;
    let path = format!("{}/{}", path_of(&database), database.id);
    let stop = || context.client.delete_reading::<Schedule>(&path);
    let what = format!("Unscheduling {} daily backups", database.name);
    context.output.action(&what, stop, |_| String::new()).map(drop)
}

/// `02:00 America/Los_Angeles`, as Heroku's command reads it: full hours alone.
fn parse(at: &str) -> Option<(u32, String)> {
    let (hour, zone) = at.split_once(":00")?;
    let zone = zone.trim_start();
    let is_number = (1..=2).contains(&hour.len()) && hour.bytes().all(|byte| byte.is_ascii_digit());
    let hour = hour.parse().ok().filter(|hour| is_number && *hour < 24)?;
    if zone.contains(char::is_whitespace) {
        return None;
    }
    // Short names of places are the platform's business.
    Some((hour, if zone.is_empty() { "UTC" } else { zone }.to_owned()))
}

fn path_of(database: &Addon) -> String {
    format!("/client/v11/databases/{}/transfer-schedules", database.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_full_hours_of_a_place() {
        let read = |at| parse(at).map(|(hour, zone)| format!("{hour} {zone}"));
        for (at, meant) in [
            ("02:00 America/Los_Angeles", "2 America/Los_Angeles"),
            ("2:00 PST", "2 PST"),
            ("23:00", "23 UTC"),
            ("04:00 utc", "4 utc"),
            ("0:00 CEST", "0 CEST"),
        ] {
            assert_eq!(read(at).as_deref(), Some(meant), "{at}");
        }
        for odd in ["", "24:00", "2:30 UTC", "02:00 UTC please", "+2:00", "002:00", "two:00"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
