//! Public SSH keys of the account.

use std::{fs, path::PathBuf};

use clap::Args;
use paas_api::{Key, NewKey};

use crate::{
    app_context::Context,
    error::{Error, Result},
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print the keys whole
    #[arg(short, long)]
    long: bool,
    /// Print the keys as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The file of the public key; without it, the one in ~/.ssh
    key: Option<PathBuf>,
    /// Upload what was found without asking
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The key's comment, usually an email address
    key: String,
}

/// `keys`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let keys: Vec<Key> = context.client.list("/account/keys", "id")?;
    let output = &context.output;
    if args.json {
        return output.json(&keys);
    }
    let Some(first) = keys.first() else {
        return output.warning("You have no SSH keys.");
    };
    output.header(&format!("{} keys", first.email))?;
    for key in &keys {
        if args.long {
            output.line(&key.public_key)?;
        } else {
            output.line(shortened(key))?;
        }
    }
    Ok(())
}

/// `keys:add`
pub(crate) fn add(args: &AddArgs, context: &Context) -> Result<()> {
    let path = match &args.key {
        Some(path) => path.clone(),
        None => found(args, context)?,
    };
    let shown = path.display().to_string();
    let public_key = fs::read_to_string(&path).map_err(|source| Error::File {
        path: shown.clone(),
        source,
    })?;
    let upload = || context.client.post("/account/keys", &NewKey { public_key });
    let _: Key = context
        .output
        .action(&format!("Uploading {shown} SSH key"), upload, |_| String::new())?;
    Ok(())
}

/// `keys:remove`
pub(crate) fn remove(args: &RemoveArgs, context: &Context) -> Result<()> {
    let remove = || {
        let keys: Vec<Key> = context.client.list("/account/keys", "id")?;
        let (meant, others): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| key.comment == args.key);
        if meant.is_empty() && others.is_empty() {
            return Err(Error::Absent("No SSH keys on account".to_owned()));
        }
        if meant.is_empty() {
            let comments: Vec<_> = others.into_iter().map(|key| key.comment).collect();
            let found = comments.join(", ");
            return Err(Error::Absent(format!(
                "SSH Key {} not found.\nFound keys: {found}.",
                args.key
            )));
        }
        delete(&meant, context)
    };
    let what = format!("Removing {} SSH key", args.key);
    context.output.action(&what, remove, |()| String::new())
}

/// `keys:clear`
pub(crate) fn clear(context: &Context) -> Result<()> {
    let clear = || delete(&context.client.list("/account/keys", "id")?, context);
    context
        .output
        .action("Removing all SSH keys", clear, |()| String::new())
}

fn delete(keys: &[Key], context: &Context) -> Result<()> {
    keys.iter()
        .try_for_each(|key| context.client.delete(&format!("/account/keys/{}", key.id)))
}

/// The only public key in `~/.ssh`, when its owner agrees.
fn found(args: &AddArgs, context: &Context) -> Result<PathBuf> {
    let folder = std::env::home_dir().ok_or(Error::NoHome)?.join(".ssh");
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut keys: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pub"))
        .collect();
    keys.sort();
    let [key] = keys.as_slice() else {
        return Err(Error::Usage(if keys.is_empty() {
            format!(
                "There is no public key in {}. Make one with: ssh-keygen -t ed25519",
                folder.display()
            )
        } else {
            let names: Vec<_> = keys.iter().map(|key| key.display().to_string()).collect();
            format!("There are several public keys, so name one: {}", names.join(", "))
        }));
    };
    context
        .output
        .line(format!("Found an SSH public key at {}", key.display()))?;
    if !args.yes {
        let question = "Would you like to upload it? [y/n] ";
        let answer = context.output.ask(question, "a confirmation", "--yes")?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(Error::Cancelled);
        }
    }
    Ok(key.clone())
}

/// `ssh-ed25519 AAAAC3NzaC...abcdefghij ada@laptop`
fn shortened(key: &Key) -> String {
    let mut words = key.public_key.split_whitespace();
    let (algorithm, encoded) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let first = encoded.get(..10).unwrap_or(encoded);
    let last = encoded.get(encoded.len().saturating_sub(10)..).unwrap_or_default();
    format!("{algorithm} {first}...{last} {}", key.comment)
        .trim_end()
        .to_owned()
}
