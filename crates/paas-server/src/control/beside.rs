//! What people run beside a dyno's own process: shells, and connections to where the dyno can connect to.
//!
//! Tasks without a row: they belong to a person's stream, and end with it. The dyno goes on without them, and they end with
//! the dyno.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use paas_core::{Id, OneOff};
use paas_engine::{ContainerId, EngineError, ExecSpec, Output, OutputStream};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    platform::Platform,
    rendezvous::{Invitation, Target, Visitor},
    sessions::Session,
};

/// Connections at the same time through one invitation; each is a process of the dyno.
const MOST_CONNECTIONS: usize = 32;
/// As long as a one-off dyno.
const FORWARD_LIMIT: Duration = Duration::from_hours(24);

/// A shell that is there: Debian's images have bash, others may not.
pub(crate) const SHELL: &str = "command -v bash >/dev/null && exec bash || exec sh";

/// Carries bytes between its own streams and `$0:$1`. Written in what the image has; two processes, so that neither way waits
/// for the other. It ends with the connection: the end of its input is only told.
const RELAY: &str = r#"if command -v perl >/dev/null 2>&1; then exec perl -MIO::Socket::INET -e '
my $socket = IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Timeout => 10)
  or do { print STDERR "$ARGV[0]:$ARGV[1]: $!\n"; exit 1 };
sub relay { my ($from, $to) = @_;
  while (sysread($from, my $bytes, 65536)) { my $done = 0;
    while ($done < length $bytes) { my $more = syswrite($to, $bytes, length($bytes) - $done, $done); return unless $more; $done += $more } } }
my $child = fork; defined $child or die "fork: $!\n";
if ($child) { relay($socket, *STDOUT); kill "KILL", $child; waitpid($child, 0); exit 0 }
close STDOUT; close STDERR; relay(*STDIN, $socket); shutdown($socket, 1);
' "$0" "$1"
elif command -v python3 >/dev/null 2>&1; then exec python3 -c '
import os, socket, sys, threading
try: peer = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
except OSError as error: sys.exit(f"{sys.argv[1]}:{sys.argv[2]}: {error}")
peer.settimeout(None)
def send():
    while data := os.read(0, 65536): peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while data := peer.recv(65536):
    while data: data = data[os.write(1, data):]
os._exit(0)
' "$0" "$1"
elif command -v nc >/dev/null 2>&1; then exec nc "$0" "$1"
else echo "the image has neither perl nor python3 nor nc to connect with" >&2; exit 127
fi"#;

/// Somebody who will come for a running container.
pub(crate) struct BesideDyno {
    pub(crate) container: ContainerId,
    pub(crate) invitation: Invitation,
    pub(crate) session: Session,
}

/// Runs a program for whoever comes.
pub(crate) fn exec(platform: &Arc<Platform>, beside: BesideDyno, exec: ExecSpec) {
    let platform = Arc::clone(platform);
    platform.tracker.clone().spawn(async move {
        let BesideDyno {
            container,
            mut invitation,
            session,
        } = beside;
        if let Some(visitor) = visitor(&platform, &mut invitation, &session).await {
            join(&platform, &container, &exec, visitor, &session).await;
        }
    });
}

/// The first who comes in time, and while the session lasts.
async fn visitor(platform: &Platform, invitation: &mut Invitation, session: &Session) -> Option<Visitor> {
    tokio::select! {
        visitor = timeout(platform.rendezvous.limits.attach, invitation.visitors.recv()) => visitor.ok().flatten(),
        () = session.ended().cancelled() => None,
        () = platform.stop.cancelled() => None,
    }
}

/// Connects for whoever comes, again and again.
pub(crate) fn forward(platform: &Arc<Platform>, beside: BesideDyno) {
    let platform = Arc::clone(platform);
    platform.tracker.clone().spawn(async move {
        let BesideDyno {
            container,
            mut invitation,
            session,
        } = beside;
        let session = Arc::new(session);
        let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let served = async {
            while let Ok(connection) = Arc::clone(&connections).acquire_owned().await
                && let Some(visitor) = invitation.visitors.recv().await
            {
                let Some(target) = visitor.target.clone() else {
                    continue;
                };
                let exec = relay(&target);
                let (relaying, container, session) = (Arc::clone(&platform), container.clone(), Arc::clone(&session));
                platform.tracker.spawn(async move {
                    let _connection = connection;
                    join(&relaying, &container, &exec, visitor, &session).await;
                });
            }
        };
        let limit = FORWARD_LIMIT;
        tokio::select! {
            () = timeout(limit, served).map(drop) => {}
            () = session.ended().cancelled() => {}
            () = platform.stop.cancelled() => {}
        }
    });
}

/// What carries bytes to where the dyno can connect to.
pub(crate) fn relay(Target { host, port }: &Target) -> ExecSpec {
    let command = ["/bin/sh", "-c", RELAY, host, &port.to_string()].map(str::to_owned);
    ExecSpec {
        command: command.to_vec(),
        ..ExecSpec::default()
    }
}

/// The container of a one-off dyno that runs.
pub(crate) async fn container_of_one_off(
    platform: &Platform,
    id: Id<OneOff>,
) -> Result<Option<ContainerId>, EngineError> {
    let name = super::one_off::container_name(id);
    let containers = platform.engine.list().await?;
    let mut running = containers.into_iter().filter(paas_engine::Container::is_running);
    Ok(running
        .find(|container| container.name == name)
        .map(|container| container.id))
}

/// Runs a program for whoever has come, to its end or to that of the session.
pub(crate) async fn join(
    platform: &Platform,
    container: &ContainerId,
    exec: &ExecSpec,
    visitor: Visitor,
    session: &Session,
) {
    let Visitor {
        stdin,
        output,
        gone,
        exit,
        target: _,
    } = visitor;
    let say = output.clone();
    let run = platform.engine.exec(container, exec, stdin, output, gone.clone());
    let watch = async {
        tokio::select! {
            () = session.ended().cancelled() => {}
            () = platform.stop.cancelled() => {}
        }
        gone.cancel();
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = run => ended,
        () = watch => return,
    };
    let (code, trouble) = match ended {
        Ok(Some(code)) => (code, None),
        Ok(None) => (1, Some("The dyno does not run any more.".to_owned())),
        Err(error) => {
            tracing::warn!(%container, %error, "a program beside a dyno could not be run");
            (1, Some(error.to_string()))
        }
    };
    if let Some(trouble) = trouble {
        let words = Output {
            stream: OutputStream::Stderr,
            bytes: format!("{trouble}\r\n").into(),
        };
        // Whoever has gone need not know.
        let _ = say.send(words).await;
    }
    let _ = exit.send(code);
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, path::Path, process::Stdio};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        process::{Child, Command},
    };

    use super::*;

    /// A folder with this program of the machine's, and no other.
    fn only(program: &str) -> tempfile::TempDir {
        let path = std::env::split_paths("/usr/local/bin:/usr/bin:/bin")
            .map(|folder| folder.join(program))
            .find(|path| path.exists());
        let folder = tempfile::tempdir().unwrap();
        symlink(path.expect("it is installed"), folder.path().join(program)).unwrap();
        folder
    }

    /// Runs the relay with what there is in a folder, against a peer; both ends of it.
    async fn relayed(path: &Path) -> (Child, TcpStream) {
        let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target {
            host: "127.0.0.1".to_owned(),
            port: peer.local_addr().unwrap().port(),
        };
        let command = relay(&target).command;
        let program = Command::new(&command[0])
            .args(&command[1..])
            .env_clear()
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        (program, peer.accept().await.unwrap().0)
    }

    /// What is left to say, and how it ends.
    async fn ended(mut program: Child) -> (String, Option<i32>) {
        let mut said = String::new();
        program.stdout.take().unwrap().read_to_string(&mut said).await.unwrap();
        (said, program.wait().await.unwrap().code())
    }

    #[tokio::test]
    #[ignore = "needs perl and python3"]
    async fn a_relay_ends_with_its_connection_and_not_with_its_input() {
        for program in ["perl", "python3"] {
            let folder = only(program);
            let mut heard = [0; 4];

            let (mut program, mut peer) = relayed(folder.path()).await;
            // Held: its input does not end.
            let mut input = program.stdin.take().unwrap();
            input.write_all(b"ping").await.unwrap();
            peer.read_exact(&mut heard).await.unwrap();
            peer.write_all(&heard).await.unwrap();
            drop(peer);
            assert_eq!(ended(program).await, ("ping".to_owned(), Some(0)));

            let (mut program, mut peer) = relayed(folder.path()).await;
            let mut input = program.stdin.take().unwrap();
            input.write_all(b"ping").await.unwrap();
            drop(input);
            let mut question = String::new();
            peer.read_to_string(&mut question).await.unwrap();
            peer.write_all(b"pong").await.unwrap();
            drop(peer);
            assert_eq!(
                (question.as_str(), ended(program).await),
                ("ping", ("pong".to_owned(), Some(0)))
            );
        }
    }
}
