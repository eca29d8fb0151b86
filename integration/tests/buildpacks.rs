//! Buildpacks in the shapes of Heroku's own, fetched as people name them: by git address, by archive, by `.buildpacks`.
//!
//! Heroku's are in no registry that tests may ask, so these are made here, to the same contracts: `apt` (packages of the
//! distribution, `export`, `.profile.d`), `inline` (the app's own programs), and one that chooses among several Procfiles.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use paas_integration::{App, Options, Output, Platform};

const SOON: Duration = Duration::from_mins(1);

const APT: &[(&str, &str)] = &[
    ("bin/detect", "#!/bin/sh\n[ -f \"$1/Aptfile\" ] && echo Apt\n"),
    (
        "bin/compile",
        r#"#!/usr/bin/env bash
set -eo pipefail
BUILD_DIR=$1 CACHE_DIR=$2 BP_DIR=$(cd "$(dirname "$0")/.." && pwd)
APT=$CACHE_DIR/apt
mkdir -p "$APT/cache/archives/partial" "$APT/state/lists/partial" "$BUILD_DIR/.apt" "$BUILD_DIR/.profile.d"
cmp -s "$BUILD_DIR/Aptfile" "$APT/Aptfile" && echo "-----> Reusing cache" || rm -rf "$APT"/cache/archives/*.deb
cp "$BUILD_DIR/Aptfile" "$APT/Aptfile"
OPTIONS=(-o debug::nolocking=true -o dir::cache="$APT/cache" -o dir::state="$APT/state")
if ! ls "$APT"/cache/archives/*.deb > /dev/null 2>&1; then
  echo "-----> Updating apt caches for $STACK"
  apt-get "${OPTIONS[@]}" update > /dev/null
  while IFS= read -r package; do
    case $package in '' | '#'* | ':repo:'*) continue ;; esac
    echo "-----> Fetching .debs for $package"
    apt-get "${OPTIONS[@]}" -y -d install --reinstall "$package" > /dev/null
  done < "$BUILD_DIR/Aptfile"
fi
for deb in "$APT"/cache/archives/*.deb; do
  echo "-----> Installing $(basename "$deb" | cut -d_ -f1)"
  dpkg -x "$deb" "$BUILD_DIR/.apt/"
done
printf 'export PATH="$HOME/.apt/usr/bin:$PATH"\nexport INCLUDE_PATH="$HOME/.apt/usr/include:$INCLUDE_PATH"\n' \
  > "$BUILD_DIR/.profile.d/000_apt.sh"
printf 'export PATH="%s/.apt/usr/bin:$PATH"\n' "$BUILD_DIR" > "$BP_DIR/export"
"#,
    ),
    ("bin/release", "#!/bin/sh\necho '---'\necho '{}'\n"),
];

const INLINE: &[(&str, &str)] = &[
    ("bin/detect", "#!/usr/bin/env bash\nexec \"$1/bin/detect\" \"$@\"\n"),
    ("bin/compile", "#!/usr/bin/env bash\nexec \"$1/bin/compile\" \"$@\"\n"),
    ("bin/release", "#!/usr/bin/env bash\nexec \"$1/bin/release\" \"$@\"\n"),
];

/// As those do it for repositories of several apps: a config var says which Procfile is the app's.
const PROCFILES: &[(&str, &str)] = &[
    ("bin/detect", "#!/bin/sh\necho 'Multi-procfile'\n"),
    (
        "bin/compile",
        "#!/usr/bin/env bash\nset -e\nPROCFILE=$(cat \"$3/PROCFILE\")\ncp \"$1/$PROCFILE\" \"$1/Procfile\"\n\
         echo \"       Copied $PROCFILE as Procfile successfully\"\n",
    ),
    (
        "bin/release",
        "#!/bin/sh\necho '--- {config_vars: {FROM_RELEASE: suggested}}'\n",
    ),
];

fn write_pack(folder: &Path, programs: &[(&str, &str)]) {
    for (path, text) in programs {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a program is in a folder")).expect("a folder can be made");
        fs::write(&path, text).expect("a program can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it becomes a program");
    }
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).env("GIT_CONFIG_GLOBAL", "/dev/null");
    git.args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]);
    Output::of(git.args(arguments), "").expect_success();
}

/// A host of code, below this folder: repositories by git's own server program, everything else as files.
fn host(folder: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    thread::spawn(move || {
        for connection in listener.incoming() {
            // A client that goes away is nobody's fault.
            let _ = connection.and_then(|connection| answer(&folder, connection));
        }
    });
    port
}

fn answer(folder: &Path, mut connection: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let words: Vec<_> = head.first().map_or("", String::as_str).split(' ').collect();
    let [method, target, _] = words.as_slice() else {
        return Ok(());
    };
    let header = |name: &str| {
        let lines = head.iter().filter_map(|line| line.split_once(": "));
        let found = lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if !path.contains(".git/") {
        return match fs::read(folder.join(path.trim_start_matches('/'))) {
            Ok(file) => {
                write!(
                    connection,
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    file.len()
                )?;
                connection.write_all(&file)
            }
            Err(_) => connection.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        };
    }
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let mut git = Command::new("git");
    git.arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = git.spawn()?;
    child.stdin.take().expect("it was asked for").write_all(&body)?;
    let answered = child.wait_with_output()?.stdout;
    // What it says first is headers, a status among them if it is not 200.
    let said = String::from_utf8_lossy(&answered);
    let status = said
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK");
    write!(connection, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
    connection.write_all(&answered)
}

fn is_compiled_by_three_and_again(app: &App<'_>, port: u16) {
    let address = |path: &str| format!("http://127.0.0.1:{port}/{path}");
    let named = [address("apt.git#v42"), address("inline.tgz"), address("procfiles.git")];
    app.write(".buildpacks", &(named.join("\n") + "\n"));
    app.write("Aptfile", "# a package with one program\nhello\n");
    app.write("bin/detect", "#!/bin/sh\necho Inline\n");
    app.write(
        "bin/compile",
        "#!/bin/sh\necho \"       $(hello -g \"compiled for $STACK\")\"\nhello -g 'from the build' > built\n",
    );
    app.write(
        "bin/release",
        "#!/bin/sh\necho '--- {default_process_types: {web: wrong}}'\n",
    );
    app.write("Procfile", "web: wrong\n");
    app.write(
        "apps/site/Procfile",
        "web: hello -g at-run && python3 server.py\nworker: sleep 100000\n",
    );
    for program in ["detect", "compile", "release"] {
        let path = app.tree().join("bin").join(program);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it becomes a program");
    }
    app.paas(&["config:set", "PROCFILE=apps/site/Procfile"])
        .expect_success();
    app.push()
        .expect_success()
        .expect("Using the buildpacks in .buildpacks")
        .expect("-----> Apt app detected")
        .expect("Fetching .debs for hello")
        .expect("-----> Inline app detected")
        .expect("compiled for paas-12")
        .expect("-----> Multi-procfile app detected")
        .expect("Copied apps/site/Procfile as Procfile successfully")
        .expect("Procfile declares types -> web, worker");
    app.serves("hello one", SOON);
    app.logs("app[web.1]: at-run", SOON);
    let built = app.paas(&["run", "--no-tty", "--", "cat built && hello -g once-more"]);
    built.expect_success().expect("from the build\nonce-more");
    app.paas(&["config:get", "FROM_RELEASE"])
        .expect_success()
        .expect("suggested");
    let builds = app.builds();
    let packs = builds[0]["buildpacks"]
        .as_array()
        .expect("a build names its buildpacks");
    let urls: Vec<_> = packs
        .iter()
        .map(|pack| pack["url"].as_str().unwrap_or_default())
        .collect();
    assert!(urls.len() == 3 && urls[0].contains("/apt.git#"), "{urls:?}");

    // The tag has moved nowhere, the cache is there: nothing is fetched from the distribution.
    app.says("two")
        .push()
        .expect_success()
        .expect("Reusing cache")
        .expect_no("Fetching .debs");
    app.serves("hello two", SOON);
}

#[test]
#[ignore = "needs docker"]
fn buildpacks_shaped_like_herokus_build_an_app_one_after_the_other() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, programs) in [("apt", APT), ("procfiles", PROCFILES)] {
        let repository = folder.path().join(format!("{name}.git"));
        write_pack(&repository, programs);
        git(&repository, &["init", "--quiet", "--initial-branch=main"]);
        git(&repository, &["add", "--all"]);
        git(&repository, &["commit", "--quiet", "--message", "One"]);
        git(&repository, &["tag", "v42"]);
    }
    // What comes after the tag is not what was asked for.
    let apt = folder.path().join("apt.git");
    write_pack(&apt, &[("bin/compile", "#!/bin/sh\nexit 1\n")]);
    git(&apt, &["commit", "--quiet", "--all", "--message", "Two"]);
    let inline = folder.path().join("inline");
    write_pack(&inline, INLINE);
    let mut tar = Command::new("tar");
    tar.arg("-C")
        .arg(&inline)
        .arg("-czf")
        .arg(folder.path().join("inline.tgz"))
        .arg(".");
    Output::of(&mut tar, "").expect_success();
    let port = host(folder.path().to_owned());

    let platform = Platform::with(Options {
        arguments: vec!["--allow-private-sources".to_owned()],
        ..Options::default()
    });
    is_compiled_by_three_and_again(&platform.app("shaped"), port);
}
