//! The buildpacks that are compiled into this program, and the kit that a build container gets on its standard input.

use std::{fmt, str::FromStr};

use include_dir::{Dir, DirEntry, include_dir};
use paas_core::ConfigVars;

use crate::{Tests, archive::MemoryTar};

/// Everything under `buildpacks/`: one folder for each language, `bin/build`, `lib/`, and `stack/`.
pub(crate) static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../buildpacks");

/// A buildpack of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Buildpack {
    Ruby,
    Python,
    Java,
    Go,
    Php,
    Rust,
    Nodejs,
    Static,
}

/// The name is of none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotOurs;

impl Buildpack {
    /// In the order in which they are asked: an app with a `package.json` for its assets is a Ruby or Python app first,
    /// and an `index.html` alone says the least.
    pub const ALL: [Self; 8] = [
        Self::Ruby,
        Self::Python,
        Self::Java,
        Self::Go,
        Self::Php,
        Self::Rust,
        Self::Nodejs,
        Self::Static,
    ];

    /// The name of its folder.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ruby => "ruby",
            Self::Python => "python",
            Self::Java => "java",
            Self::Go => "go",
            Self::Php => "php",
            Self::Rust => "rust",
            Self::Nodejs => "nodejs",
            Self::Static => "static",
        }
    }

    /// Heroku's name for it.
    pub const fn heroku_name(self) -> &'static str {
        match self {
            Self::Ruby => "heroku/ruby",
            Self::Python => "heroku/python",
            Self::Java => "heroku/java",
            Self::Go => "heroku/go",
            Self::Php => "heroku/php",
            Self::Rust => "heroku/rust",
            Self::Nodejs => "heroku/nodejs",
            Self::Static => "heroku/static",
        }
    }

    /// What it is for, in one sentence.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Ruby => "Ruby apps: gems by Bundler; Rails and Rack",
            Self::Python => "Python apps: dependencies by uv, from pip, uv, Poetry or Pipenv files",
            Self::Java => "Java apps: Maven or Gradle, with or without their wrappers; Spring Boot",
            Self::Go => "Go apps: modules, vendored or not",
            Self::Php => "PHP apps: dependencies by Composer, served by Apache or nginx with FPM",
            Self::Rust => "Rust apps: Cargo packages and workspaces",
            Self::Nodejs => "Node.js apps: dependencies by npm, Yarn or pnpm",
            Self::Static => "Static sites, served from a folder",
        }
    }

    /// The files that make an app one of its own: `bin/detect` looks for the same.
    const fn signs(self) -> &'static [&'static str] {
        match self {
            Self::Ruby => &["Gemfile"],
            Self::Python => &[
                "requirements.txt",
                "pyproject.toml",
                "uv.lock",
                "Pipfile",
                "Pipfile.lock",
                "poetry.lock",
                ".python-version",
                "runtime.txt",
                "manage.py",
            ],
            Self::Java => &["pom.xml", "build.gradle", "build.gradle.kts", "gradlew"],
            Self::Go => &["go.mod", "go.work"],
            Self::Php => &["composer.json", "index.php"],
            Self::Rust => &["Cargo.toml"],
            Self::Nodejs => &["package.json"],
            Self::Static => &[
                "static.json",
                "index.html",
                "public/index.html",
                "public_html/index.html",
            ],
        }
    }

    /// What makes an app one of its own, in words.
    pub(crate) fn looks_for(self) -> String {
        match self.signs() {
            [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
            one => one.concat(),
        }
    }

    /// The buildpack that is going to recognise a source with these names at its root.
    pub(crate) fn of(root: &[String]) -> Option<Self> {
        let is_there = |sign: &&str| root.iter().any(|name| name == sign);
        Self::ALL
            .into_iter()
            .find(|buildpack| buildpack.signs().iter().any(is_there))
    }
}

impl FromStr for Buildpack {
    type Err = NotOurs;

    /// Reads `python` and the ways in which Heroku's clients and manifests write it: `heroku/python`,
    /// `urn:buildpack:heroku/python`, the address of its repository and those of Heroku's registries.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = short_name(text);
        Self::ALL
            .into_iter()
            .find(|buildpack| buildpack.as_str() == name)
            .ok_or(NotOurs)
    }
}

/// A pinned version (`#v123`) stays part of the name: what is not ours to give is not promised.
fn short_name(text: &str) -> &str {
    const PLACES: [(&str, &str); 3] = [
        ("https://github.com/heroku/heroku-buildpack-", ""),
        ("https://buildpack-registry.s3.amazonaws.com/buildpacks/", ".tgz"),
        ("https://codon-buildpacks.s3.amazonaws.com/buildpacks/", ".tgz"),
    ];
    let name = PLACES.into_iter().find_map(|(start, end)| {
        let name = text.strip_prefix(start)?;
        Some(name.strip_suffix(end).unwrap_or(name))
    });
    let name = name.unwrap_or_else(|| text.strip_prefix("urn:buildpack:").unwrap_or(text));
    let name = name.strip_suffix(".git").unwrap_or(name);
    ["heroku/", "heroku-community/"]
        .into_iter()
        .find_map(|namespace| name.strip_prefix(namespace))
        .unwrap_or(name)
}

impl fmt::Display for Buildpack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A tar with `buildpacks/`; for `ENV_DIR`, one file in `env/` for each config var; the `version` of the source; and what
/// `tests/` is to run.
pub(crate) fn kit(config: &ConfigVars, version: Option<&str>, tests: Option<&Tests>) -> Vec<u8> {
    let mut tar = MemoryTar::new();
    for file in files(&FILES) {
        let path = file.path();
        if !path.starts_with("stack") {
            let is_program = path.parent().is_some_and(|folder| folder.ends_with("bin"));
            let mode = if is_program { 0o755 } else { 0o644 };
            tar.file(&format!("buildpacks/{}", path.display()), mode, file.contents());
        }
    }
    for (key, value) in config {
        tar.file(&format!("env/{key}"), 0o600, value.as_bytes());
    }
    if let Some(version) = version {
        tar.file("version", 0o600, version.as_bytes());
    }
    for (name, command) in tests.map(Tests::files).into_iter().flatten() {
        tar.file(&format!("tests/{name}"), 0o600, command.as_bytes());
    }
    tar.finish()
}

fn files(dir: &'static Dir<'static>) -> Vec<&'static include_dir::File<'static>> {
    let mut found = Vec::new();
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => found.extend(files(dir)),
            DirEntry::File(file) => found.push(file),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io::Read as _, path::PathBuf};

    use super::*;

    fn unpack(bytes: &[u8]) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(bytes);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let path = entry.path().unwrap().into_owned();
            (path, (entry.header().mode().unwrap(), content))
        });
        entries.collect()
    }

    #[test]
    fn the_kit_holds_every_buildpack_and_its_programs_can_run() {
        let kit = unpack(&kit(&ConfigVars::default(), None, None));
        for buildpack in Buildpack::ALL {
            for program in ["detect", "compile", "release"] {
                let path = PathBuf::from(format!("buildpacks/{buildpack}/bin/{program}"));
                assert_eq!(kit.get(&path).map(|file| file.0), Some(0o755), "{}", path.display());
            }
        }
        assert!(kit.contains_key(&PathBuf::from("buildpacks/bin/build")));
        assert!(!kit.keys().any(|path| path.starts_with("buildpacks/stack")));
    }

    #[test]
    fn each_detect_program_looks_for_what_is_said_of_it() {
        for buildpack in Buildpack::ALL {
            let program = FILES.get_file(format!("{buildpack}/bin/detect")).unwrap();
            let program = program.contents_utf8().unwrap();
            for sign in buildpack.signs() {
                assert!(program.contains(sign), "{buildpack} does not look for {sign}");
            }
        }
    }

    #[test]
    fn of_two_languages_the_one_that_serves_is_recognised() {
        let of = |names: &[&str]| Buildpack::of(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["Gemfile", "package.json"]), Some(Buildpack::Ruby));
        assert_eq!(of(&["composer.json", "package.json"]), Some(Buildpack::Php));
        assert_eq!(of(&["package.json", "index.html"]), Some(Buildpack::Nodejs));
        assert_eq!(of(&["main.cob"]), None);
    }

    #[test]
    fn each_config_var_is_a_file_that_only_its_owner_reads() {
        let change = ("SECRET".parse().unwrap(), Some("two\nlines".to_owned()));
        let config = ConfigVars::default().with([change]).unwrap();
        let kit = unpack(&kit(&config, None, None));
        assert_eq!(kit[&PathBuf::from("env/SECRET")], (0o600, b"two\nlines".to_vec()));
    }

    #[test]
    fn herokus_names_for_buildpacks_are_understood() {
        assert_eq!("heroku/nodejs".parse(), Ok(Buildpack::Nodejs));
        assert_eq!("static".parse(), Ok(Buildpack::Static));
        for name in [
            "urn:buildpack:heroku/python",
            "https://github.com/heroku/heroku-buildpack-python",
            "https://github.com/heroku/heroku-buildpack-python.git",
            "https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku/python.tgz",
            "https://codon-buildpacks.s3.amazonaws.com/buildpacks/heroku/python.tgz",
        ] {
            assert_eq!(name.parse(), Ok(Buildpack::Python), "{name}");
        }
        assert_eq!("heroku-community/static".parse(), Ok(Buildpack::Static));
        for other in [
            "heroku/cobol",
            "somebody/python",
            "https://github.com/somebody/heroku-buildpack-python",
            "https://github.com/heroku/heroku-buildpack-python#v200",
            "",
        ] {
            assert!(other.parse::<Buildpack>().is_err(), "{other}");
        }
    }
}
