//! All services and their plans.

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use anyhow::{Context, Result};
use paas_core::AttachmentName;
use paas_store::addon::Learns;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::{
    Provider, Providers,
    file::{File, Kind, Size},
};

/// What people may have, by the name of the service.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue {
    services: BTreeMap<String, Arc<Service>>,
    /// What others run.
    providers: Arc<Providers>,
}

/// A kind of server under a name that people know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) human_name: String,
    pub(crate) prefix: String,
    pub(crate) first_attachment: AttachmentName,
    /// What all others begin with, before a colour.
    pub(crate) attachment: AttachmentName,
    pub(crate) default_plan: String,
    pub(crate) plans: Vec<Plan>,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) size: Size,
}

const OURS: [&str; 10] = [
    include_str!("../../addons/elasticsearch.toml"),
    include_str!("../../addons/mailpit.toml"),
    include_str!("../../addons/mariadb.toml"),
    include_str!("../../addons/memcached.toml"),
    include_str!("../../addons/minio.toml"),
    include_str!("../../addons/mongodb.toml"),
    include_str!("../../addons/neo4j.toml"),
    include_str!("../../addons/postgresql.toml"),
    include_str!("../../addons/rabbitmq.toml"),
    include_str!("../../addons/redis.toml"),
];

impl Catalogue {
    /// Ours and the operator's, whose files are in `dir`. A file of theirs takes the place of a service of ours.
    pub(crate) fn load(dir: &Path) -> Result<Self> {
        let mut catalogue = Self::default();
        for text in OURS {
            catalogue
                .add(text)
                .context("reading a description that comes with the platform")?;
        }
        let mut paths = match std::fs::read_dir(dir) {
            Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(catalogue),
            Err(error) => Err(error),
        }
        .with_context(|| format!("reading the add-ons in {}", dir.display()))?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        for path in paths {
            let added = std::fs::read_to_string(&path)
                .map_err(anyhow::Error::from)
                .and_then(|text| catalogue.add(&text));
            added.with_context(|| format!("reading the add-on {}", path.display()))?;
        }
        Ok(catalogue)
    }

    /// Adds the services of one file.
    pub(crate) fn add(&mut self, text: &str) -> Result<()> {
        let file = File::parse(text)?;
        let kind = file.kind()?;
        for offer in file.services {
            let plans = offer.plans.iter().filter_map(|(name, size)| {
                Some(Plan {
                    id: id_of(&format!("plan {}:{name}", offer.name)),
                    name: name.clone(),
                    size: *file.sizes.get(size)?,
                })
            });
            let mut plans: Vec<_> = plans.collect();
            plans.sort_by(|one, other| {
                let key = |plan: &Plan| (plan.size.memory_mib, plan.size.connections, plan.name.clone());
                key(one).cmp(&key(other))
            });
            let service = Service {
                id: id_of(&format!("add-on service {}", offer.name)),
                human_name: offer.human_name,
                prefix: offer.prefix,
                first_attachment: offer.first_attachment.parse()?,
                attachment: offer.attachment.parse()?,
                default_plan: offer.default_plan,
                plans,
                kind: kind.clone(),
                name: offer.name.clone(),
            };
            self.services.insert(offer.name, Arc::new(service));
        }
        Ok(())
    }

    /// By name.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    pub(crate) fn providers(&self) -> &Providers {
        &self.providers
    }

    /// The provider of a service that does not run here.
    pub(crate) fn provider(&self, name_or_id: &str) -> Option<Arc<Provider>> {
        match self.service(name_or_id) {
            Some(_) => None,
            None => self.providers.find(name_or_id),
        }
    }

    pub(crate) fn service(&self, name_or_id: &str) -> Option<&Arc<Service>> {
        let id = name_or_id.parse::<Uuid>().ok();
        self.services
            .get(name_or_id)
            .or_else(|| self.services.values().find(|service| Some(service.id) == id))
    }
}

impl Service {
    pub(crate) fn plan(&self, name_or_id: &str) -> Option<&Plan> {
        let id = name_or_id.parse::<Uuid>().ok();
        self.plans
            .iter()
            .find(|plan| plan.name == name_or_id || Some(plan.id) == id)
    }

    /// A server that nobody can tell its credentials reads them when it starts.
    pub(crate) fn learns(&self) -> Learns {
        match self.kind.apply {
            Some(_) => Learns::WhileItRuns,
            None => Learns::AtItsStart,
        }
    }

    /// What config vars of its attachments end in.
    pub(crate) fn suffixes(&self) -> Vec<String> {
        self.kind.config.keys().cloned().collect()
    }
}

/// The id of something that has a name and no row: always the same one.
pub(super) fn id_of(name: &str) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(name.as_bytes()).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    const OWN: &str = r#"
        kind = "counter"
        version = "1"
        image = "registry.example.com/counter:1"
        user = 999
        port = 7
        data = "/data"
        start = "exec counter"
        ready = "true"
        config = { URL = "count://{user}:{password}@{host}:{port}" }
        sizes = { s = { memory_mib = 64, disk_gib = 1, connections = 10 } }
        [[services]]
        name = "counter"
        human_name = "Counter"
        prefix = "counter"
        first_attachment = "COUNTER"
        attachment = "COUNTER"
        default_plan = "small"
        plans = { small = "s" }
    "#;

    #[test]
    fn herokus_names_mean_what_we_have() {
        let catalogue = Catalogue::load(Path::new("/nowhere")).unwrap();
        for (name, plan) in [
            ("heroku-postgresql", "essential-0"),
            ("heroku-postgresql", "mini"),
            ("heroku-postgresql", "standard-0"),
            ("heroku-redis", "mini"),
            ("memcachier", "dev"),
            ("jawsdb", "kitefin"),
            ("cloudamqp", "lemur"),
            ("bonsai", "sandbox"),
        ] {
            let service = catalogue.service(name).unwrap_or_else(|| panic!("{name}"));
            let plan = service.plan(plan).unwrap_or_else(|| panic!("{name}:{plan}"));
            assert_eq!(catalogue.service(&service.id.to_string()), Some(service));
            assert_eq!(service.plan(&plan.id.to_string()), Some(plan));
            assert!(service.plan(&service.default_plan).is_some());
        }
    }

    /// Programs that write down what they are told and do nothing else stand for the servers' own.
    #[test]
    fn an_apply_may_be_cut_short_and_shows_no_password_in_an_argument() {
        let catalogue = Catalogue::load(Path::new("/nowhere")).unwrap();
        for name in ["mongolab", "graphenedb", "bonsai"] {
            let dir = tempfile::tempdir().unwrap();
            let path = |name: &str| dir.path().join(name).display().to_string();
            for program in ["mongosh", "cypher-shell", "curl"] {
                let script = format!(
                    "#!/bin/sh\necho \"$@\" >>{0}/arguments; cat >>{0}/told; cat {0}/apply.js {0}/user.json >>{0}/told 2>/dev/null\n\
                     [ ! -e {0}/fails ]\n",
                    dir.path().display()
                );
                std::fs::write(path(program), script).unwrap();
                std::fs::set_permissions(path(program), Permissions::from_mode(0o755)).unwrap();
            }
            let kind = &catalogue.service(name).unwrap().kind;
            let apply = |password: &str| {
                let script = kind.apply.as_ref().unwrap().replace("/run/addon", &path(""));
                // What the server's own start does, the first time.
                let script = format!("[ -e {0}/.platform ] || echo own >{0}/.platform\n{script}", kind.data);
                let script = script.replace(&kind.data, &path(""));
                let mut shell = std::process::Command::new("/bin/sh");
                let programs = format!("{}:/usr/bin:/bin", dir.path().display());
                shell.args(["-euc", &script]).env_clear().env("PATH", programs);
                shell.env("USER", "u1").env("DATABASE", "d1").env("PASSWORD", password);
                shell.stdin(std::process::Stdio::null()).status().unwrap().success()
            };
            std::fs::write(path("fails"), "").unwrap();
            assert!(!apply("pfirst"), "{name}");
            std::fs::remove_file(path("fails")).unwrap();
            assert!(apply("psecond") && apply("psecond"), "{name}");
            let said = |name: &str| std::fs::read_to_string(path(name)).unwrap();
            let arguments = said("arguments");
            assert!(
                !arguments.contains("psecond") && !arguments.contains("own"),
                "{arguments}"
            );
            // It comes as the platform's user each time, with what the app has now.
            let told = said("told");
            assert!(told.contains("psecond"), "{name}: {told}");
        }
    }

    #[test]
    fn an_operator_adds_a_service_by_adding_a_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("counter.toml"), OWN).unwrap();
        std::fs::write(dir.path().join("README"), "no add-on").unwrap();
        let catalogue = Catalogue::load(dir.path()).unwrap();
        let service = catalogue.service("counter").unwrap();
        assert_eq!((service.suffixes(), service.kind.user), (vec!["URL".to_owned()], 999));
    }

    #[test]
    fn a_file_with_a_mistake_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (mistake, words) in [
            (OWN.replace("small = \"s\"", "small = \"t\""), "not in [sizes]"),
            (OWN.replace("user = 999", "user = 0"), "root"),
            (
                OWN.replace("default_plan = \"small\"", "default_plan = \"x\""),
                "has no plan x",
            ),
            (OWN.replace("port = 7", "port = 7\nprot = 8"), "unknown field `prot`"),
        ] {
            std::fs::write(dir.path().join("counter.toml"), mistake).unwrap();
            let error = format!("{:#}", Catalogue::load(dir.path()).unwrap_err());
            assert!(error.contains("counter.toml") && error.contains(words), "{error}");
        }
    }
}
