//! The file that describes a kind of server.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail, ensure};
use chrono::TimeDelta;
use paas_core::{AddonName, AttachmentName, compare_versions};
use serde::Deserialize;

use super::Setting;

/// A kind of server: what it is made of, and how it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: String,
    /// The one that people get who do not say which; scripts see theirs as `$ADDON_VERSION`.
    pub(crate) version: String,
    pub(crate) image: Image,
    /// What the other versions are made of.
    pub(crate) versions: BTreeMap<String, Image>,
    pub(crate) user: u32,
    pub(crate) port: u16,
    /// Where it has pages for browsers, on 127.0.0.1 at least; they ask who comes.
    pub(crate) page_port: Option<u16>,
    /// Where its volume is.
    pub(crate) data: String,
    /// Runs the server; `/run/addon/credentials` has been read into the shell's variables.
    pub(crate) start: String,
    /// Succeeds once the server answers.
    pub(crate) ready: String,
    /// Tells the server its credentials, the first time and whenever they change.
    pub(crate) apply: Option<String>,
    /// Tells a running server what people have chosen of its settings.
    pub(crate) configure: Option<String>,
    /// What people may choose; scripts see it as `$SETTING_TIMEOUT`.
    pub(crate) settings: BTreeMap<String, Setting>,
    /// Tells the server of another user, `$ROLE` with `$ROLE_PASSWORD`, who has no rights yet, or of another password.
    pub(crate) grant: Option<String>,
    /// Lets the server forget `$ROLE`; what it owned is the add-on's own user's.
    pub(crate) revoke: Option<String>,
    /// Gives the add-on's own user back the rights that it had at first.
    pub(crate) repair: Option<String>,
    /// Takes out of it all that people have put in.
    pub(crate) empty: Option<String>,
    /// Ends the connections of all its users.
    pub(crate) hang_up: Option<String>,
    /// Begins to count anew.
    pub(crate) reset_stats: Option<String>,
    /// What people talk to it with; `"$@"` is what they say.
    pub(crate) client: Option<String>,
    /// Writes a backup to its standard output.
    pub(crate) backup: Option<String>,
    /// Reads one from its standard input.
    pub(crate) restore: Option<String>,
    /// Counts what is there, on one line: `3 tables, 120 rows`.
    pub(crate) prove: Option<String>,
    /// How apps see what it says.
    pub(crate) log: Option<Logged>,
    /// How it is shown to addresses outside; a kind that cannot be without TLS is not.
    pub(crate) exposure: Option<ExposedAs>,
    /// How it can be gone back to any moment.
    pub(crate) archive: Option<Archiving>,
    /// How it comes to a newer version.
    pub(crate) upgrade: Option<Upgrading>,
    /// The config vars of an attachment, by what they end in.
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) environment: BTreeMap<String, String>,
}

/// How the log of an app names a server, and which of its lines are not for apps. Without it, what it says is the operator's alone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Logged {
    /// `{number}` is the add-on's.
    pub(crate) process: String,
    /// What lines begin with that come of the platform's own doing.
    #[serde(default)]
    pub(crate) without: Vec<String>,
}

/// How a kind of server keeps what leads back to any moment. While `$ADDON_SPOOL_MIB` is set, its `start` lets it put each segment of
/// its log, once that is full, into `<data>/spool`, as `LINEAGE.SEGMENT` (a lineage begins with `$ADDON_VERSION-`) and with the time of its last change: the platform takes
/// it from there. So many MiB may wait; what has no room is let go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Archiving {
    /// How many days can be gone back.
    days: u32,
    /// Where it is another number, by the plan.
    #[serde(default)]
    plan_days: BTreeMap<String, u32>,
    /// Writes `LINEAGE SEGMENT` on a line, which is what it needs of the log at least, and then a copy of all that is there.
    pub(crate) base: String,
    /// Puts all that was committed until now into the spool.
    pub(crate) switch: String,
    /// Says `LINEAGE SEGMENT well`: the last segment that was handed on or let go (`-` for none), and `failing` in place of `well` while
    /// the server cannot hand on any. Without it, nobody learns that the log has stopped coming.
    pub(crate) state: Option<String>,
    /// Fills a volume in a container where nothing else runs. Reads files, each after a line with its name and its size: `base`,
    /// then segments, and `end 0` behind them: without that, it broke off. Leaves what was there at `$ROLLBACK_TO`, for `start` to find. What broke off before is begun anew, and a volume
    /// that it has filled to the end stays as it is: a server may have run on it since.
    pub(crate) replay: String,
}

/// How what a server holds is loaded into one of a newer version: users with their passwords and rights, and every row.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Upgrading {
    /// Writes all of it to its standard output.
    pub(crate) dump: String,
    /// Reads that from its standard input, in a server that has just been made and knows nobody yet.
    pub(crate) load: String,
    /// Counts what is there: a table and its rows on each line. The same in both, when all of it was loaded.
    pub(crate) count: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Image {
    /// Instructions for one on the stack's run image.
    Recipe(String),
    /// One of a registry.
    Reference(String),
}

/// What people outside connect with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExposedAs {
    pub(crate) tls: TlsBy,
    /// A template like those of config vars.
    pub(crate) url: String,
}

/// Who sees to it that nothing crosses the internet in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TlsBy {
    /// The server, as PostgreSQL does it: its client asks first.
    Postgres,
    /// The platform, with its own certificate, around a server that speaks none.
    Platform,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Size {
    pub(crate) memory_mib: u64,
    pub(crate) disk_gib: u64,
    pub(crate) connections: u32,
}

/// A file, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    kind: String,
    version: String,
    dockerfile: Option<String>,
    image: Option<String>,
    #[serde(default)]
    versions: BTreeMap<String, OtherVersion>,
    /// Who the processes are in an image of a registry.
    #[serde(default = "dyno")]
    user: u32,
    port: u16,
    page_port: Option<u16>,
    data: String,
    start: String,
    ready: String,
    apply: Option<String>,
    configure: Option<String>,
    #[serde(default)]
    settings: BTreeMap<String, Setting>,
    grant: Option<String>,
    revoke: Option<String>,
    repair: Option<String>,
    empty: Option<String>,
    hang_up: Option<String>,
    reset_stats: Option<String>,
    client: Option<String>,
    backup: Option<String>,
    restore: Option<String>,
    prove: Option<String>,
    archive: Option<Archiving>,
    upgrade: Option<Upgrading>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    exposure: Option<ExposedAs>,
    log: Option<Logged>,
    config: BTreeMap<String, String>,
    pub(super) sizes: BTreeMap<String, Size>,
    pub(super) services: Vec<Offer>,
}

/// What another version is made of; the scripts are the same.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherVersion {
    dockerfile: Option<String>,
    image: Option<String>,
}

/// A name under which people know this kind of server, and its plans there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Offer {
    pub(super) name: String,
    pub(super) human_name: String,
    /// What names of add-ons begin with.
    pub(super) prefix: String,
    pub(super) first_attachment: String,
    /// What all others begin with, before a colour.
    pub(super) attachment: String,
    pub(super) default_plan: String,
    pub(super) plans: BTreeMap<String, String>,
}

impl File {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let file: Self = toml::from_str(text).context("it is no description of an add-on")?;
        ensure!(!file.services.is_empty(), "it has no [[services]]");
        for offer in &file.services {
            offer.check(&file.sizes)?;
        }
        Ok(file)
    }

    pub(super) fn kind(&self) -> Result<Kind> {
        let image = Image::of(self.dockerfile.as_ref(), self.image.as_ref())?;
        let mut versions = BTreeMap::new();
        for (version, made) in &self.versions {
            let image = Image::of(made.dockerfile.as_ref(), made.image.as_ref());
            versions.insert(version.clone(), image.with_context(|| format!("version {version}"))?);
        }
        let is_word = |text: &str| {
            let mut bytes = text.bytes();
            !text.is_empty() && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        ensure!(
            is_word(&self.kind),
            "`kind` is written in small letters, digits and dashes"
        );
        ensure!(
            self.data.starts_with('/') && self.data.len() > 1,
            "`data` is the path of a folder"
        );
        ensure!(self.user != 0, "`user` must not be root");
        for (name, setting) in &self.settings {
            let is_fit = setting.check(&setting.default);
            is_fit.map_err(|rule| anyhow!("the default of setting {name} {rule}"))?;
        }
        Ok(Kind {
            name: self.kind.clone(),
            version: self.version.clone(),
            image,
            versions,
            user: self.user,
            port: self.port,
            page_port: self.page_port,
            data: self.data.clone(),
            start: self.start.clone(),
            ready: self.ready.clone(),
            apply: self.apply.clone(),
            configure: self.configure.clone(),
            settings: self.settings.clone(),
            grant: self.grant.clone(),
            revoke: self.revoke.clone(),
            repair: self.repair.clone(),
            empty: self.empty.clone(),
            hang_up: self.hang_up.clone(),
            reset_stats: self.reset_stats.clone(),
            client: self.client.clone(),
            backup: self.backup.clone(),
            restore: self.restore.clone(),
            prove: self.prove.clone(),
            log: self.log.clone(),
            exposure: self.exposure.clone(),
            archive: self.archive.clone(),
            upgrade: self.upgrade.clone(),
            config: self.config.clone(),
            environment: self.environment.clone(),
        })
    }
}

impl Kind {
    /// All versions, the oldest first.
    pub(crate) fn versions(&self) -> Vec<&str> {
        let mut versions: Vec<_> = self.versions.keys().map(String::as_str).collect();
        versions.push(&self.version);
        versions.sort_unstable_by(|one, other| compare_versions(one, other));
        versions.dedup();
        versions
    }

    /// What a version is made of. Where there has only ever been one, its files are good for whatever is there now.
    pub(crate) fn image_of(&self, version: &str) -> Option<&Image> {
        if version == self.version || self.versions.is_empty() {
            return Some(&self.image);
        }
        self.versions.get(version)
    }
}

impl Image {
    fn of(instructions: Option<&String>, reference: Option<&String>) -> Result<Self> {
        match (instructions, reference) {
            (Some(instructions), None) => Ok(Self::Recipe(instructions.clone())),
            (None, Some(reference)) => Ok(Self::Reference(reference.clone())),
            _ => bail!("it has to have either `dockerfile` or `image`"),
        }
    }
}

impl Archiving {
    /// How far back an add-on of this plan can go.
    pub(crate) fn window(&self, plan: &str) -> TimeDelta {
        let days = self.plan_days.get(plan).unwrap_or(&self.days);
        TimeDelta::days(i64::from(*days))
    }
}

impl Offer {
    fn check(&self, sizes: &BTreeMap<String, Size>) -> Result<()> {
        let name = &self.name;
        self.name
            .parse::<AddonName>()
            .with_context(|| format!("service {name:?}"))?;
        self.prefix
            .parse::<AddonName>()
            .with_context(|| format!("the prefix of service {name}"))?;
        for attachment in [&self.first_attachment, &self.attachment] {
            attachment
                .parse::<AttachmentName>()
                .with_context(|| format!("the attachments of service {name}"))?;
        }
        for (plan, size) in &self.plans {
            ensure!(
                sizes.contains_key(size),
                "plan {name}:{plan} has the size {size}, which is not in [sizes]"
            );
        }
        ensure!(
            self.plans.contains_key(&self.default_plan),
            "service {name} has no plan {}",
            self.default_plan
        );
        Ok(())
    }
}

const fn dyno() -> u32 {
    paas_engine::User::DYNO.uid
}
