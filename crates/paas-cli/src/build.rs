//! Builds: what became of each push.

use std::{
    fs::File,
    io::{BufRead, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;
use paas_api::{Build, BuildStatus, BuildpackRef, NewBuild, PageRange, Source, SourceBlob, SourceUrls};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
    table::Table,
    time,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// How many of the newest builds
    #[arg(short, long, default_value_t = 15, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    num: u32,
    /// Print the builds as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The id of the build; without it, the newest
    build: Option<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Print the build as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// The id of the build; without it, the newest
    build: Option<String>,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    app: AppArgs,
    /// The tar.gz with the source, instead of a folder
    #[arg(long, value_name = "FILE", conflicts_with_all = ["source_url", "dir"])]
    source_tar: Option<PathBuf>,
    /// An https URL of a tar.gz with the source, such as GitHub's of a commit
    #[arg(long, value_name = "URL", conflicts_with = "dir")]
    source_url: Option<String>,
    /// The folder with the source [default: the current one]
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// What the release is called after, such as a commit id
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// What the build is about
    #[arg(long, value_name = "TEXT")]
    version_description: Option<String>,
    /// The SHA-256 that the tar.gz must have
    #[arg(long, value_name = "SHA256")]
    checksum: Option<String>,
    /// A buildpack to use instead of the app's; may be repeated, in order
    #[arg(short, long = "buildpack", value_name = "BUILDPACK")]
    buildpacks: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The id of the build; without it, the newest
    build: Option<String>,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    #[command(flatten)]
    app: AppArgs,
    /// The app's name once more, instead of the question
    #[arg(short, long, value_name = "APP")]
    confirm: Option<String>,
}

/// `builds`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let builds = newest(&app, args.num, context)?;
    if args.json {
        return context.output.json(&builds);
    }
    if builds.is_empty() {
        return context.output.note(&format!("{app} has no builds."));
    }
    context.output.header(&format!("{app} Builds"))?;
    let now = time::now();
    let rows = builds.iter().map(|build| {
        [
            build.id.to_string(),
            build.status.to_string(),
            commit(build),
            build.user.email.clone(),
            time::told(build.created_at, now),
        ]
    });
    context
        .output
        .table(&Table::new(["id", "status", "commit", "user", "created_at"], rows))
}

/// `builds:info`
pub(crate) fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let build = find(&app, args.build.as_deref(), context)?;
    if args.json {
        return context.output.json(&build);
    }
    context.output.header(&format!("Build {}", build.id))?;
    let when = build.created_at.to_string();
    let mut facts = vec![
        ("By", build.user.email.as_str()),
        ("Commit", build.source_blob.version.as_deref().unwrap_or_default()),
        ("Stack", &build.stack),
        ("Status", build.status.as_str()),
        ("When", &when),
    ];
    // The address of one from elsewhere names the very commit.
    let buildpacks = build.buildpacks.iter().flatten();
    let buildpacks: Vec<_> = buildpacks
        .map(|one| one.url.strip_prefix("urn:buildpack:").unwrap_or(&one.url))
        .collect();
    let buildpacks = buildpacks.join("\n");
    if !buildpacks.is_empty() {
        facts.insert(0, ("Buildpacks", &buildpacks));
    }
    context.output.facts(&facts)
}

/// `builds:output`
pub(crate) fn output(args: &OutputArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let build = find(&app, args.build.as_deref(), context)?;
    match copy_stream(&build.output_stream_url, context) {
        Err(Error::Api { status: 404, .. }) => {
            Err(Error::Absent(format!("Build {} has not said anything yet", build.id)))
        }
        other => other,
    }
}

/// `builds:create`: ends as the build ends.
pub(crate) fn create(args: &CreateArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let url = match &args.source_url {
        Some(url) => url.clone(),
        None => upload(args, context)?,
    };
    let wanted = NewBuild {
        buildpacks: (!args.buildpacks.is_empty()).then(|| args.buildpacks.iter().cloned().map(BuildpackRef).collect()),
        source_blob: SourceBlob {
            checksum: args.checksum.clone(),
            url,
            version: args.version.clone(),
            version_description: args.version_description.clone(),
        },
    };
    let build: Build = context.output.action(
        "Starting build",
        || context.client.post(&path(&app), &wanted),
        |_| String::new(),
    )?;
    copy_stream(&build.output_stream_url, context)?;
    let ended = find(&app, Some(&build.id.to_string()), context)?;
    match ended.status {
        BuildStatus::Succeeded => Ok(()),
        status => Err(Error::Absent(format!("Build {} has {status}", ended.id))),
    }
}

/// `builds:cancel`
pub(crate) fn cancel(args: &CancelArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let build = find(&app, args.build.as_deref(), context)?;
    let one = format!("{}/{}", path(&app), build.id);
    let what = format!("Cancelling build {}", build.id);
    context
        .output
        .action(&what, || context.client.delete(&one), |()| String::new())
}

/// `builds:cache:purge`
pub(crate) fn purge_cache(args: &PurgeArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let consequence = format!("the next build of {app} installs everything anew, which takes longer");
    context.confirm(&app, &consequence, args.confirm.as_ref())?;
    let cache = format!("/apps/{}/build-cache", segment(&app));
    let what = format!("Purging build cache of {app}");
    context
        .output
        .action(&what, || context.client.delete(&cache), |()| String::new())
}

/// Puts the source at a place of the platform's, and says where.
fn upload(args: &CreateArgs, context: &Context) -> Result<String> {
    let file = match &args.source_tar {
        Some(path) => File::open(path).map_err(|source| Error::File {
            path: path.display().to_string(),
            source,
        })?,
        None => pack(args.dir.as_deref().unwrap_or(Path::new(".")))?,
    };
    put(file, context)
}

/// Uploads a tar.gz, and says where it is.
pub(crate) fn put(file: File, context: &Context) -> Result<String> {
    let source: Source = context.client.post("/sources", &serde_json::Map::new())?;
    let SourceUrls { get_url, put_url } = source.source_blob;
    let work = || context.client.upload(&put_url, file);
    context.output.action("Uploading source", work, |()| String::new())?;
    Ok(get_url)
}

/// A tar.gz of what git knows of a folder or does not ignore, as it is now; of everything, where there is no repository.
pub(crate) fn pack(folder: &Path) -> Result<File> {
    let failed = |error: std::io::Error| Error::File {
        path: folder.display().to_string(),
        source: error,
    };
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(folder)
        .stderr(Stdio::null())
        .output();
    let names = match listed {
        Ok(listed) if listed.status.success() => listed
            .stdout
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
            .filter_map(|name| std::str::from_utf8(name).ok())
            // What was removed but not committed is still listed.
            .filter(|name| folder.join(name).symlink_metadata().is_ok())
            .fold(String::new(), |names, name| names + name + "\0"),
        _ => ".\0".to_owned(),
    };
    let archive = tempfile::tempfile()?;
    let mut tar = Command::new("tar")
        .args(["-c", "-z", "-f", "-", "--null", "-T", "-"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(archive.try_clone()?)
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = tar.stdin.take() {
        input.write_all(names.as_bytes()).map_err(failed)?;
    }
    if !tar.wait().map_err(failed)?.success() {
        return Err(failed(std::io::Error::other("tar could not pack it")));
    }
    let mut archive = archive;
    archive.seek(SeekFrom::Start(0))?;
    Ok(archive)
}

/// Prints an output stream while it is written. NUL bytes keep the connection alive and are no output.
pub(crate) fn copy_stream(url: &str, context: &Context) -> Result<()> {
    let mut stream = context.client.text_stream(url)?;
    loop {
        let chunk = stream.reader.fill_buf()?;
        if chunk.is_empty() {
            return Ok(());
        }
        let length = chunk.len();
        let text: Vec<_> = chunk.iter().copied().filter(|&byte| byte != 0).collect();
        context.output.bytes(&text)?;
        stream.reader.consume(length);
    }
}

/// Ids of builds are in the order of time.
fn newest(app: &str, count: u32, context: &Context) -> Result<Vec<Build>> {
    context.client.page(&path(app), &PageRange::newest("id", count))
}

fn find(app: &str, id: Option<&str>, context: &Context) -> Result<Build> {
    let Some(id) = id else {
        let newest = newest(app, 1, context)?.into_iter().next();
        return newest.ok_or_else(|| Error::Absent(format!("{app} has no builds")));
    };
    context.client.get(&format!("{}/{}", path(app), segment(id)))
}

fn path(app: &str) -> String {
    format!("/apps/{}/builds", segment(app))
}

fn commit(build: &Build) -> String {
    build
        .source_blob
        .version
        .iter()
        .flat_map(|version| version.chars().take(8))
        .collect()
}
