//! Apps that are images: built from heroku.yml, pushed with docker, or brought from another registry.

use std::{fs, process::Command, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use paas_integration::{App, Options, Output, Platform, binary, eventually};

const SOON: Duration = Duration::from_mins(1);
const BUSYBOX: &str = "/usr/bin/busybox";

/// A web server and a shell in two megabytes (Debian's busybox-static).
fn dockerfile(page: &str, image: &str) -> String {
    format!(
        "FROM scratch AS runtime\n\
         COPY busybox /bin/busybox\n\
         RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n\
         ARG GREETING=hello\n\
         RUN mkdir /www && printf \"$GREETING {page}\" > /www/index.html && printf {image} > /image\n\
         CMD [\"/bin/sh\", \"-c\", \"exec httpd -f -p $PORT -h /www\"]\n"
    )
}

fn copy_busybox(app: &App<'_>, folder: &str) {
    let folder = app.tree().join(folder);
    fs::create_dir_all(&folder).expect("a folder");
    fs::copy(BUSYBOX, folder.join("busybox")).expect("busybox-static is installed");
}

/// `paas` in the working tree, with Docker's classic builder: not every Docker brings the other one.
fn paas(app: &App<'_>, arguments: &[&str]) -> Output {
    let (verb, rest) = arguments.split_first().expect("a verb");
    let mut command = app.command(&binary("paas"));
    command.env("DOCKER_BUILDKIT", "0").arg(verb).args(["-a", app.name()]);
    Output::of(command.args(rest), "")
}

/// Names of images that go with the story, whatever becomes of it.
struct Names(Vec<String>);

impl Drop for Names {
    fn drop(&mut self) {
        for name in &self.0 {
            // It may never have come to be.
            let _ = Command::new("docker").args(["image", "rm", "--force", name]).output();
        }
    }
}

const MANIFEST: &str = "\
setup:
  addons:
    - plan: heroku-postgresql
  config:
    FLAVOUR: vanilla
build:
  docker:
    web: Dockerfile
    worker:
      dockerfile: worker/Dockerfile
      target: runtime
  config:
    GREETING: welcome
release:
  image: worker
  command: echo migrating $FLAVOUR in $(cat /image)
run:
  worker: echo working in $(cat /image); exec sleep 100000
  clock:
    command: echo ticking in $(cat /image); exec sleep 100000
    image: web
";

fn heroku_yml(platform: &Platform) {
    let app = platform.app("manifest");
    app.clear().write("Procfile", "web: ./nothing-of-this-counts\n");
    app.write("heroku.yml", MANIFEST)
        .write("Dockerfile", &dockerfile("one", "web"));
    // The stage after the wanted one would fail.
    let worker = dockerfile("none", "worker") + "FROM runtime\nRUN exit 1\n";
    app.write("worker/Dockerfile", &worker);
    copy_busybox(&app, "");
    copy_busybox(&app, "worker");
    app.paas(&["stack:set", "container"]).expect_success();
    app.push()
        .expect_success()
        .expect("Building web (Dockerfile)")
        .expect("Building worker (worker/Dockerfile)")
        .expect("heroku.yml declares types -> clock, release, web, worker")
        .expect("which a build does not make: heroku-postgresql")
        .expect("migrating vanilla in worker");
    app.serves("welcome one", SOON);
    app.paas(&["ps:scale", "worker=1", "clock=1"]).expect_success();
    app.runs(&["clock.1", "web.1", "worker.1"], SOON);
    app.logs("app[worker.1]: working in worker", SOON);
    app.logs("app[clock.1]: ticking in web", SOON);
    app.paas(&["config:get", "FLAVOUR"]).expect_success().expect("vanilla");
    // One-off dynos start from the image of web.
    let image = app.paas(&["run", "--no-tty", "--", "cat", "/image"]);
    image.expect_success().expect("web");

    let first = app.current();
    app.write("Dockerfile", &dockerfile("two", "other"))
        .push()
        .expect_success();
    app.serves("welcome two", SOON);
    app.paas(&["rollback", &format!("v{first}")]).expect_success();
    app.serves("welcome one", SOON);

    app.write("heroku.yml", "build:\n  docker:\n    web: Dockerfile\n  dokcer: 1\n");
    app.push()
        .expect_code(1)
        .expect("heroku.yml has a mistake in line 4.")
        .expect("unknown field `dokcer`");
    app.serves("welcome one", SOON);
}

fn pushed_images(platform: &Platform) {
    let app = platform.app("pushed");
    app.clear().write("Dockerfile", &dockerfile("pushed", "web"));
    copy_busybox(&app, "");
    let refused = paas(&app, &["container:push", "web"]);
    refused.expect_code(1).expect("This command is for Docker apps only");
    app.paas(&["stack:set", "container"]).expect_success();
    let nothing = paas(&app, &["container:release", "web"]);
    nothing.expect_code(1).expect("paas container:push web");

    let registry = platform.api();
    let image = format!("{registry}/pushed/web");
    let _names = Names(vec![image.clone(), format!("{registry}/pushed/worker")]);
    paas(&app, &["container:push", "web"]).expect_code(1);
    platform
        .paas(&["container:login"])
        .expect_success()
        .expect("Login Succeeded");
    paas(&app, &["container:push", "web"])
        .expect_success()
        .expect("Building web (Dockerfile)")
        .expect("Your image has been successfully pushed");
    paas(&app, &["container:release", "web"]).expect_success();
    app.serves("hello pushed", SOON);
    let release = &app.releases()[0];
    let description = release["description"].as_str().expect("a description");
    assert!(description.starts_with("Deployed web ("), "{description}");

    // Another type beside it; then it goes again, and web stays.
    app.write(
        "Dockerfile.worker",
        &dockerfile("none", "worker").replace("httpd -f -p $PORT -h /www", "sleep 100000"),
    );
    let all = paas(&app, &["container:push", "--recursive", "worker"]);
    all.expect_success().expect("Pushing worker (Dockerfile.worker)");
    paas(&app, &["container:release", "worker"]).expect_success();
    app.paas(&["ps:scale", "worker=1"]).expect_success();
    app.runs(&["web.1", "worker.1"], SOON);
    paas(&app, &["container:rm", "worker"]).expect_success();
    app.runs(&["web.1"], SOON);
    app.serves("hello pushed", SOON);
    // The engine knows it by its id alone; what pushed it may pull it.
    let docker = |arguments: &[&str]| {
        let mut docker = platform.user_command("docker".as_ref());
        Output::of(docker.args(arguments), "")
    };
    docker(&["image", "rm", &image]).expect_success();
    docker(&["pull", &image]).expect_success().expect("Digest: sha256:");
}

fn images_of_other_registries(platform: &Platform) {
    let app = platform.app("brought");
    let image = format!("{}/pushed/web", platform.api());
    let wrong = platform.paas_reading(
        &[
            "image:deploy",
            &image,
            "-a",
            "brought",
            "--registry-user",
            "_",
            "--registry-password-stdin",
        ],
        "not-a-token\n",
    );
    wrong
        .expect_code(1)
        .expect("could not be fetched")
        .expect("--registry-password-stdin");
    let missing = platform.paas(&["image:deploy", "sha256:0123", "-a", "brought"]);
    missing.expect_code(1).expect("is no name of an image");
    let right = platform.paas_reading(
        &[
            "image:deploy",
            &image,
            "-a",
            "brought",
            "--registry-user",
            "_",
            "--registry-password-stdin",
        ],
        &platform.token(),
    );
    right.expect_success().expect("@sha256:");
    app.serves("hello pushed", SOON);
    // What was fetched with somebody's password is nobody else's by name.
    let images = platform.engine().docker(&["image", "ls", "--quiet", &image]);
    assert_eq!(images.expect_success().stdout, "");
}

/// Whoever speaks to the door without Docker.
fn strangers(platform: &Platform) {
    let call = |method: &str, path: &str, body: &str| platform.call(method, path, body);
    let digest = format!("sha256:{}", "0".repeat(64));
    let anonymous = platform.call_as("", "GET", "/v2/", "");
    anonymous.expect_status(401);
    assert!(
        anonymous
            .header("www-authenticate")
            .expect("a challenge")
            .starts_with("Basic ")
    );
    call("GET", "/v2/", "").expect_status(200);

    // Bytes that are not what they are said to be are not kept.
    let begun = call("POST", "/v2/pushed/web/blobs/uploads/", "");
    let upload = begun
        .expect_status(202)
        .header("location")
        .expect("a place to go on")
        .to_owned();
    call("PATCH", &upload, "some bytes").expect_status(202);
    let resumed = call("GET", &upload, "");
    assert_eq!(resumed.expect_status(204).header("range"), Some("0-9"));
    let wrong = call("PUT", &format!("{upload}?digest={digest}"), "");
    assert_eq!(wrong.expect_status(400).json()["errors"][0]["code"], "DIGEST_INVALID");
    call("PUT", &format!("{upload}?digest={digest}"), "").expect_status(404);
    call("HEAD", &format!("/v2/pushed/web/blobs/{digest}"), "").expect_status(404);

    for path in [
        "/v2/pushed/web/blobs/sha256:..%2F..%2F..%2Fkey",
        "/v2/pushed/web/manifests/..%2F..%2Fkey",
        "/v2/pushed/..%2F..%2F/manifests/latest",
        "/v2/pushed/web/blobs/uploads/..%2F..%2Fkey",
        "/v2/nobody/web/manifests/latest",
        "/v2/pushed/manifests/latest",
    ] {
        let answer = call("GET", path, "");
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
    }
    let manifest = r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"digest":"DIGEST","size":1},"layers":[]}"#;
    let manifest = manifest.replace("DIGEST", &digest);
    let unknown = call("PUT", "/v2/pushed/web/manifests/latest", &manifest);
    assert_eq!(
        unknown.expect_status(400).json()["errors"][0]["code"],
        "MANIFEST_BLOB_UNKNOWN"
    );
    let unpushed = format!(r#"{{"updates":[{{"type":"web","docker_image":"{digest}"}}]}}"#);
    call("PATCH", "/apps/pushed/formation", &unpushed).expect_status(404);

    // Another user sees nothing of it, and mounts nothing out of it.
    platform
        .paasd(&["user", "create", "other@example.com"], "another long password")
        .expect_success();
    let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
    let login = basic("other@example.com:another long password");
    let made = platform.call_as(&login, "POST", "/oauth/authorizations", "{}");
    let token = made.expect_status(201).json()["access_token"]["token"]
        .as_str()
        .expect("a text")
        .to_owned();
    let theirs = basic(&format!("_:{token}"));
    for (method, path) in [
        ("GET", "/v2/pushed/web/manifests/latest"),
        ("GET", "/v2/pushed/web/tags/list"),
        ("POST", "/v2/pushed/web/blobs/uploads/"),
    ] {
        platform.call_as(&theirs, method, path, "").expect_status(404);
    }
    platform
        .call_as(&theirs, "POST", "/apps", r#"{"name":"theirs-app"}"#)
        .expect_status(201);
    let latest = call("GET", "/v2/pushed/web/manifests/latest", "");
    let layer = latest.expect_status(200).json()["layers"][0]["digest"]
        .as_str()
        .expect("a text")
        .to_owned();
    let mount = format!("/v2/theirs-app/web/blobs/uploads/?mount={layer}&from=pushed/web");
    platform.call_as(&theirs, "POST", &mount, "").expect_status(202);
    let blob = format!("/v2/theirs-app/web/blobs/{layer}");
    platform.call_as(&theirs, "HEAD", &blob, "").expect_status(404);
}

#[test]
#[ignore = "needs docker"]
fn apps_are_built_from_images_pushed_as_images_and_brought_as_images() {
    let platform = Platform::with(Options {
        // The registry of the story is the platform's own, on loopback.
        arguments: vec!["--allow-private-sources".to_owned()],
        ..Options::default()
    });
    heroku_yml(&platform);
    pushed_images(&platform);
    images_of_other_registries(&platform);
    strangers(&platform);

    let folder = platform.data_dir().join("registry");
    let kept = || fs::read_dir(&folder).map_or(0, Iterator::count);
    let before = kept();
    platform
        .paas(&["apps:destroy", "-a", "pushed", "--confirm", "pushed"])
        .expect_success();
    eventually("what was pushed goes with its app", SOON, || kept() < before);
}
