use std::{fs, process::Command};

use crate::platform::Paas;

/// What bash would offer for a line that ends in `word`.
fn offers(paas: &Paas, line: &str) -> Vec<String> {
    let script = paas.directory().join("completion.bash");
    let told = paas.run("completion bash");
    fs::write(&script, told.strip_prefix("exit: 0\n--- stdout\n").unwrap()).unwrap();
    let ask = r#"source "$0"; COMP_LINE=$1; COMP_POINT=${#1}; _paas_with_colons paas; printf '%s\n' "${COMPREPLY[@]}""#;
    let finished = Command::new("bash")
        .args(["-c", ask])
        .arg(script)
        .arg(line)
        .output()
        .unwrap();
    assert!(finished.stderr.is_empty(), "{finished:?}");
    let text = String::from_utf8(finished.stdout).unwrap();
    text.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn bash_completes_verbs_with_colons() {
    let paas = Paas::new();
    assert_eq!(
        offers(&paas, "paas maint"),
        ["maintenance", "maintenance:on", "maintenance:off"]
    );
    assert_eq!(
        offers(&paas, "paas ps:sc"),
        ["scale"],
        "bash replaces what is behind the colon"
    );
    assert_eq!(offers(&paas, "paas maintenance:on --a"), ["--app"]);
}

#[test]
fn zsh_and_fish_know_the_verbs_too() {
    let paas = Paas::new();
    let zsh = paas.run("completion zsh");
    assert!(
        zsh.contains(r"'ps\:scale:Say how many") && !zsh.contains("'ps:scale:"),
        "{zsh}"
    );
    assert!(paas.run("completion fish").contains("-a \"ps:scale\""));
}

#[test]
fn another_shell_is_misuse() {
    assert!(Paas::new().run("completion tcsh").starts_with("exit: 2\n"));
}
