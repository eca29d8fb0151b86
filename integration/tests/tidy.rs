//! What the code is held to besides working: the arrows between crates, sizes, and words that do not belong in a commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use paas_integration::Output;

/// Who may use whom (`ARCHITECTURE.md`). A new arrow is a decision: it changes this table and that page.
const ARROWS: [(&str, &[&str]); 9] = [
    ("paas-core", &[]),
    ("paas-api", &["paas-core"]),
    ("paas-store", &["paas-core"]),
    ("paas-engine", &["paas-core"]),
    ("paas-build", &["paas-core", "paas-engine"]),
    ("paas-router", &["paas-core"]),
    (
        "paas-server",
        &[
            "paas-api",
            "paas-build",
            "paas-core",
            "paas-engine",
            "paas-router",
            "paas-store",
        ],
    ),
    ("paas-cli", &["paas-api"]),
    ("integration", &["paas-router"]),
];

/// Dependencies that only one crate may have: each is a wall.
const WALLS: [(&str, &str); 3] = [
    ("sqlx", "paas-store"),
    ("bollard", "paas-engine"),
    ("instant-acme", "paas-router"),
];

/// What the pure crate must do without.
const IMPURE: [&str; 6] = ["tokio", "hyper", "sqlx", "bollard", "rand", "tracing"];

const LONGEST_FILE: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate is in the workspace")
}

/// The files that git knows, relative to the root.
fn tracked() -> Vec<PathBuf> {
    let mut git = Command::new("git");
    git.current_dir(root())
        .args(["-c", "safe.directory=*", "ls-files", "-z"]);
    let listed = Output::of(&mut git, "");
    let names = listed.expect_success().stdout.split_terminator('\0');
    // A file that was removed and not committed yet is still listed.
    names
        .map(PathBuf::from)
        .filter(|path| root().join(path).is_file())
        .collect()
}

/// The text of every tracked file that is text.
fn texts() -> Vec<(PathBuf, String)> {
    let text = |path: PathBuf| Some((fs::read_to_string(root().join(&path)).ok()?, path));
    tracked()
        .into_iter()
        .filter_map(text)
        .map(|(text, path)| (path, text))
        .collect()
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// The names of all dependencies of a crate, of every kind.
fn dependencies(folder: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(folder.join("Cargo.toml")).expect("a crate has a Cargo.toml");
    let manifest: toml::Table = text.parse().expect("a Cargo.toml is TOML");
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let names = tables.iter().filter_map(|table| manifest.get(*table)?.as_table());
    names.flat_map(|table| table.keys().cloned()).collect()
}

/// The folder of every crate, by name.
fn crates() -> BTreeMap<String, PathBuf> {
    let mut folders: BTreeMap<_, _> = fs::read_dir(root().join("crates"))
        .expect("there are crates")
        .map(|entry| entry.expect("the folder can be read"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .collect();
    folders.insert("integration".to_owned(), root().join("integration"));
    folders
}

#[test]
fn crates_use_each_other_only_along_the_arrows() {
    let allowed = BTreeMap::from(ARROWS);
    let crates = crates();
    assert_eq!(
        crates.keys().map(String::as_str).collect::<Vec<_>>(),
        allowed.keys().copied().collect::<Vec<_>>(),
        "a crate is missing from the table, or gone"
    );
    for (name, folder) in &crates {
        let arrows = allowed[name.as_str()];
        let used = dependencies(folder);
        let ours = used.iter().filter(|used| used.starts_with("paas-") && *used != name);
        for used in ours {
            assert!(arrows.contains(&used.as_str()), "{name} may not use {used}");
        }
    }
}

#[test]
fn walls_stand() {
    for (name, folder) in crates() {
        let used = dependencies(&folder);
        for (dependency, owner) in WALLS {
            assert!(
                name == owner || !used.contains(dependency),
                "only {owner} may use {dependency}, not {name}"
            );
        }
        if name == "paas-core" {
            for impure in IMPURE {
                assert!(!used.contains(impure), "paas-core is pure: it has no {impure}");
            }
        }
    }
}

#[test]
fn no_source_file_is_too_long() {
    for (path, text) in texts() {
        let lines = text.lines().count();
        let is_source = ["rs", "sh", "sql", "py"]
            .iter()
            .any(|extension| has_extension(&path, extension));
        assert!(
            !is_source || lines <= LONGEST_FILE,
            "{} has {lines} lines",
            path.display()
        );
    }
}

#[test]
fn nothing_is_left_for_later() {
    // Written apart, so that this file does not find itself.
    let words = ["todo", "unimplemented"].map(|word| format!("{word}!("));
    let marks = ["TO-DO", "FIX-ME", "XX-X"].map(|word| word.replace('-', ""));
    for (path, text) in texts() {
        if path.ends_with("Cargo.lock") || has_extension(&path, "json") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let marked = marks.iter().any(|mark| {
                let mut words = line.split(|character: char| !character.is_alphanumeric());
                words.any(|word| word == mark)
            });
            let left = marked || words.iter().any(|word| line.contains(word.as_str()));
            assert!(!left, "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

#[test]
fn every_ignored_test_says_why() {
    let bare = ["#[ignore", "]"].concat();
    for (path, text) in texts() {
        assert!(
            !text.contains(&bare),
            "{} has an ignored test without a reason",
            path.display()
        );
    }
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    let home = ["/ho", "me/"].concat();
    let folder = root().to_string_lossy().into_owned();
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            let is_named = line.contains(&home) || (folder.len() > 4 && line.contains(&format!("{folder}/")));
            assert!(!is_named, "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

#[test]
fn the_pages_are_there() {
    for page in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.lines().count() > 10, "{page} says nothing");
    }
}

/// Old code must survive the new schema, and the rows that are there the migration: a column that is added may be null, or
/// has a default.
#[test]
fn migrations_add_no_column_that_old_rows_cannot_fill() {
    let mut last = String::new();
    for (path, text) in texts() {
        if !path.starts_with("migrations") {
            continue;
        }
        let name = path
            .file_name()
            .expect("a file has a name")
            .to_string_lossy()
            .into_owned();
        assert!(name > last, "migrations come in the order of their names: {name}");
        let stamp = name.split('_').next().unwrap_or_default();
        assert!(
            stamp.len() == 14 && stamp.bytes().all(|byte| byte.is_ascii_digit()) && has_extension(&path, "sql"),
            "{name} is not <timestamp>_<verb>_<noun>.sql"
        );
        for statement in text.to_lowercase().split(';') {
            let statement = statement.split_whitespace().collect::<Vec<_>>().join(" ");
            // A constraint may speak of what is not null: whether old rows fulfil it shows when it is applied to them.
            let adds_column = statement.contains(" add ") && !statement.contains(" add constraint ");
            let adds = statement.starts_with("alter table") && adds_column;
            let is_strict = statement.contains("not null") && !statement.contains("default");
            assert!(!(adds && is_strict), "{name}: {statement}");
        }
        last = name;
    }
    assert!(!last.is_empty(), "there are no migrations");
}

#[test]
fn every_fail_point_of_the_server_has_its_story() {
    let points = |path: &str| -> BTreeSet<String> {
        let text = fs::read_to_string(root().join(path)).unwrap();
        let quoted = text.split('"').skip(1).step_by(2);
        let is_point = |word: &&str| matches!(word.rsplit_once('.'), Some((_, "before" | "amid" | "after")));
        quoted.filter(is_point).map(str::to_owned).collect()
    };
    let of_the_server = points("crates/paas-server/src/failpoint.rs");
    assert!(!of_the_server.is_empty());
    let stories = ["fail_points", "backups", "backups_bucket", "pg_rollback", "upgrades"]
        .map(|story| points(&format!("integration/tests/{story}.rs")));
    let with_a_story: BTreeSet<String> = stories.into_iter().flatten().collect();
    let without: Vec<_> = of_the_server.difference(&with_a_story).collect();
    assert_eq!(without, [""; 0]);
}
