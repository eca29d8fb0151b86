//! `container:*` and `image:deploy`: images that are built here or elsewhere, pushed, and released.
//!
//! Building and pushing is the `docker` command's work. It keeps its own login (`container:login`); the token comes to it by
//! its standard input.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap::Args;
use paas_api::{App, Build, BuildStatus, Formation, FormationBatch, FormationUpdate, NewImage, Secret};
use serde::Deserialize;

use crate::{
    app_context::{AppArgs, Context},
    build,
    client::{Credentials, segment},
    error::{Error, Result},
    exit, release,
};

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {}

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The process type to push; with --recursive, those to push of all that are found
    #[arg(value_name = "PROCESS_TYPE")]
    types: Vec<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Push every Dockerfile with an ending, such as Dockerfile.web, in this folder and below
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Build arguments, such as ENV=live,HTTPS=on
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    arg: Vec<String>,
    /// The folder that the build may use [default: that of the Dockerfile]
    #[arg(long, value_name = "FOLDER")]
    context_path: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TypesArgs {
    /// The process types
    #[arg(value_name = "PROCESS_TYPE", required = true)]
    types: Vec<String>,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// The process types
    #[arg(value_name = "PROCESS_TYPE", required = true)]
    types: Vec<String>,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The process type whose image to run
    #[arg(value_name = "PROCESS_TYPE")]
    process_type: String,
    #[command(flatten)]
    app: AppArgs,
    /// The port that the app is to listen on
    #[arg(short, long, default_value_t = 5000)]
    port: u16,
    /// What to run instead of what the image does; arguments that look like flags go behind --
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// The image, such as registry.example.com/team/app:1.0
    image: String,
    #[command(flatten)]
    app: AppArgs,
    /// The process type that it is to be
    #[arg(short, long = "type", default_value = "web", value_name = "PROCESS_TYPE")]
    process_type: String,
    /// Who fetches it from a private registry
    #[arg(long, value_name = "USER", requires = "registry_password_stdin")]
    registry_user: Option<String>,
    /// Read the registry's password from standard input
    #[arg(long, requires = "registry_user")]
    registry_password_stdin: bool,
}

/// What of a manifest counts here.
#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

/// How deep `--recursive` looks, and at how much.
const MOST_FOLDERS: usize = 10_000;

/// `container:login`
pub(crate) fn login(_: &LoginArgs, context: &Context) -> Result<()> {
    let Credentials::Token { token, .. } = context.client.credentials() else {
        return Err(Error::NotLoggedIn);
    };
    let registry = context.client.base.registry_authority();
    let mut docker = Command::new("docker");
    docker.args(["login", "--username=_", "--password-stdin", &registry]);
    let mut child = docker.stdin(Stdio::piped()).spawn().map_err(no_docker)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(token.expose().as_bytes())?;
    }
    exit::pass_on(child.wait()?)
}

/// `container:push`
pub(crate) fn push(args: &PushArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    check_stack(&app, context)?;
    let jobs = jobs(args)?;
    let registry = context.client.base.registry_authority();
    for (process_type, dockerfile) in &jobs {
        let image = format!("{registry}/{app}/{process_type}");
        context
            .output
            .header(&format!("Building {process_type} ({})", dockerfile.display()))?;
        let folder = args.context_path.as_deref().or(dockerfile.parent());
        let mut docker = Command::new("docker");
        docker.args(["build", "-f"]).arg(dockerfile);
        docker.args(["-t", &image]);
        for argument in &args.arg {
            docker.args(["--build-arg", argument]);
        }
        docker.arg(
            folder
                .filter(|folder| !folder.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        );
        run_docker(&mut docker)?;
    }
    for (process_type, dockerfile) in &jobs {
        context
            .output
            .header(&format!("Pushing {process_type} ({})", dockerfile.display()))?;
        let image = format!("{registry}/{app}/{process_type}");
        run_docker(Command::new("docker").args(["push", &image]))?;
    }
    let plural = if jobs.len() == 1 { "image has" } else { "images have" };
    context.output.line(format!(
        "Your {plural} been successfully pushed. You can now release {} with the 'container:release' command.",
        if jobs.len() == 1 { "it" } else { "them" }
    ))
}

/// `container:pull`
pub(crate) fn pull(args: &PullArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let registry = context.client.base.registry_authority();
    for process_type in &args.types {
        context.output.header(&format!("Pulling {process_type}"))?;
        let image = format!("{registry}/{app}/{process_type}");
        run_docker(Command::new("docker").args(["pull", &image]))?;
    }
    Ok(())
}

/// `container:release`
pub(crate) fn release(args: &TypesArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    check_stack(&app, context)?;
    let updates = args.types.iter().map(|process_type| {
        let path = format!("/v2/{}/{}/manifests/latest", segment(&app), segment(process_type));
        let manifest: Manifest = context.client.get(&path).map_err(|error| match error {
            Error::Api { status: 404, .. } => Error::Absent(format!(
                "No image was pushed for {process_type} of {app}: run paas container:push {process_type} first"
            )),
            error => error,
        })?;
        Ok(FormationUpdate {
            r#type: Some(process_type.clone()),
            docker_image: Some(Some(manifest.config.digest)),
            ..FormationUpdate::default()
        })
    });
    let batch = FormationBatch {
        updates: updates.collect::<Result<_>>()?,
    };
    let path = format!("/apps/{}/formation", segment(&app));
    let what = format!("Releasing images {} to {app}", args.types.join(","));
    let _: Vec<Formation> = context
        .output
        .action(&what, || context.client.patch(&path, &batch), |_| String::new())?;
    release::follow_newest(&app, context)
}

/// `container:rm`
pub(crate) fn remove(args: &TypesArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    for process_type in &args.types {
        let path = format!("/apps/{}/formation/{}", segment(&app), segment(process_type));
        let update = FormationUpdate {
            docker_image: Some(None),
            ..FormationUpdate::default()
        };
        let what = format!("Removing container {process_type} for {app}");
        let _: Formation = context
            .output
            .action(&what, || context.client.patch(&path, &update), |_| String::new())?;
    }
    Ok(())
}

/// `container:run`: here, and not on the platform.
pub(crate) fn run(args: &RunArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let registry = context.client.base.registry_authority();
    let image = format!("{registry}/{app}/{}", args.process_type);
    let mut docker = Command::new("docker");
    docker.args(["run", "--rm", "-e", &format!("PORT={}", args.port)]);
    docker.args(["-p", &format!("127.0.0.1:{0}:{0}", args.port)]);
    if io::IsTerminal::is_terminal(&io::stdin()) {
        docker.arg("-it");
    }
    docker.arg(image).args(&args.command);
    context
        .output
        .note(&format!("Running {} locally...", args.process_type))?;
    run_docker(&mut docker)
}

/// `image:deploy`
pub(crate) fn deploy(args: &DeployArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let password = if args.registry_password_stdin {
        let text = io::read_to_string(io::stdin())?;
        Some(Secret::new(text.trim_end_matches(['\r', '\n'])))
    } else {
        None
    };
    let wanted = NewImage {
        image: args.image.clone(),
        process_type: Some(args.process_type.clone()),
        registry_user: args.registry_user.clone(),
        registry_password: password,
    };
    let path = format!("/apps/{}/images", segment(&app));
    let what = format!("Deploying {} as {} of {app}", args.image, args.process_type);
    let started: Build = context
        .output
        .action(&what, || context.client.post(&path, &wanted), |_| String::new())?;
    build::copy_stream(&started.output_stream_url, context)?;
    let path = format!("/apps/{}/builds/{}", segment(&app), started.id);
    let ended: Build = context.client.get(&path)?;
    match ended.status {
        BuildStatus::Succeeded => Ok(()),
        status => Err(Error::Absent(format!("The deploy of {} has {status}", args.image))),
    }
}

/// What Heroku's CLI refuses, too: with another stack, the next push would take the place of the images.
fn check_stack(name: &str, context: &Context) -> Result<()> {
    let app: App = context.client.get(&format!("/apps/{}", segment(name)))?;
    if [&app.stack.name, &app.build_stack.name].contains(&&"container".to_owned()) {
        return Ok(());
    }
    Err(Error::Absent(format!(
        "This command is for Docker apps only. Switch stacks by running paas stack:set container -a {name}. Or, to deploy \
         {name} with {}, run git push {} main instead",
        app.stack.name,
        crate::git_remote::DEFAULT_REMOTE
    )))
}

/// Process types and their Dockerfiles.
fn jobs(args: &PushArgs) -> Result<BTreeMap<String, PathBuf>> {
    if !args.recursive {
        let [process_type] = &args.types[..] else {
            return Err(Error::Usage(
                "Requires exactly one target process type; or --recursive, to push several".to_owned(),
            ));
        };
        let dockerfile = PathBuf::from("Dockerfile");
        if !dockerfile.is_file() {
            return Err(Error::Absent(
                "No images to push: there is no Dockerfile in this folder".to_owned(),
            ));
        }
        return Ok([(process_type.clone(), dockerfile)].into());
    }
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        seen += 1;
        if seen > MOST_FOLDERS {
            return Err(Error::Usage(
                "There are too many folders here: run it in the folder of the app".to_owned(),
            ));
        }
        let here = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &folder
        };
        for entry in fs::read_dir(here)? {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            let Some(name) = name.to_str() else { continue };
            if kind.is_dir() && !name.starts_with('.') && name != "node_modules" {
                folders.push(folder.join(name));
            }
            if let Some(process_type) = name.strip_prefix("Dockerfile.")
                && kind.is_file()
                && (args.types.is_empty() || args.types.iter().any(|wanted| wanted == process_type))
                && let Some(other) = found.insert(process_type.to_owned(), folder.join(name))
            {
                return Err(Error::Usage(format!(
                    "There are two Dockerfiles for {process_type}: {} and {}",
                    other.display(),
                    folder.join(name).display()
                )));
            }
        }
    }
    if found.is_empty() {
        return Err(Error::Absent(
            "No images to push: there is no Dockerfile.PROCESS_TYPE in this folder or below".to_owned(),
        ));
    }
    Ok(found)
}

fn run_docker(docker: &mut Command) -> Result<()> {
    exit::pass_on(docker.status().map_err(no_docker)?)
}

fn no_docker(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::NoDocker,
        _ => Error::Io(error),
    }
}
