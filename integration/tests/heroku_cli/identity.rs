//! Who somebody is: `login` in a browser and at the terminal, `logout`, the second factor, tokens, keys, sessions, clients.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command, time::Duration};

use paas_integration::{Heroku, Output, Platform, Terminal, binary, eventually, request};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "a horse & a battery";
/// Commands start slowly on a busy machine.
const SOON: Duration = Duration::from_mins(1);
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII4qoFY4J3uNg3WHSC8QX+kLAXWX/KPo0pGKeCrQ/SI8 ada@laptop";

/// A browser: it keeps the address that it is told to open, for [`fill_in`].
struct Browser {
    program: PathBuf,
    address: PathBuf,
}

impl Browser {
    fn new(heroku: &Heroku<'_>, name: &str) -> Self {
        let (program, address) = (heroku.home().join(name), heroku.home().join(format!("{name}.address")));
        let script = format!("#!/bin/sh\necho \"$1\" > {0}.new\nmv {0}.new {0}\n", address.display());
        fs::write(&program, script).expect("the home can be written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        Self { program, address }
    }

    fn program(&self) -> &str {
        self.program.to_str().expect("the home has a plain name")
    }

    /// The path of the page that was opened.
    fn page(&self, platform: &Platform) -> String {
        eventually("the browser is opened", SOON, || self.address.exists());
        let address = fs::read_to_string(&self.address).expect("the address was written");
        let path = address.trim().strip_prefix(&format!("http://{}", platform.api()));
        path.unwrap_or_else(|| panic!("{address} is not on the platform"))
            .to_owned()
    }
}

/// Sends a form as a browser does; the status of the answer.
fn fill_in(platform: &Platform, page: &str, form: &str) -> u16 {
    let origin = format!("http://{}", platform.api());
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", origin.as_str()),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    request(platform.api(), "POST", page, &headers, form)
        .expect("the platform answers")
        .status
}

/// `paas` of somebody with this home, in a terminal.
fn paas(platform: &Platform, heroku: &Heroku<'_>, arguments: &[&str]) -> Terminal {
    let mut command = platform.user_command(&binary("paas"));
    command.env("HOME", heroku.home()).args(arguments);
    Terminal::start(&command, (120, 60))
}

fn run_paas(platform: &Platform, heroku: &Heroku<'_>, arguments: &[&str]) -> Output {
    let mut command = platform.user_command(&binary("paas"));
    Output::of(command.env("HOME", heroku.home()).args(arguments), "")
}

/// What an authenticator app with this secret shows, some steps from now (RFC 6238).
fn code(secret: &str, steps: i32) -> String {
    const PROGRAM: &str = "\
import base64, hashlib, hmac, struct, sys, time
key = base64.b32decode(sys.argv[1] + '=' * (-len(sys.argv[1]) % 8))
digest = hmac.new(key, struct.pack('>q', int(time.time()) // 30 + int(sys.argv[2])), hashlib.sha1).digest()
at = digest[-1] & 15
print('%06d' % ((struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff) % 1000000))";
    let output = Command::new("python3")
        .args(["-c", PROGRAM, secret, &steps.to_string()])
        .output()
        .expect("python3 runs");
    String::from_utf8(output.stdout)
        .expect("digits are text")
        .trim()
        .to_owned()
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn a_browser_logs_both_clients_in_and_they_log_out() {
    let platform = Platform::start();
    platform.paasd(&["user", "create", EMAIL], PASSWORD).expect_success();
    let heroku = Heroku::stranger(&platform);
    heroku.run(&["auth:whoami"]).expect_code(100).expect("not logged in");

    let browser = Browser::new(&heroku, "browser");
    let mut login = heroku.terminal(&["login", "--browser", browser.program()]);
    login
        .sees("Press any key to open up the browser to login", SOON)
        .types("x");
    let page = browser.page(&platform);
    let shown = request(platform.api(), "GET", &page, &[], "").unwrap();
    assert!(shown.body.contains("Heroku CLI login from"), "{shown:?}");
    assert_eq!(fill_in(&platform, &page, "email=ada%40example.com&password=wrong"), 401);
    let form = "email=ada%40example.com&password=a+horse+%26+a+battery";
    assert_eq!(fill_in(&platform, &page, form), 303);
    login.sees("Logged in as ada@example.com", SOON);
    assert_eq!(login.finish(SOON).code, 0);

    heroku
        .run(&["auth:whoami"])
        .expect_success()
        .expect("ada@example.com\n");
    let token = heroku.run(&["auth:token"]);
    let token = token.expect_success().stdout.trim().to_owned();
    let netrc = fs::read_to_string(heroku.home().join(".netrc")).unwrap();
    assert!(
        netrc.contains(&token) && netrc.contains(&platform.api().to_string()),
        "{netrc}"
    );
    let sessions = heroku.run(&["sessions"]);
    sessions.expect_success().expect("Heroku CLI login from");
    let id = &heroku.run(&["sessions", "--json"]).json()[0]["id"];

    // The same with our own, whose session is then ended from the other side.
    let ours = Browser::new(&heroku, "ours");
    let mut login = paas(&platform, &heroku, &["login", "--browser", ours.program()]);
    assert_eq!(fill_in(&platform, &ours.page(&platform), form), 303);
    login.sees("Logged in as ada@example.com", SOON);
    assert_eq!(login.finish(SOON).code, 0);
    run_paas(&platform, &heroku, &["sessions"])
        .expect_success()
        .expect("paas login from");
    let all = heroku.run(&["sessions", "--json"]).json();
    let other = all
        .as_array()
        .unwrap()
        .iter()
        .find(|session| session["id"] != *id)
        .unwrap();
    heroku
        .run(&["sessions:destroy", other["id"].as_str().unwrap()])
        .expect_success()
        .expect("done");
    run_paas(&platform, &heroku, &["auth:whoami"])
        .expect_code(1)
        .expect("Invalid credentials");
    run_paas(&platform, &heroku, &["logout"]).expect_success();

    heroku.run(&["logout"]).expect_success().expect("Logging out... done");
    let sessions = platform.sql("select count(*) from authorizations where is_session");
    assert_eq!(sessions, ["0"], "the session is gone from the platform, too");
    heroku.run(&["auth:whoami"]).expect_code(100).expect("not logged in");
    assert_eq!(heroku.strays(), [""; 0]);
    heroku.covers(&[
        "auth:login",
        "auth:logout",
        "auth:token",
        "auth:whoami",
        "sessions",
        "sessions:destroy",
    ]);
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn a_password_and_a_code_log_in_at_the_terminal() {
    let platform = Platform::start();
    platform.paasd(&["user", "create", EMAIL], PASSWORD).expect_success();
    let heroku = Heroku::stranger(&platform);
    let typed = |login: &mut Terminal, password: &str| {
        login.sees("Email", SOON).types(&format!("{EMAIL}\r"));
        login.sees("Password", SOON).types(&format!("{password}\r"));
    };
    let mut login = heroku.terminal(&["login", "-i"]);
    typed(&mut login, "wrong");
    login.sees("Invalid credentials provided", SOON);
    assert_ne!(login.finish(SOON).code, 0);
    let mut login = heroku.terminal(&["login", "-i", "-e", "600"]);
    typed(&mut login, PASSWORD);
    login.sees("Logged in as ada@example.com", SOON);
    assert_eq!(login.finish(SOON).code, 0);
    let lives = platform.sql(
        "select round(extract(epoch from expires_at - created_at))::text from authorizations where description like 'Heroku%'",
    );
    assert_eq!(lives, ["600"]);

    let mut login = paas(&platform, &heroku, &["login", "-i"]);
    typed(&mut login, PASSWORD);
    assert_eq!(login.finish(SOON).code, 0);
    heroku.run(&["auth:2fa"]).expect_success().expect("not enabled");
    let mut enable = paas(&platform, &heroku, &["auth:2fa:enable"]);
    enable.sees("Password: ", SOON).types(&format!("{PASSWORD}\r"));
    enable.sees("Code that the app shows", SOON);
    let text = enable.text();
    let secret = text
        .split("Secret: ")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    enable.types(&format!("{}\r", code(&secret, 0)));
    let enabled = enable.finish(SOON);
    assert_eq!(enabled.code, 0, "{enabled:?}");
    let recovery = enabled.stdout.split_whitespace().last().unwrap().to_owned();
    assert_eq!(recovery.len(), 19, "{enabled:?}");
    heroku
        .run(&["auth:2fa"])
        .expect_success()
        .expect("enabled")
        .expect_no("not");

    let mut login = heroku.terminal(&["login", "-i"]);
    typed(&mut login, PASSWORD);
    login
        .sees("Two-factor code", SOON)
        .types(&format!("{}\r", code(&secret, 1)));
    login.sees("Logged in as ada@example.com", SOON);
    assert_eq!(login.finish(SOON).code, 0);
    let mut login = paas(&platform, &heroku, &["login", "-i"]);
    typed(&mut login, PASSWORD);
    login.sees("Two-factor code: ", SOON).types(&format!("{recovery}\r"));
    login.sees("Logged in as ada@example.com", SOON);
    assert_eq!(login.finish(SOON).code, 0);

    platform
        .paasd(&["user", "list"], "")
        .expect_success()
        .expect("ada@example.com  two-factor");

    // Codes to spare go with the password, wherever it is asked for.
    let mut codes = enabled.stdout.split_whitespace().rev().skip(1);
    let mut spare = || format!("{}\r", codes.next().unwrap());
    let new = "a better battery";
    let mut change = paas(&platform, &heroku, &["auth:password"]);
    change.sees("Password: ", SOON).types(&format!("{PASSWORD}\r"));
    change.sees("New password: ", SOON).types(&format!("{new}\r"));
    change.sees("New password again: ", SOON).types(&format!("{new}\r"));
    change.sees("Two-factor code: ", SOON).types(&spare());
    change.sees("Password changed", SOON);
    assert_eq!(change.finish(SOON).code, 0);
    let mut disable = paas(&platform, &heroku, &["auth:2fa:disable"]);
    disable.sees("Password: ", SOON).types(&format!("{new}\r"));
    disable.sees("Two-factor code: ", SOON).types(&spare());
    disable.sees("Two-factor authentication has been disabled", SOON);
    assert_eq!(disable.finish(SOON).code, 0);
    // The other client's token has ended with the password.
    run_paas(&platform, &heroku, &["auth:2fa"])
        .expect_success()
        .expect("not enabled");
    platform.paasd(&["user", "disable", EMAIL], "").expect_success();
    heroku
        .run(&["auth:whoami"])
        .expect_code(2)
        .expect("Invalid credentials provided.");
    let mut login = heroku.terminal(&["login", "-i"]);
    typed(&mut login, new);
    login.sees("This account is disabled", SOON);
    assert_ne!(login.finish(SOON).code, 0);
    assert_eq!(heroku.strays(), [""; 0]);
    heroku.covers(&["auth:2fa", "auth:login"]);
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn tokens_are_made_shown_and_taken_back() {
    let platform = Platform::start();
    let heroku = Heroku::user(&platform);
    let made = heroku.run(&["authorizations:create", "-d", "ci", "-s", "read", "-e", "600", "--json"]);
    let made = made.expect_success().json();
    let (id, token) = (
        made["id"].as_str().unwrap(),
        made["access_token"]["token"].as_str().unwrap(),
    );
    let whose = |token: &str| platform.call_as(&format!("Bearer {token}"), "GET", "/apps", "").status;
    assert_eq!((&made["scope"][0], whose(token)), (&"read".into(), 200));
    let listed = heroku.beside(&["authorizations"]);
    listed.expect_alike().expect_success().expect("ci").expect("read");
    heroku
        .run(&["authorizations:info", id])
        .expect_success()
        .expect("Description: ci")
        .expect("**********")
        .expect("Expires at:");
    heroku
        .run(&["authorizations:update", id, "-d", "deploys"])
        .expect_success()
        .expect("Description: deploys");
    let rotated = heroku.run(&["authorizations:rotate", id]);
    let rotated = rotated.expect_success().stdout.split("Token:").nth(1).unwrap();
    let rotated = rotated.split_whitespace().next().unwrap().to_owned();
    assert_eq!((whose(token), whose(&rotated)), (401, 200));
    heroku
        .run(&["authorizations:revoke", id])
        .expect_success()
        .expect("revoked authorization from deploys");
    assert_eq!(whose(&rotated), 401);
    let short = heroku.run(&["authorizations:create", "-S"]);
    assert_eq!(whose(short.expect_success().stdout.trim()), 200);
    heroku
        .run(&["authorizations:create", "-s", "everything"])
        .expect_code(2)
        .expect("Scope must be one or more of");
    heroku.covers(&[
        "authorizations",
        "authorizations:create",
        "authorizations:info",
        "authorizations:revoke",
        "authorizations:rotate",
        "authorizations:update",
    ]);
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn keys_and_clients_are_made_shown_and_taken_back() {
    let platform = Platform::start();
    let heroku = Heroku::user(&platform);
    heroku.beside(&["keys"]).expect("You have no SSH keys.");
    let file = heroku.home().join("ada.pub");
    fs::write(&file, format!("{KEY}\n")).unwrap();
    let file = file.to_str().unwrap();
    heroku
        .run(&["keys:add", file])
        .expect_success()
        .expect("SSH key... done");
    assert_eq!(
        platform.sql("select fingerprint from keys"),
        ["85:75:d6:f4:32:ef:f0:fc:a3:3f:7a:c9:9b:9a:02:04"]
    );
    heroku
        .run(&["keys:add", file])
        .expect_code(2)
        .expect("on your account already");
    let listed = heroku.beside(&["keys"]);
    listed
        .expect_alike()
        .expect_success()
        .expect("you@example.com keys")
        .expect("ssh-ed25519 AAAAC3NzaC...");
    heroku.beside(&["keys", "-l"]).expect_alike().expect(KEY);
    heroku
        .run(&["keys:remove", "ada@laptop"])
        .expect_success()
        .expect("done");
    heroku.run(&["keys:add", file]).expect_success();
    heroku
        .run(&["keys:clear"])
        .expect_success()
        .expect("Removing all SSH keys... done");
    assert_eq!(platform.sql("select count(*) from keys"), ["0"]);

    heroku.beside(&["clients"]).expect_alike().expect("No OAuth clients.");
    let made = heroku.run(&["clients:create", "Amazing", "https://example.com/callback", "--json"]);
    let made = made.expect_success().json();
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    heroku
        .beside(&["clients"])
        .expect_alike()
        .expect("Amazing")
        .expect("https://example.com/callback");
    heroku.run(&["clients:info", id]).expect_success().expect(secret);
    heroku
        .run(&["clients:update", id, "-n", "Better"])
        .expect_success()
        .expect("done");
    let rotated = heroku.run(&["clients:rotate", id, "--json"]);
    assert_ne!(rotated.expect_success().json()["secret"], secret);
    heroku.run(&["clients:destroy", id]).expect_success().expect("done");
    assert_eq!(platform.sql("select count(*) from oauth_clients"), ["0"]);
    heroku.covers(&[
        "clients",
        "clients:create",
        "clients:destroy",
        "clients:info",
        "clients:rotate",
        "clients:update",
        "keys",
        "keys:add",
        "keys:clear",
        "keys:remove",
    ]);
}
