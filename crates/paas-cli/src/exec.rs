//! Into a dyno that runs: shells, files, and connections to where it can connect to.

use std::{
    fs::File,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use clap::Args;
use paas_api::{Dyno, DynoState, NewExec, NewForward, Rendezvous, rendezvous::Frame};

use crate::{
    app_context::{AppArgs, Context},
    arguments::command_line,
    client::{Client, segment},
    error::{Error, Result},
    one_off::of_terminal,
    rendezvous::{Link, carry, talk, watch},
    table::Table,
    terminal,
};

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Show in which dynos a program can be run
    #[arg(long)]
    status: bool,
    /// There is one way only
    #[arg(long, hide = true)]
    ssh: bool,
    /// The command and its arguments; a shell when there is none
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// What to call it here
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The file in the dyno
    file: String,
}

#[derive(Debug, Args)]
pub(crate) struct ForwardArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// PORT, or LOCAL:REMOTE; several joined with commas
    #[arg(value_name = "PORTS")]
    ports: String,
}

#[derive(Debug, Args)]
pub(crate) struct SocksArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// The local port of the proxy
    #[arg(short, long, default_value_t = 1080)]
    port: u16,
}

#[derive(Debug, Args)]
struct TargetArgs {
    #[command(flatten)]
    app: AppArgs,
    /// The dyno
    #[arg(short, long, default_value = "web.1")]
    dyno: String,
}

/// `ps:exec`
pub(crate) fn exec(args: &ExecArgs, context: &Context) -> Result<()> {
    if args.status {
        return status(args, context);
    }
    let new = NewExec {
        command: (!args.command.is_empty()).then(|| command_line(&args.command)),
        env: Some(of_terminal(context)),
        force_no_tty: Some(!terminal::is_one()),
    };
    let link = args.target.connect(&new, context)?;
    match u8::try_from(talk(link)?).unwrap_or(1) {
        0 => Ok(()),
        code => Err(Error::Exit(code)),
    }
}

fn status(args: &ExecArgs, context: &Context) -> Result<()> {
    let app = args.target.app.name(context)?;
    let dynos: Vec<Dyno> = context.client.list(&format!("/apps/{}/dynos", segment(&app)), "id")?;
    let rows = dynos.into_iter().map(|dyno| {
        let proxy = if dyno.state == DynoState::Up {
            "running"
        } else {
            "waiting"
        };
        [dyno.name, dyno.state.to_string(), proxy.to_owned()]
    });
    let table = Table::new(["Dyno", "Dyno Status", "Proxy Status"], rows);
    context.output.header(&format!("{app} Exec"))?;
    context.output.table(&table)
}

/// `ps:copy`
pub(crate) fn copy(args: &CopyArgs, context: &Context) -> Result<()> {
    let name = Path::new(&args.file).file_name().map(PathBuf::from);
    let Some(destination) = args.output.clone().or(name) else {
        return Err(Error::Usage(format!("{} is no file; name one", args.file)));
    };
    let shown = destination.display().to_string();
    context.output.line(format!("Copying {} to {shown}", args.file))?;
    let wrong = |source| Error::File {
        path: shown.clone(),
        source,
    };
    if destination.exists() {
        return Err(Error::Absent(format!("The local file {shown} already exists")));
    }
    let new = NewExec {
        // A directory is refused there, in its own words.
        command: Some(format!("exec cat -- {}", quoted(&args.file))),
        force_no_tty: Some(true),
        ..NewExec::default()
    };
    let link = args.target.connect(&new, context)?;
    // Whole or not at all: beside its place first.
    let folder = destination.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut draft = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(wrong)?;
    let mut trouble = Vec::new();
    let mut written = Ok(());
    let code = context.output.action(
        &format!("Downloading {}", args.file),
        || {
            watch(link, |frame| match frame {
                Frame::Output(bytes) if written.is_ok() => written = draft.write_all(bytes),
                Frame::ErrorOutput(bytes) => trouble.extend_from_slice(bytes),
                _ => {}
            })
        },
        |_| String::new(),
    )?;
    written.map_err(wrong)?;
    if code != 0 {
        let trouble = String::from_utf8_lossy(&trouble);
        let words = trouble.trim().trim_start_matches("cat: ");
        return Err(Error::Absent(format!("Could not transfer the file: {words}")));
    }
    let file: File = draft.persist(&destination).map_err(|error| wrong(error.error))?;
    file.sync_all().map_err(wrong)
}

/// `ps:forward`
pub(crate) fn forward(args: &ForwardArgs, context: &Context) -> Result<()> {
    let ports = ports(&args.ports)?;
    let way = Arc::new(args.target.forwarding(context)?);
    for (local, remote) in ports {
        let listener = listen(local)?;
        context
            .output
            .line(format!("Listening on {local} and forwarding to {}:{remote}", way.dyno))?;
        let way = Arc::clone(&way);
        thread::spawn(move || carry_each(&listener, move || way.connect("localhost", remote)));
    }
    context.output.line("Use CTRL+C to stop port forwarding")?;
    wait()
}

/// `ps:socks`
pub(crate) fn socks(args: &SocksArgs, context: &Context) -> Result<()> {
    let listener = listen(args.port)?;
    let way = Arc::new(args.target.forwarding(context)?);
    context
        .output
        .line(format!("SOCKSv5 proxy server started on port {}", args.port))?;
    context.output.line("Use CTRL+C to stop the proxy")?;
    for connection in listener.incoming().flatten() {
        let way = Arc::clone(&way);
        thread::spawn(move || proxy(&way, &connection));
    }
    Ok(())
}

/// A dyno that connections are forwarded to.
#[derive(Debug)]
struct Way {
    client: Client,
    dyno: String,
    path: String,
}

impl Way {
    fn connect(&self, host: &str, port: u16) -> Result<Link> {
        Link::open(
            &self.client.base,
            &format!("{}?host={}&port={port}", self.path, segment(host)),
        )
    }
}

/// Until Ctrl-C, which ends this command as any other.
fn wait() -> ! {
    loop {
        thread::sleep(Duration::from_hours(1));
    }
}

/// One connection of a SOCKS client (RFC 1928): no authentication, CONNECT alone.
fn proxy(way: &Way, mut connection: &TcpStream) -> Result<()> {
    let mut head = [0; 2];
    connection.read_exact(&mut head)?;
    let [version, methods] = head;
    let mut offered = vec![0; methods.into()];
    connection.read_exact(&mut offered)?;
    if version != 5 || !offered.contains(&0) {
        connection.write_all(&[5, 0xff])?;
        return Ok(());
    }
    connection.write_all(&[5, 0])?;
    let mut request = [0; 4];
    connection.read_exact(&mut request)?;
    let host = match request[3] {
        1 => {
            let mut address = [0; 4];
            connection.read_exact(&mut address)?;
            IpAddr::from(Ipv4Addr::from(address)).to_string()
        }
        3 => {
            let mut length = [0];
            connection.read_exact(&mut length)?;
            let mut name = vec![0; length[0].into()];
            connection.read_exact(&mut name)?;
            String::from_utf8_lossy(&name).into_owned()
        }
        4 => {
            let mut address = [0; 16];
            connection.read_exact(&mut address)?;
            IpAddr::from(Ipv6Addr::from(address)).to_string()
        }
        _ => {
            connection.write_all(&answer(8))?;
            return Ok(());
        }
    };
    let mut port = [0; 2];
    connection.read_exact(&mut port)?;
    if request[1] != 1 {
        connection.write_all(&answer(7))?;
        return Ok(());
    }
    match way.connect(&host, u16::from_be_bytes(port)) {
        Ok(link) => {
            connection.write_all(&answer(0))?;
            carry(link, connection)
        }
        Err(error) => {
            connection.write_all(&answer(1))?;
            Err(error)
        }
    }
}

/// A reply, with an address that means nothing.
const fn answer(code: u8) -> [u8; 10] {
    [5, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

impl TargetArgs {
    /// Starts a program in the dyno, and connects to it.
    fn connect(&self, new: &NewExec, context: &Context) -> Result<Link> {
        let app = self.app.name(context)?;
        let path = format!("/apps/{}/dynos/{}/actions/exec", segment(&app), segment(&self.dyno));
        let what = format!("Connecting to {} on {app}", self.dyno);
        let start = || {
            let made: Rendezvous = context.client.post(&path, new)?;
            Link::open(&context.client.base, &made.attach_path)
        };
        context.output.action_ending(&what, start, |_| "up".to_owned())
    }

    fn forwarding(&self, context: &Context) -> Result<Way> {
        let app = self.app.name(context)?;
        let path = format!("/apps/{}/dynos/{}/actions/forward", segment(&app), segment(&self.dyno));
        let start = || context.client.post::<Rendezvous>(&path, &NewForward {});
        let made = context
            .output
            .action("Establishing credentials", start, |_| String::new())?;
        Ok(Way {
            client: context.client.clone(),
            dyno: made.name,
            path: made.attach_path,
        })
    }
}

/// Carries every connection over a link of its own.
pub(crate) fn carry_each(listener: &TcpListener, connect: impl Fn() -> Result<Link> + Clone + Send + 'static) {
    for connection in listener.incoming().flatten() {
        let connect = connect.clone();
        // A connection that breaks is the business of who made it.
        thread::spawn(move || carry(connect()?, &connection));
    }
}

/// On this machine alone; 0 is any port.
pub(crate) fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|source| Error::File {
        path: format!("127.0.0.1:{port}"),
        source,
    })
}

/// `4000,9000:9001`
fn ports(text: &str) -> Result<Vec<(u16, u16)>> {
    let one = |mapping: &str| {
        let (local, remote) = mapping.split_once(':').unwrap_or((mapping, mapping));
        Some((local.trim().parse().ok()?, remote.trim().parse().ok()?))
    };
    let ports: Option<Vec<_>> = text.split(',').map(one).collect();
    ports.ok_or_else(|| Error::Usage(format!("{text} is no list of ports such as 4000,9000:9001")))
}

/// One word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_one_or_two_numbers_each() {
        assert_eq!(ports("4000,9000:9001").unwrap(), [(4000, 4000), (9000, 9001)]);
        for bad in ["", "a", "1:2:3", "70000", "1,"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_name_is_one_word_whatever_is_in_it() {
        assert_eq!(quoted("it's; rm -rf $HOME"), r"'it'\''s; rm -rf $HOME'");
    }
}
