//! What somebody wants an app to be built with: a buildpack of ours, or one from elsewhere.
//!
//! Nothing is fetched here: whoever starts a build brings the buildpacks along ([`Pack`]).

use std::{fmt, path::PathBuf, str::FromStr};

use thiserror::Error;

use crate::Buildpack;

/// A buildpack as it is stored and shown: its text is read again as the same choice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Choice {
    Ours(Buildpack),
    Elsewhere(RemoteBuildpack),
}

/// A buildpack that is fetched for each build.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RemoteBuildpack {
    /// As it was named, a reference included.
    name: String,
    url: String,
    /// What comes after `#`: a branch, a tag or a commit.
    reference: Option<String>,
    pub kind: RemoteKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RemoteKind {
    /// A repository that is read over `https`.
    Git,
    /// A tar, gzipped or not.
    Archive,
}

/// A buildpack that a build can be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pack {
    Ours(Buildpack),
    /// A tar with `bin/detect`, `bin/compile` and the rest at its root; plain files, directories and links.
    Fetched {
        name: String,
        tar: PathBuf,
    },
}

/// The text names no buildpack that could be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnknownBuildpack {
    #[error(
        "there is no buildpack {name:?}: this platform has {}, and runs those at https addresses of git repositories and tar.gz files",
        ours()
    )]
    NoName { name: String },
    #[error("the address of a buildpack must be a whole https URL without spaces: {name:?}")]
    BadAddress { name: String },
    #[error(
        "the address of a buildpack may have no user and no password: everybody who can see the app would read them. Use a place that is public"
    )]
    Credentials,
    #[error("a tar.gz has no branches and commits: leave out what comes after # in {name:?}")]
    ArchiveWithReference { name: String },
    #[error(
        "the address of a git repository has no ?, and only an archive's path ends with .tgz, .tar.gz or .tar: {name:?}"
    )]
    RepositoryWithQuery { name: String },
    #[error("an app has at most {} buildpacks, and {count} are named", Choice::MOST)]
    TooMany { count: usize },
}

const MAXIMUM_CHARACTERS: usize = 1000;
/// Where Heroku's registry keeps what is published in it.
const REGISTRY: &str = "https://buildpack-registry.s3.amazonaws.com/buildpacks";
const ARCHIVES: [&str; 3] = [".tgz", ".tar.gz", ".tar"];

impl Choice {
    /// Each is fetched and run in every build.
    pub const MOST: usize = 20;

    /// What a list means, wherever it came from: a buildpack that is named twice runs once, where it is named first.
    pub fn read_all(names: &[String]) -> Result<Vec<Self>, UnknownBuildpack> {
        let mut choices: Vec<Self> = Vec::new();
        for name in names {
            let choice = name.parse()?;
            if !choices.contains(&choice) {
                choices.push(choice);
            }
        }
        if choices.len() > Self::MOST {
            return Err(UnknownBuildpack::TooMany { count: choices.len() });
        }
        Ok(choices)
    }
}

impl RemoteBuildpack {
    /// Where it is, without the reference.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// As somebody named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// An address that can only mean what was used: a commit, or the hash of an archive.
    pub fn pinned(&self, version: &str) -> String {
        format!("{}#{version}", self.url)
    }
}

impl FromStr for Choice {
    type Err = UnknownBuildpack;

    /// Reads what Heroku's clients and manifests write: names of ours, names in Heroku's registry (`namespace/name`), and
    /// addresses of git repositories and archives.
    ///
    /// The plain address of one of Heroku's own repositories means our buildpack of that language. With a reference
    /// (`#main`, `#v250`) it means the repository itself.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(ours) = text.parse() {
            return Ok(Self::Ours(ours));
        }
        let named = || UnknownBuildpack::NoName { name: shown(text) };
        if !text.contains("://") {
            let name = text.strip_prefix("urn:buildpack:").unwrap_or(text);
            let (namespace, short) = name.split_once('/').ok_or_else(named)?;
            // Ours stand for those; there is no sense in asking for one that is not among them.
            if namespace == "heroku" || !is_registry_word(namespace) || !is_registry_word(short) {
                return Err(named());
            }
            return Ok(Self::Elsewhere(RemoteBuildpack {
                name: name.to_owned(),
                url: format!("{REGISTRY}/{namespace}/{short}.tgz"),
                reference: None,
                kind: RemoteKind::Archive,
            }));
        }
        remote(text).map(Self::Elsewhere)
    }
}

fn remote(text: &str) -> Result<RemoteBuildpack, UnknownBuildpack> {
    let bad = || UnknownBuildpack::BadAddress { name: shown(text) };
    let is_printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.len() > MAXIMUM_CHARACTERS || !is_printable {
        return Err(bad());
    }
    let (url, reference) = match text.split_once('#') {
        Some((url, reference)) => (url, Some(reference).filter(|reference| !reference.is_empty())),
        None => (text, None),
    };
    // Plain HTTP is for whoever lets the platform fetch from inside; that is decided where it is fetched.
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .ok_or_else(bad)?;
    let (host, path) = rest.split_once('/').ok_or_else(bad)?;
    if host.contains('@') {
        return Err(UnknownBuildpack::Credentials);
    }
    if host.is_empty() || path.is_empty() {
        return Err(bad());
    }
    let (path, has_query) = match path.split_once('?') {
        Some((path, _)) => (path, true),
        None => (path, false),
    };
    let is_archive = ARCHIVES.iter().any(|end| path.ends_with(end));
    // git puts `/info/refs` behind it, which would become part of the query.
    if has_query && !is_archive {
        return Err(UnknownBuildpack::RepositoryWithQuery { name: shown(text) });
    }
    match reference {
        Some(_) if is_archive => return Err(UnknownBuildpack::ArchiveWithReference { name: shown(text) }),
        Some(reference) if !is_reference(reference) => return Err(bad()),
        _ => {}
    }
    Ok(RemoteBuildpack {
        name: text.to_owned(),
        url: url.to_owned(),
        reference: reference.map(str::to_owned),
        kind: if is_archive {
            RemoteKind::Archive
        } else {
            RemoteKind::Git
        },
    })
}

/// What can be the name of a branch or a tag, and never an option (git-check-ref-format).
fn is_reference(text: &str) -> bool {
    !text.starts_with('-')
        && !text.contains("..")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._/-+@".contains(&byte))
}

fn is_registry_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// What somebody typed, as far as it is shown again.
fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

fn ours() -> String {
    let names: Vec<_> = Buildpack::ALL.into_iter().map(Buildpack::heroku_name).collect();
    names.join(", ")
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours(buildpack) => buildpack.heroku_name(),
            Self::Elsewhere(remote) => &remote.name,
        })
    }
}

impl Pack {
    /// What it is called before those whose app it builds.
    pub fn name(&self) -> &str {
        match self {
            Self::Ours(buildpack) => buildpack.as_str(),
            Self::Fetched { name, .. } => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsewhere(text: &str) -> RemoteBuildpack {
        match text.parse() {
            Ok(Choice::Elsewhere(remote)) => remote,
            other => panic!("{text} is {other:?}"),
        }
    }

    #[test]
    fn a_repository_is_known_by_its_address_and_what_comes_after_the_hash() {
        let plain = elsewhere("https://github.com/heroku/heroku-buildpack-apt");
        assert_eq!((plain.kind, plain.reference()), (RemoteKind::Git, None));
        let pinned = elsewhere("https://github.com/heroku/heroku-buildpack-python.git#v250");
        assert_eq!(pinned.url(), "https://github.com/heroku/heroku-buildpack-python.git");
        assert_eq!((pinned.kind, pinned.reference()), (RemoteKind::Git, Some("v250")));
        assert_eq!(
            pinned.name(),
            "https://github.com/heroku/heroku-buildpack-python.git#v250"
        );
        assert_eq!(
            pinned.pinned("0123abc"),
            "https://github.com/heroku/heroku-buildpack-python.git#0123abc"
        );
    }

    #[test]
    fn an_archive_is_known_by_its_end() {
        for address in [
            "https://example.com/buildpack.tgz",
            "https://example.com/a/buildpack.tar.gz?signature=1",
            "https://example.com/buildpack.tar",
        ] {
            assert_eq!(elsewhere(address).kind, RemoteKind::Archive, "{address}");
        }
        assert!("https://example.com/buildpack.tgz#main".parse::<Choice>().is_err());
    }

    #[test]
    fn a_name_that_is_not_ours_is_one_in_herokus_registry() {
        let apt = elsewhere("heroku-community/apt");
        assert_eq!(
            (apt.url(), apt.kind, apt.name()),
            (
                "https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku-community/apt.tgz",
                RemoteKind::Archive,
                "heroku-community/apt"
            )
        );
        assert_eq!("heroku/python".parse(), Ok(Choice::Ours(Buildpack::Python)));
    }

    #[test]
    fn what_is_no_buildpack_is_told_why() {
        for text in ["", "heroku/cobol", "cobol", "a/b/c", "somebody/..", "-x/y"] {
            assert!(
                matches!(text.parse::<Choice>(), Err(UnknownBuildpack::NoName { .. })),
                "{text}"
            );
        }
        for text in [
            "file:///etc/passwd",
            "ssh://git@github.com/x/y",
            "git://github.com/x/y",
            "https://github.com",
            "https:///x",
            "https://example.com/a b",
            "https://example.com/x#--upload-pack=x",
            "https://example.com/x#a..b",
        ] {
            assert!(
                matches!(text.parse::<Choice>(), Err(UnknownBuildpack::BadAddress { .. })),
                "{text}"
            );
        }
        let secret = "https://me:secret@example.com/x".parse::<Choice>().unwrap_err();
        assert!(!secret.to_string().contains("secret@"), "{secret}");
    }

    #[test]
    fn a_repository_has_no_query() {
        let error = "https://example.com/x?token=1#main".parse::<Choice>().unwrap_err();
        assert!(error.to_string().contains("a git repository has no ?"), "{error}");
    }

    #[test]
    fn a_list_names_each_once_and_not_too_many() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let twice = Choice::read_all(&names(&["heroku/python", "somebody/thing", "python"])).unwrap();
        assert_eq!(names_of(&twice), ["heroku/python", "somebody/thing"]);
        let many: Vec<_> = (0..=Choice::MOST)
            .map(|number| format!("somebody/thing-{number}"))
            .collect();
        assert!(Choice::read_all(&many[1..]).is_ok());
        assert_eq!(Choice::read_all(&many), Err(UnknownBuildpack::TooMany { count: 21 }));
    }

    fn names_of(choices: &[Choice]) -> Vec<String> {
        choices.iter().map(Choice::to_string).collect()
    }

    #[test]
    fn a_choice_is_read_again_as_it_was_written() {
        for text in [
            "heroku/nodejs",
            "https://github.com/x/y#main",
            "somebody/thing",
            "https://x.y/z.tgz",
        ] {
            let choice: Choice = text.parse().unwrap();
            assert_eq!(
                (choice.to_string().as_str(), choice.to_string().parse()),
                (text, Ok(choice.clone()))
            );
        }
    }
}
