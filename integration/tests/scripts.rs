//! What the scripts of the buildpacks share, without a build around it.

use std::{fs, path::Path, process::Command};

use paas_integration::Output;

/// Runs lines of a script with `buildpacks/lib/common.sh`, in a folder that is its user's own, and that is nobody much.
#[track_caller]
fn script(folder: &Path, lines: &str) -> Output {
    let common = concat!(env!("CARGO_MANIFEST_DIR"), "/../buildpacks/lib/common.sh");
    fs::copy(common, folder.join("common.sh")).expect("the library can be copied");
    let mut chown = Command::new("chown");
    Output::of(chown.args(["-R", "nobody"]).arg(folder), "").expect_success();
    let mut bash = Command::new("setpriv");
    bash.args(["--reuid=nobody", "--clear-groups", "bash", "-euo", "pipefail", "-c"]);
    bash.arg(format!("source ./common.sh\n{lines}"));
    Output::of(bash.current_dir(folder), "")
}

#[test]
#[ignore = "needs root"]
fn a_cache_that_has_grown_too_large_is_emptied_even_where_go_took_the_rights_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = script(
        folder.path(),
        "mkdir -p modules/example.com@v1 build\n\
         fallocate --length 1025M modules/example.com@v1/large\n\
         chmod -R a-w modules\n\
         trim_cache modules build",
    );
    output.expect_success().expect("Emptying the cache of modules");
    assert!(!folder.path().join("modules").exists());
    assert!(folder.path().join("build").exists(), "what is small stays");
}

#[test]
#[ignore = "needs root"]
fn of_several_programs_one_is_what_to_serve() {
    let folder = tempfile::tempdir().expect("a folder");
    let types = |programs: &str| {
        let lines = format!("printf '%s\\n' {programs} | process_types bin");
        script(folder.path(), &lines).expect_success().stdout.clone()
    };
    let head = "---\ndefault_process_types:\n";
    assert_eq!(types("shop"), format!("{head}  web: bin/shop\n"));
    assert_eq!(
        types("api migrate server"),
        format!("{head}  web: bin/server\n  api: bin/api\n  migrate: bin/migrate\n")
    );
    assert_eq!(types("api web a.b"), format!("{head}  web: bin/web\n  api: bin/api\n"));
    assert_eq!(
        types("import export"),
        format!("{head}  import: bin/import\n  export: bin/export\n")
    );
}
