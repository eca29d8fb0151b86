//! Buildpacks that are not ours: Heroku's classic API, as those use it that exist.

use std::path::Path;

use paas_build::{BuildError, Buildpack, Pack};

use crate::workshop::{in_workshop, programs_tar};

/// A buildpack with these programs in `bin/`.
fn pack(folder: &Path, name: &str, programs: &[(&str, &str)]) -> Pack {
    let tar = folder.join(format!("{name}.tar"));
    std::fs::write(&tar, programs_tar(programs)).unwrap();
    let name = format!("https://example.com/{name}");
    Pack::Fetched { name, tar }
}

/// Installs nothing, but does all that the API has: cache, config, `export`, `.profile.d`, its own folder.
const TOOL: &[(&str, &str)] = &[
    ("bin/detect", "#!/bin/sh\ntest -f \"$1/toolfile\" && echo Tool\n"),
    (
        "bin/compile",
        r#"#!/usr/bin/env bash
set -e
build=$1 cache=$2 env=$3 bp=$(cd "$(dirname "$0")/.." && pwd)
echo "-----> Tool for $STACK at $SOURCE_VERSION: $(cat "$env/GREETING"), ${GREETING:-not exported}"
echo "       Cached: $(cat "$cache/tool" 2>/dev/null || echo nothing)"
echo "in the cache" > "$cache/tool"
mkdir -p "$build/.tool/bin" "$build/.profile.d"
printf '#!/bin/sh\necho the tool\n' > "$build/.tool/bin/tool"
chmod +x "$build/.tool/bin/tool"
echo 'export PATH="$HOME/.tool/bin:$PATH" TOOL_AT_RUN=yes' > "$build/.profile.d/tool.sh"
printf 'export PATH="%s/.tool/bin:$PATH"\nexport TOOL_HOME="a b"\nexit 3\n' "$build" > "$bp/export"
"#,
    ),
    ("bin/release", "#!/bin/sh\necho 'default_process_types: {web: wrong}'\n"),
];

/// Hands everything on to the app's own programs, as heroku-buildpack-inline does.
const INLINE: &[(&str, &str)] = &[
    ("bin/detect", "#!/bin/sh\nexec \"$1/bin/detect\" \"$@\"\n"),
    ("bin/compile", "#!/bin/sh\nexec \"$1/bin/compile\" \"$@\"\n"),
    ("bin/release", "#!/bin/sh\nexec \"$1/bin/release\" \"$@\"\n"),
    ("bin/report", "#!/bin/sh\necho 'kind: inline'\n"),
];

fn inline_app() -> Vec<(&'static str, String)> {
    let release = "#!/bin/sh\ncat <<EOF\n---\naddons:\n  - heroku-postgresql:mini\nconfig_vars:\n  LANG: en_US.UTF-8\n  \
                   WORKERS: 2\ndefault_process_types:\n  web: tool\nEOF\n";
    [
        ("toolfile", ""),
        ("bin/detect", "#!/bin/sh\necho Inline\n"),
        (
            "bin/compile",
            "#!/bin/sh\necho \"       tool says: $(tool), $TOOL_HOME\"\n",
        ),
        ("bin/release", release),
    ]
    .map(|(path, content)| (path, content.to_owned()))
    .to_vec()
}

#[tokio::test]
#[ignore = "needs docker"]
async fn buildpacks_from_elsewhere_run_one_after_the_other_by_herokus_api() {
    in_workshop(async |workshop| {
        let folder = tempfile::tempdir().unwrap();
        let packs = vec![pack(folder.path(), "tool", TOOL), pack(folder.path(), "inline", INLINE)];
        let workshop = workshop.with_config("GREETING", "hello").with_packs(packs);
        let built = workshop.build_programs(&inline_app()).await;
        let output = &built.output;
        for words in [
            "-----> Tool app detected\n",
            "-----> Tool for paas-12 at 0123abc: hello, not exported\n",
            "       Cached: nothing\n",
            "-----> Inline app detected\n",
            "       tool says: the tool, a b\n",
            "       Default types for Inline -> web\n",
            "which a build does not make: heroku-postgresql:mini\n",
        ] {
            assert!(output.contains(words), "{words}{output}");
        }
        let steps = output.lines().last().unwrap();
        assert!(
            ["-----> Done in ", "source ", "detect ", "compile ", "image "]
                .iter()
                .all(|word| steps.contains(word)),
            "{steps}"
        );
        let image = built.result.unwrap_or_else(|error| panic!("{error}: {output}"));
        assert_eq!(image.buildpack_description.as_deref(), Some("Inline"));
        let types: Vec<_> = image
            .process_types
            .iter()
            .map(|(name, run)| format!("{name}: {run}"))
            .collect();
        assert_eq!(types, ["web: tool"], "only the last buildpack says what runs");
        let wanted: Vec<_> = image
            .default_config
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(wanted, ["LANG=en_US.UTF-8", "WORKERS=2"]);
        let inside = workshop
            .output_of(&image, ". /app/.profile.d/tool.sh; tool; echo $TOOL_AT_RUN; ls /tmp")
            .await;
        assert!(
            inside.starts_with("the tool\nyes\n") && !inside.contains("buildpacks"),
            "{inside}"
        );

        let again = workshop.build_programs(&inline_app()).await;
        assert!(
            again.output.contains("       Cached: in the cache\n"),
            "{}",
            again.output
        );
        workshop.purge_cache().await;
        let purged = workshop.build_programs(&inline_app()).await;
        assert!(purged.output.contains("       Cached: nothing\n"), "{}", purged.output);
        assert_eq!(workshop.containers().await, 0);
    })
    .await;
}

/// Unpacks Debian packages into the app, as heroku-buildpack-apt does.
const APT: &[(&str, &str)] = &[
    ("bin/detect", "#!/bin/sh\ntest -f \"$1/Aptfile\" && echo Apt\n"),
    (
        "bin/compile",
        r#"#!/usr/bin/env bash
set -e
build=$1 cache=$2/apt bp=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$cache/cache/archives/partial" "$cache/state/lists/partial" "$build/.apt" "$build/.profile.d"
options=(-o debug::nolocking=true -o dir::cache="$cache/cache" -o dir::state="$cache/state")
apt-get "${options[@]}" update 2>&1 | sed -u 's/^/       /' | tail -n 1
for package in $(grep -v '^#' "$build/Aptfile"); do
  apt-get "${options[@]}" -y -d install --reinstall "$package" 2>&1 | tail -n 1
done
for deb in "$cache"/cache/archives/*.deb; do dpkg -x "$deb" "$build/.apt/"; done
echo 'export PATH="$HOME/.apt/usr/bin:$PATH"' | tee "$build/.profile.d/000_apt.sh" > /dev/null
echo "export PATH=\"$build/.apt/usr/bin:\$PATH\"" > "$bp/export"
"#,
    ),
    ("bin/release", "#!/bin/sh\necho '---'\necho '{}'\n"),
];

#[tokio::test]
#[ignore = "needs docker"]
async fn what_an_apt_buildpack_unpacks_is_there_for_one_of_ours() {
    in_workshop(async |workshop| {
        let folder = tempfile::tempdir().unwrap();
        let packs = vec![pack(folder.path(), "apt", APT), Pack::Ours(Buildpack::Nodejs)];
        let package = r#"{ "name": "app", "scripts": { "build": "hello -g from-debian > said" } }"#;
        let files = [
            ("Aptfile", "# says hello\nhello\n".to_owned()),
            ("package.json", package.to_owned()),
        ];
        let built = workshop.with_packs(packs).build(&files).await;
        let image = built.result.unwrap_or_else(|error| panic!("{error}: {}", built.output));
        let inside = "cat said; for file in .profile.d/*; do . $file; done; hello -g at-run; node --version";
        let said = workshop.output_of(&image, inside).await;
        assert!(said.starts_with("from-debian\nat-run\nv"), "{said}: {}", built.output);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn what_is_no_buildpack_or_does_not_want_the_app_is_told() {
    in_workshop(async |workshop| {
        let folder = tempfile::tempdir().unwrap();
        let page = pack(folder.path(), "page", &[("index.html", "<html>")]);
        let tool = pack(folder.path(), "tool", TOOL);
        let files = [("app.js", String::new()), ("package.json", "{}".to_owned())];
        let built = workshop
            .with_packs(vec![Pack::Ours(Buildpack::Nodejs), page])
            .build(&files)
            .await;
        assert!(
            matches!(built.result, Err(BuildError::NoBuildpack { .. })),
            "{}",
            built.output
        );
        let words = " !     There is no buildpack at https://example.com/page\n";
        assert!(built.output.contains(words), "{}", built.output);

        let built = workshop.with_packs(vec![tool]).build(&files).await;
        let words = " !     App not compatible with buildpack: https://example.com/tool\n";
        assert!(built.output.contains(words), "{}", built.output);
        assert_eq!(workshop.containers().await, 0);
    })
    .await;
}

/// What the kernel says about its control group, version 2 or 1.
const CONFINED: &[(&str, &str)] = &[
    ("bin/detect", "#!/bin/sh\necho Confined\n"),
    (
        "bin/compile",
        r#"#!/usr/bin/env bash
first() { for file in "$@"; do if [[ -r /sys/fs/cgroup/$file ]]; then cat "/sys/fs/cgroup/$file"; return; fi; done; }
echo "memory=$(first memory.max memory/memory.limit_in_bytes)"
echo "swap=$(first memory.swap.max memory/memory.memsw.limit_in_bytes)"
echo "pids=$(first pids.max pids/pids.max)"
echo "weight=$(first cpu.weight)" "shares=$(first cpu/cpu.shares)"
echo "user=$(id -u) $(grep -E '^(CapEff|NoNewPrivs)' /proc/self/status | tr -d '\t' | xargs)"
# Goes on after the buildpack has ended, with its output in hand.
setsid sleep 600 &
"#,
    ),
];

#[tokio::test]
#[ignore = "needs docker"]
async fn a_build_is_confined_by_the_kernel_and_nothing_of_it_outlives_it() {
    in_workshop(async |workshop| {
        let folder = tempfile::tempdir().unwrap();
        let memory = 300 * 1024 * 1024;
        let packs = vec![pack(folder.path(), "confined", CONFINED)];
        let workshop = workshop.with_memory(memory).with_packs(packs);
        let built = workshop.build(&[("app.js", String::new())]).await;
        let output = &built.output;
        assert!(built.result.is_ok(), "{output}");
        let value = |name: &str| {
            let lines = output.split_whitespace();
            let found = lines
                .filter_map(|word| word.split_once('='))
                .find(|(key, _)| *key == name);
            found.map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        assert_eq!(value("memory"), memory.to_string(), "{output}");
        // None besides: version 2 counts it alone, version 1 together with memory.
        assert!(
            [memory.to_string().as_str(), "0"].contains(&value("swap").as_str()),
            "{output}"
        );
        assert_eq!(value("pids"), "1024", "{output}");
        // Of 1024 shares, or a weight of 100, that a dyno and the platform have at least half.
        let is_low = value("shares") == "128" || value("weight").parse::<u32>().is_ok_and(|weight| weight < 40);
        assert!(is_low, "{output}");
        assert!(
            output.contains("user=10001 CapEff:0000000000000000 NoNewPrivs:1"),
            "{output}"
        );
        assert_eq!(workshop.containers().await, 0);
    })
    .await;
}

/// A fork bomb that is let go.
const BOMB: &[(&str, &str)] = &[
    ("bin/detect", "#!/bin/sh\necho Bomb\n"),
    (
        "bin/compile",
        "#!/usr/bin/env bash\nbomb() { bomb | bomb & }\necho ticking\nbomb 2> /dev/null\nsleep 600\n",
    ),
];

#[tokio::test]
#[ignore = "needs docker"]
async fn a_fork_bomb_ends_with_its_build() {
    in_workshop(async |workshop| {
        let folder = tempfile::tempdir().unwrap();
        let bombed = workshop.with_packs(vec![pack(folder.path(), "bomb", BOMB)]);
        let cancel = tokio_util::sync::CancellationToken::new();
        let built = bombed
            .build_until(&[("app.js", String::new())], "ticking", &cancel)
            .await;
        assert!(matches!(built.result, Err(BuildError::Cancelled)), "{}", built.output);
        assert_eq!(workshop.containers().await, 0);
        // The next build finds nothing of it in the way.
        let packs = vec![pack(folder.path(), "confined", CONFINED)];
        let built = workshop.with_packs(packs).build(&[("app.js", String::new())]).await;
        assert!(built.result.is_ok(), "{}", built.output);
    })
    .await;
}
