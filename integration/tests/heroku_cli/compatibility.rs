//! The page that says which commands work is what the stories say.

use std::{collections::BTreeSet, fs, path::Path};

use paas_integration::{Heroku, compatibility};

#[test]
fn the_page_is_what_the_stories_say() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().unwrap();
    let page = compatibility::page(&here.join("tests/heroku_cli")).unwrap_or_else(|why| panic!("{why}"));
    let written = fs::read_to_string(root.join("docs/heroku-compatibility.md")).unwrap_or_default();
    if written != page {
        fs::write(root.join("target/heroku-compatibility.md"), page).unwrap();
        panic!("run: cp target/heroku-compatibility.md docs/");
    }
}

#[test]
#[ignore = "needs npm's heroku"]
fn the_page_has_every_command_of_the_client() {
    let manifest = Heroku::manifest();
    let commands: BTreeSet<_> = manifest["commands"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(commands, compatibility::commands());
}
