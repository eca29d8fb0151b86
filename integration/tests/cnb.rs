//! Apps that the buildpacks of a builder image build, by a lifecycle.
//!
//! The builder is made here. Its lifecycle is a small one, written from the specification (`src/cnb/lifecycle.py`), since no
//! registry that tests may ask has the real one.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, time::Duration};

use paas_integration::{App, Options, Output, Platform, eventually};

const SOON: Duration = Duration::from_mins(1);

const LIFECYCLE: &str = include_str!("../src/cnb/lifecycle.py");

const DETECT: &str = "#!/bin/sh\ntest -e index.html || exit 100\n";

/// Dependencies in a layer that is kept for as long as `deps.txt` stays the same.
const BUILD: &str = r#"#!/bin/sh
set -eu
test ! -e fail || { echo "this app was never going to build"; exit 3; }
if [ -e forever ]; then echo "waiting for ever"; sleep 1000; fi
echo "built as $(id -u) with $(grep CapEff /proc/self/status)"
test ! -e /var/run/docker.sock
wanted=$(sha256sum deps.txt | cut -d' ' -f1)
if grep -q "$wanted" "$CNB_LAYERS_DIR/deps.toml" 2> /dev/null; then
  echo "Keeping dependencies"
else
  echo "Installing dependencies"
  mkdir -p "$CNB_LAYERS_DIR/deps/env.launch"
  printf 'a layer of %s' "$(cat deps.txt)" > "$CNB_LAYERS_DIR/deps/env.launch/FROM_LAYER.default"
fi
printf '[types]\nlaunch = true\ncache = true\n[metadata]\ndeps = "%s"\n' "$wanted" > "$CNB_LAYERS_DIR/deps.toml"
printf '%s' "$GREETING ${FROM_PROJECT:-}" > greeting
cat > "$CNB_LAYERS_DIR/launch.toml" << 'END'
[[processes]]
type = "web"
command = ["python3", "server.py"]
default = true
[[processes]]
type = "worker"
command = ["bash", "-c"]
args = ["echo working with $FROM_LAYER; exec sleep 100000"]
END
"#;

const SERVER: &str = r#"
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = f'{open("greeting").read().strip()}, {os.environ["FROM_LAYER"]}, {VERSION}'.encode()
        self.send_response(200)
        self.send_header('content-length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)
http.server.ThreadingHTTPServer(('', int(os.environ['PORT'])), Page).serve_forever()
"#;

/// A builder and its run image, for as long as the story takes.
struct Builder {
    name: String,
    run_image: String,
}

impl Builder {
    fn make(platform: &Platform) -> Self {
        let id = platform.id();
        let builder = Self {
            name: format!("paas-story/cnb-builder:{id}"),
            run_image: format!("paas-story/cnb-run:{id}"),
        };
        let folder = tempfile::tempdir().expect("a folder");
        let program = |path: &str, text: &str| write(folder.path(), path, text, 0o755);
        for phase in ["analyzer", "detector", "restorer", "builder", "exporter", "launcher"] {
            program(&format!("lifecycle/{phase}"), LIFECYCLE);
        }
        for buildpack in ["test_site", "test_other"] {
            program(&format!("buildpacks/{buildpack}/1.0/bin/detect"), DETECT);
            program(&format!("buildpacks/{buildpack}/1.0/bin/build"), BUILD);
        }
        let order = "[[order]]\n[[order.group]]\nid = \"test/site\"\nversion = \"1.0\"\n";
        write(folder.path(), "order.toml", order, 0o644);
        let label = format!(
            r#"{{"buildpacks":[{{"id":"test/site","version":"1.0"}},{{"id":"test/other","version":"1.0"}}],
                "images":[{{"image":"{}"}}],"lifecycle":{{"apis":{{"platform":{{"supported":["0.13"]}}}}}}}}"#,
            builder.run_image
        );
        let label = label.replace('\n', "").replace('"', "\\\"");
        let dockerfile = format!(
            "FROM paas/stack-12:run\nUSER root\n\
             RUN useradd --uid 1002 --create-home cnb && install -d -o cnb /layers /workspace\n\
             COPY . /cnb/\n\
             ENV CNB_USER_ID=1002 CNB_GROUP_ID=1002\n\
             LABEL io.buildpacks.builder.metadata=\"{label}\"\n\
             USER 1002\n"
        );
        image(folder.path(), &builder.name, &dockerfile);
        // Somebody else runs it, at another place: the platform's own user, where the app is.
        image(
            folder.path(),
            &builder.run_image,
            "FROM paas/stack-12:run\nUSER 1001\nWORKDIR /\n",
        );
        builder
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        for name in [&self.name, &self.run_image] {
            // It may never have come to be.
            let _ = Command::new("docker").args(["image", "rm", "--force", name]).output();
        }
    }
}

fn write(folder: &Path, path: &str, text: &str, mode: u32) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a file is in a folder"))
        .and_then(|()| fs::write(&path, text))
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
        .expect("a file can be written");
}

fn image(folder: &Path, name: &str, dockerfile: &str) {
    fs::write(folder.join("Dockerfile"), dockerfile).expect("a file can be written");
    let mut docker = Command::new("docker");
    docker
        .env("DOCKER_BUILDKIT", "0")
        .args(["build", "--quiet", "--tag", name])
        .arg(folder);
    Output::of(&mut docker, "").expect_success();
}

fn server(version: &str) -> String {
    SERVER.replace("{VERSION}", version)
}

fn is_built_kept_and_gone_back_to(app: &App<'_>) {
    app.clear()
        .write("index.html", "")
        .write("deps.txt", "one")
        .write("server.py", &server("first"));
    app.write(
        "Procfile",
        "release: echo releasing with $FROM_LAYER\nweb: ./nothing-of-this-counts\n",
    );
    app.paas(&["stack:set", "cnb"]).expect_success();
    app.paas(&["config:set", "GREETING=salut"]).expect_success();
    app.push()
        .expect_success()
        .expect("Making the image that paas-story/cnb-builder")
        .expect("test/site 1.0")
        .expect("Installing dependencies")
        .expect("built as 10001 with CapEff:\t0000000000000000")
        .expect("Adding layer 'test/site:deps'")
        .expect("Buildpacks declare types -> web, worker")
        .expect("Procfile declares types -> release")
        .expect("releasing with a layer of one")
        .expect("restore ");
    app.serves("salut, a layer of one, first", SOON);
    app.paas(&["ps:scale", "worker=1"]).expect_success();
    app.logs("app[worker.1]: working with a layer of one", SOON);
    let info = app.platform().call("GET", &format!("/apps/{}", app.name()), "").json();
    assert_eq!(info["buildpack_provided_description"], "test/site");
    assert_eq!(info["stack"]["name"], "cnb");

    // Whatever runs has the environment that buildpacks have set up; Heroku's client names the launcher itself.
    let run = |command: &str| app.paas(&["run", "--no-tty", "--", command]);
    run("echo $FROM_LAYER in $PWD, $HOME as $(id -u)")
        .expect_success()
        .expect("a layer of one in /workspace, /workspace as 10001");
    run("launcher printenv FROM_LAYER")
        .expect_success()
        .expect("a layer of one");
    run("touch here && ls -d /workspace/here").expect_success();

    let first = app.current();
    app.write("server.py", &server("second"));
    app.push()
        .expect_success()
        .expect("Found the image of the build before")
        .expect("Restoring layer 'test/site:deps'")
        .expect("Keeping dependencies")
        .expect("Reusing layer 'test/site:deps'")
        .expect("Adding layer 'app'")
        .expect_no("Making the image that");
    app.serves("salut, a layer of one, second", SOON);
    app.paas(&["rollback", &format!("v{first}")]).expect_success();
    app.serves("salut, a layer of one, first", SOON);

    app.paas(&["builds:cache:purge", "--confirm", app.name()])
        .expect_success();
    app.write("server.py", &server("third"));
    app.push()
        .expect_success()
        .expect("Installing dependencies")
        .expect_no("Restoring layer '");
    app.serves("salut, a layer of one, third", SOON);
}

fn chooses_buildpacks_in_its_project(app: &App<'_>) {
    let project = |group: &str| {
        format!(
            "[_]\nschema-version = \"0.2\"\n[[io.buildpacks.group]]\nid = \"{group}\"\n\
             [[io.buildpacks.build.env]]\nname = \"FROM_PROJECT\"\nvalue = \"project\"\n\
             [[io.buildpacks.build.env]]\nname = \"GREETING\"\nvalue = \"config is stronger\"\n"
        )
    };
    app.write("project.toml", &project("acme/cobol"));
    app.push()
        .expect_code(1)
        .expect("project.toml has a mistake.")
        .expect("the builder has no buildpack \"acme/cobol\": it has test/other, test/site");
    app.write("project.toml", &project("test/other"));
    app.push()
        .expect_success()
        .expect("test/other 1.0")
        .expect_no("test/site 1.0");
    app.serves("salut project, a layer of one, third", SOON);
}

fn says_what_went_wrong(app: &App<'_>) {
    app.write("fail", "");
    app.push()
        .expect_code(1)
        .expect("this app was never going to build")
        .expect("The build failed.");
    app.remove("fail").remove("index.html");
    app.push()
        .expect_code(1)
        .expect("No buildpacks of the builder recognise this app.");
    app.write("index.html", "").write("forever", "");
    let push = app.start_push();
    push.hears("waiting for ever", SOON);
    app.paas(&["builds:cancel"]).expect_success();
    push.finish(SOON).expect_code(1).expect("The build was cancelled.");
    app.serves("salut project, a layer of one, third", SOON);
}

#[test]
#[ignore = "needs docker"]
fn buildpacks_of_a_builder_build_apps_by_its_lifecycle() {
    let platform = Platform::with(Options::default());
    platform.paasd(&["stack"], "").expect_success();
    let app = platform.app("cloudy");
    app.paas(&["stack:set", "cnb"])
        .expect_code(1)
        .expect("need a builder image");
    let builder = Builder::make(&platform);
    platform.terminate();
    platform.serve(&["--cnb-builder", &builder.name]);
    is_built_kept_and_gone_back_to(&app);
    chooses_buildpacks_in_its_project(&app);
    says_what_went_wrong(&app);

    let volumes = || platform.engine().volumes();
    assert!(volumes().iter().any(|name| name.starts_with("paas-cnb-cache-")));
    app.paas(&["apps:destroy", "--confirm", "cloudy"]).expect_success();
    eventually("the cache goes with its app", SOON, || volumes().is_empty());
}
