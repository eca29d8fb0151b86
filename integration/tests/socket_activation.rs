//! A router that is replaced by the next one while its socket stays with whoever started it, as under systemd.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

use paas_integration::{binary, within};

const SOON: Duration = Duration::from_secs(20);

/// Listens on a port of its own as descriptor 3, says which, and starts the program with it once for each line it reads:
/// what systemd does with a socket unit.
const SYSTEMD: &str = r#"
use strict; use warnings; use Socket; use POSIX ();
$^F = 9; $| = 1;
socket(my $socket, PF_INET, SOCK_STREAM, 0) or die;
bind($socket, pack_sockaddr_in(0, INADDR_LOOPBACK)) or die;
listen($socket, 128) or die;
if (fileno($socket) != 3) { POSIX::dup2(fileno($socket), 3) or die }
my ($port) = unpack_sockaddr_in(getsockname($socket));
print "$port\n";
my $port_argument = "127.0.0.1:$port";
while (<STDIN>) {
    my $child = fork() // die;
    if (!$child) {
        $ENV{LISTEN_PID} = $$; $ENV{LISTEN_FDS} = 1;
        exec @ARGV, '--http', $port_argument or die;
    }
    print "$child\n";
    waitpid($child, 0) if <STDIN>;
    print "ended\n";
}
"#;

#[test]
fn clients_wait_in_the_socket_from_one_router_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut systemd = Command::new("perl")
        .args(["-e", SYSTEMD])
        .arg(binary("paasd"))
        .args([
            "router",
            "--settings",
            "/dev/null",
            "--https",
            "127.0.0.1:0",
            "--data-dir",
        ])
        .arg(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("perl is on every Debian machine");
    let mut orders = systemd.stdin.take().unwrap();
    let mut answers = systemd.stdout.take().unwrap();
    let mut line = || {
        let mut line = String::new();
        let mut byte = [0];
        while answers.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(char::from(byte[0]));
        }
        line
    };
    let address = SocketAddr::from(([127, 0, 0, 1], line().parse().unwrap()));

    writeln!(orders, "start").unwrap();
    let first = line();
    assert!(ask(connect(address)).starts_with("HTTP/1.1 503"), "no table yet");
    Command::new("kill").args(["-TERM", &first]).status().unwrap();
    writeln!(orders, "reap").unwrap();
    assert_eq!(line(), "ended");

    // Nobody runs, and nobody is refused.
    let waiting = connect(address);
    writeln!(orders, "start").unwrap();
    let second = line();
    assert!(ask(waiting).starts_with("HTTP/1.1 503"));
    Command::new("kill").args(["-TERM", &second]).status().unwrap();
    drop(orders);
    assert!(within(SOON, || systemd.try_wait().unwrap()).is_some());
    let is_gone = || !std::path::Path::new(&format!("/proc/{second}/exe")).exists();
    assert!(within(SOON, || is_gone().then_some(())).is_some());
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the socket listens");
    stream.set_read_timeout(Some(SOON)).expect("a limit is set");
    stream
}

fn ask(mut stream: TcpStream) -> String {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: hello.localhost\r\nConnection: close\r\n\r\n")
        .expect("the request is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a router answers");
    answer
}
