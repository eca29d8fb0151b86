//! Completion scripts for shells.
//!
//! Our verbs have colons in them, which two of the three shells give a meaning of their own.

use clap::{Args, Command, ValueEnum};
use clap_complete::{
    generate,
    shells::{Bash, Fish, Zsh},
};

use crate::{error::Result, output::Output};

#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell to write for
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Bash takes a colon for the end of a word (`COMP_WORDBREAKS`), and puts only what is behind it in place of what was
/// typed. This joins the words again for the generated function, and cuts its answers to what bash expects.
const BASH_COLONS: &str = r#"
_paas_with_colons() {
    local line="${COMP_LINE:0:COMP_POINT}"
    local -a COMP_WORDS
    read -ra COMP_WORDS <<< "$line"
    [[ $line == *[[:space:]] ]] && COMP_WORDS+=("")
    local COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    local word="${COMP_WORDS[COMP_CWORD]}" before=""
    ((COMP_CWORD > 0)) && before="${COMP_WORDS[COMP_CWORD-1]}"
    _paas "$1" "$word" "$before"
    if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
        local head="${word%"${word##*:}"}"
        COMPREPLY=("${COMPREPLY[@]#"$head"}")
    fi
}
complete -F _paas_with_colons -o bashdefault -o default paas
"#;

/// `completion`
pub(crate) fn print(args: &CompletionArgs, mut command: Command, output: Output) -> Result<()> {
    let mut script = Vec::new();
    match args.shell {
        Shell::Bash => {
            generate(Bash, &mut command, "paas", &mut script);
            script.extend_from_slice(BASH_COLONS.as_bytes());
        }
        Shell::Zsh => {
            generate(Zsh, &mut command, "paas", &mut script);
            script = zsh_colons(&String::from_utf8_lossy(&script), &command).into_bytes();
        }
        Shell::Fish => generate(Fish, &mut command, "paas", &mut script),
    }
    output.bytes(&script)
}

/// `_describe` takes `name:description`, so a colon in a name needs a backslash (zshcompsys, *Completion Functions*).
fn zsh_colons(script: &str, command: &Command) -> String {
    let names = command
        .get_subcommands()
        .flat_map(Command::get_name_and_visible_aliases);
    names
        .filter(|name| name.contains(':'))
        .fold(script.to_owned(), |script, name| {
            script.replace(&format!("'{name}:"), &format!("'{}:", name.replace(':', r"\:")))
        })
}
