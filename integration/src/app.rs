//! An app as its developer sees it: a working tree with a git remote.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;

use crate::{Answer, Background, Output, Platform, binary, tiny, within};

/// An app of a platform, and the working tree that is pushed to it.
pub struct App<'platform> {
    platform: &'platform Platform,
    name: String,
    tree: PathBuf,
}

impl<'platform> App<'platform> {
    #[track_caller]
    pub(crate) fn create(platform: &'platform Platform, name: &str) -> Self {
        let tree = platform.work().join(name);
        fs::create_dir(&tree).expect("a working tree can be made");
        let app = Self {
            platform,
            name: name.to_owned(),
            tree,
        };
        app.git(&["init", "--quiet"]).expect_success();
        let mut create = app.command(&binary("paas"));
        Output::of(create.args(["create", name]), "").expect_success();
        for (path, text) in tiny::FILES {
            app.write(path, text);
        }
        app
    }

    /// Where it is.
    pub fn platform(&self) -> &Platform {
        self.platform
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The working tree.
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// Writes one file of the working tree.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.tree.join(path);
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, text))
            .unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
        self
    }

    /// Removes one file of the working tree.
    #[track_caller]
    pub fn remove(&self, path: &str) -> &Self {
        fs::remove_file(self.tree.join(path)).expect("the file is there");
        self
    }

    /// Makes the tiny app answer with another text.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        self.write("server.py", &tiny::server(text))
    }

    /// Replaces the working tree's files with those of `integration/apps/<name>`.
    #[track_caller]
    pub fn fixture(&self, name: &str) -> &Self {
        self.clear();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps").join(name).join(".");
        let mut copy = Command::new("cp");
        copy.arg("--recursive").arg(from).arg(&self.tree);
        Output::of(&mut copy, "").expect_success();
        self
    }

    /// Removes all files of the working tree.
    #[track_caller]
    pub fn clear(&self) -> &Self {
        for entry in fs::read_dir(&self.tree).expect("the working tree is there") {
            let path = entry.expect("the working tree can be read").path();
            if path.ends_with(".git") {
                continue;
            }
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.unwrap_or_else(|error| panic!("removing {}: {error}", path.display()));
        }
        self
    }

    /// Runs git in the working tree.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> Output {
        Output::of(self.command(Path::new("git")).args(arguments), "")
    }

    /// Commits everything, if anything has changed, and gives the commit's id.
    #[track_caller]
    pub fn commit(&self) -> String {
        self.git(&["add", "--all"]).expect_success();
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "Change"])
            .expect_success();
        let head = self.git(&["rev-parse", "HEAD"]);
        head.expect_success().stdout.trim().to_owned()
    }

    /// Commits everything and pushes it.
    #[track_caller]
    pub fn push(&self) -> Output {
        self.commit();
        self.git(&["push", "paas", "main"])
    }

    /// Commits everything and begins to push it.
    #[track_caller]
    pub fn start_push(&self) -> Background {
        self.commit();
        Background::start(self.command(Path::new("git")).args(["push", "paas", "main"]))
    }

    /// The commit that the platform's `main` is at, if there is one.
    #[track_caller]
    pub fn pushed(&self) -> Option<String> {
        let listed = self.git(&["ls-remote", "paas", "refs/heads/main"]);
        let refs = &listed.expect_success().stdout;
        refs.split_whitespace().next().map(str::to_owned)
    }

    /// Runs `paas VERB -a NAME …`.
    #[track_caller]
    pub fn paas(&self, arguments: &[&str]) -> Output {
        self.platform.paas(&self.named(arguments))
    }

    /// Begins to run `paas VERB -a NAME …`, in the working tree.
    #[track_caller]
    pub fn start_paas(&self, arguments: &[&str]) -> Background {
        let mut command = self.command(&binary("paas"));
        Background::start(command.args(self.named(arguments)))
    }

    /// The verb, the app, the rest: after a `--` nothing is a flag any more.
    pub(crate) fn named<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let (verb, rest) = arguments.split_first().expect("there is a verb");
        [&[*verb, "-a", &self.name], rest].concat()
    }

    /// The name under which the router knows it.
    pub fn host(&self) -> String {
        format!("{}.{}", self.name, self.platform.domain())
    }

    /// A request through the router; it must be answered, with whatever status.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        let answer = self.platform.get(&self.host(), path);
        answer.unwrap_or_else(|| panic!("no answer from {}{path}", self.host()))
    }

    /// The page of a successful request through the router.
    #[track_caller]
    pub fn page(&self, path: &str) -> String {
        self.get(path).expect_status(200).body.clone()
    }

    /// Pushes what is in the working tree, and it is deployed.
    #[track_caller]
    pub fn deploys(&self) -> Output {
        let output = self.push();
        output.expect_success().expect("deployed");
        output
    }

    /// Pushes a change that no dependency has a part in.
    #[track_caller]
    pub fn deploys_again(&self) -> Output {
        self.write("NOTES.md", "One line more.\n");
        self.deploys()
    }

    /// Waits until `/` is this page.
    #[track_caller]
    pub fn serves(&self, page: &str, limit: Duration) {
        let mut last = None;
        let served = within(limit, || {
            last = self.platform.get(&self.host(), "/");
            last.as_ref()
                .filter(|answer| answer.status == 200 && answer.body == page)?;
            Some(())
        });
        assert!(served.is_some(), "not served within {limit:?}: {page:?}, but {last:?}");
    }

    /// `ps --json`
    #[track_caller]
    pub fn ps(&self) -> Vec<Value> {
        self.list("ps")
    }

    /// The state of each dyno, by name.
    #[track_caller]
    pub fn states(&self) -> BTreeMap<String, String> {
        let dynos = self.ps();
        let text = |dyno: &Value, key: &str| dyno[key].as_str().expect("a dyno has that").to_owned();
        dynos
            .iter()
            .map(|dyno| (text(dyno, "name"), text(dyno, "state")))
            .collect()
    }

    /// Waits until exactly these dynos are there, and up.
    #[track_caller]
    pub fn runs(&self, dynos: &[&str], limit: Duration) {
        let wanted: BTreeMap<_, _> = dynos.iter().map(|name| ((*name).to_owned(), "up".to_owned())).collect();
        let mut last = BTreeMap::new();
        let reached = within(limit, || {
            last = self.states();
            (last == wanted).then_some(())
        });
        assert!(reached.is_some(), "not within {limit:?}: {wanted:?} but {last:?}");
    }

    /// `releases --json`, the newest first.
    #[track_caller]
    pub fn releases(&self) -> Vec<Value> {
        self.list("releases")
    }

    /// The version of the release that is current.
    #[track_caller]
    pub fn current(&self) -> u64 {
        let releases = self.releases();
        let current: Vec<_> = releases.iter().filter(|release| release["current"] == true).collect();
        assert_eq!(current.len(), 1, "exactly one release is current: {releases:?}");
        current[0]["version"].as_u64().expect("a version is a number")
    }

    /// `builds --json`, the newest first.
    #[track_caller]
    pub fn builds(&self) -> Vec<Value> {
        self.list("builds")
    }

    /// The last 1,500 lines of its log.
    #[track_caller]
    pub fn log(&self) -> String {
        self.paas(&["logs", "-n", "1500"]).expect_success().stdout.clone()
    }

    /// Waits until the log has a line with this in it.
    #[track_caller]
    pub fn logs(&self, text: &str, limit: Duration) {
        let mut last = String::new();
        let logged = within(limit, || {
            last = self.log();
            last.contains(text).then_some(())
        });
        assert!(logged.is_some(), "not logged within {limit:?}: {text:?} in\n{last}");
    }

    #[track_caller]
    fn list(&self, verb: &str) -> Vec<Value> {
        let listed = self.paas(&[verb, "--json"]).expect_success().json();
        listed
            .as_array()
            .cloned()
            .unwrap_or_else(|| panic!("{verb} is no list: {listed}"))
    }

    /// A command of the developer's, in the working tree.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = self.platform.user_command(program);
        command.current_dir(&self.tree);
        command
    }
}
