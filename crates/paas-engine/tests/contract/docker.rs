//! What only Docker can show: walls, limits, and that a container never sees more than it should.
//!
//! Needs root, because it sets the machine's firewall rules (the same that any platform sets) and a network namespace.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command},
    time::Duration,
};

use futures_util::{StreamExt as _, future, stream};
use paas_engine::{Container, ContainerState, DockerEngine, Engine as _, ExecSpec, Firewall, Input, LogChunk, Tmpfs};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream, UdpSocket},
    sync::mpsc,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::world::{Program, SOCKET, World};

/// Runs a script in a container like a dyno's; what it said, and its exit code.
async fn sh(world: &World, name: &str, network: Option<&str>, script: &str) -> (String, i32) {
    let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    let mut spec = world.spec_of(name, command);
    spec.network = network.map(str::to_owned);
    let container = world.engine.start(&spec).await.unwrap();
    let said = world.read(&container.id, None).await;
    let ended = world.engine.inspect(&container.id).await.unwrap().unwrap();
    let ContainerState::Exited(exit) = ended.state else {
        panic!("{ended:?} has not ended");
    };
    (text(&said), exit.code)
}

fn text(chunks: &[LogChunk]) -> String {
    let lines: Vec<_> = chunks
        .iter()
        .map(|chunk| String::from_utf8_lossy(&chunk.bytes))
        .collect();
    lines.join("\n")
}

fn address(container: &Container) -> IpAddr {
    let ContainerState::Running { address: Some(address) } = container.state else {
        panic!("{container:?} has no address");
    };
    address
}

/// A listener that greets, on an address of this machine.
async fn greeter(address: IpAddr) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = TaskTracker::new().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(b"greetings\n").await.ok();
        }
    });
    (address, task)
}

/// Connects again and again; the promise has a deadline.
async fn until_it_answers(address: impl Into<SocketAddr>) {
    let address = address.into();
    while TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The address that this machine has towards the world.
async fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
    // Nothing is sent: this only chooses a route.
    socket.connect("192.0.2.1:9").await.unwrap();
    socket.local_addr().unwrap().ip()
}

/// Another machine on a wire to this one: a network namespace that greets on port 80. Gone with its value.
struct Neighbour {
    namespace: String,
    greeter: Child,
}

impl Neighbour {
    /// `address` and the one before it are the two ends of the wire.
    fn new(namespace: &str, address: Ipv4Addr) -> Self {
        let near = Ipv4Addr::from_bits(address.to_bits() - 1);
        for arguments in [
            format!("netns add {namespace}"),
            format!("link add {namespace} type veth peer name far netns {namespace}"),
            format!("addr add {near}/30 dev {namespace}"),
            format!("link set {namespace} up"),
            format!("-n {namespace} addr add {address}/30 dev far"),
            format!("-n {namespace} link set far up"),
            format!("-n {namespace} route add default via {near}"),
        ] {
            let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
            assert!(status.success(), "ip {arguments}");
        }
        let greeter = Command::new("ip")
            .args(["netns", "exec", namespace, "/bin/busybox"])
            .args(["nc", "-ll", "-p", "80", "-e", "/bin/echo", "greetings"])
            .spawn()
            .unwrap();
        let namespace = namespace.to_owned();
        Self { namespace, greeter }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.greeter.kill().ok();
        self.greeter.wait().ok();
        Command::new("ip").args(["netns", "del", &self.namespace]).status().ok();
    }
}

/// The world and its network, behind the firewall.
async fn walled() -> (World, String) {
    Firewall::of_this_machine().ensure().await.unwrap();
    let world = World::docker().await;
    let network = world.make_network().await.name;
    (world, network)
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_dyno_has_no_rights_at_all() {
    World::docker()
        .await
        .keeps(async |world: &World| {
            let script = "grep -E '^(Uid|Gid|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; ulimit -n; ulimit -c; \
                          cat /proc/1/comm; touch /root-owned";
            let (said, code) = sh(world, "rights", None, script).await;
            let words: Vec<_> = said.split_whitespace().collect();
            let after = |key: &str| words[words.iter().position(|word| *word == key).unwrap() + 1];
            assert_eq!((after("Uid:"), after("Gid:")), ("10001", "10001"), "{said}");
            assert_eq!((after("CapEff:"), after("CapBnd:")), ("0000000000000000", "0000000000000000"), "{said}");
            assert_eq!((after("NoNewPrivs:"), after("Seccomp:")), ("1", "2"), "{said}");
            assert!(said.contains("docker-init") && said.contains("Permission denied"), "{said}");
            assert!(words.contains(&"10000"), "{said}");
            assert_ne!(code, 0);
        })
        .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_fork_bomb_stops_at_the_limit() {
    World::docker()
        .await
        .keeps(async |world: &World| {
            let script = "for number in $(seq 200); do sleep 100 & done; echo survived";
            let (said, _) = sh(world, "bomb", None, script).await;
            assert!(said.contains("can't fork"), "{said}");
        })
        .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn services_of_the_host_are_out_of_reach_and_the_host_still_reaches_the_dyno() {
    let (world, network) = walled().await;
    world
        .keeps(async |world: &World| {
            let subnet = world.engine.networks().await.unwrap()[0].subnet.unwrap();
            let gateway = IpAddr::V4((subnet.base().to_bits() + 1).into());
            // The gateway has its address only while its bridge stands, which it does.
            for host in [gateway, own_address().await] {
                let (address, task) = greeter(host).await;
                assert!(TcpStream::connect(address).await.is_ok());
                let script = format!("nc -w 3 {} {} </dev/null && echo reached", address.ip(), address.port());
                let (said, code) = sh(world, &format!("host-{host}"), Some(&network), &script).await;
                task.abort();
                assert!(
                    !said.contains("greetings") && !said.contains("reached") && code != 0,
                    "{host}: {said}"
                );
            }

            let script = "while :; do echo hello | nc -l -p 5000; done".to_owned();
            let mut spec = world.spec_of("listener", vec!["/bin/sh".to_owned(), "-c".to_owned(), script]);
            spec.network = Some(network.clone());
            let container = world.engine.start(&spec).await.unwrap();
            let dyno = SocketAddr::new(address(&container), 5000);
            until_it_answers(dyno).await;
        })
        .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn the_metadata_service_is_out_of_reach_but_names_resolve() {
    let (world, network) = walled().await;
    world
        .keeps(async |world: &World| {
            let metadata = Ipv4Addr::new(169, 254, 169, 254);
            let _neighbour = Neighbour::new(&format!("psn{}", &world.platform[..8]), metadata);
            // The host itself reaches it.
            until_it_answers((metadata, 80)).await;
            let script = format!("nc -w 3 {metadata} 80 </dev/null && echo reached");
            let (said, code) = sh(world, "metadata", Some(&network), &script).await;
            assert!(
                !said.contains("greetings") && !said.contains("reached") && code != 0,
                "{said}"
            );

            // A private address that is nobody's is refused at once, not after the peer's silence.
            let script = "nc -w 30 10.255.255.254 80 </dev/null";
            let (said, code) = sh(world, "private", Some(&network), script).await;
            assert!(code != 0 && !said.contains("timed out"), "{said}");

            // A datagram may be lost.
            let script =
                "for try in 1 2 3 4 5; do nslookup -type=a deb.debian.org 2>&1 && exit 0; sleep 1; done; exit 1";
            let (said, code) = sh(world, "names", Some(&network), script).await;
            assert!(code == 0 && said.contains("Name:"), "{said}");
        })
        .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_neighbours_dyno_is_out_of_reach_and_invisible() {
    let (neighbour, its_network) = walled().await;
    let (world, network) = walled().await;
    let promise = async |neighbour: &World| {
        let script = "while :; do echo hello | nc -l -p 5000; done".to_owned();
        let mut spec = neighbour.spec_of("neighbour", vec!["/bin/sh".to_owned(), "-c".to_owned(), script]);
        spec.network = Some(its_network);
        let container = neighbour.engine.start(&spec).await.unwrap();
        let address = address(&container);
        until_it_answers((address, 5000)).await;

        world
            .keeps(async |world: &World| {
                let script = format!("nc -w 3 {address} 5000 </dev/null && echo reached");
                let (said, code) = sh(world, "prober", Some(&network), &script).await;
                assert!(
                    !said.contains("hello") && !said.contains("reached") && code != 0,
                    "{said}"
                );

                // Another platform's containers do not exist.
                assert_eq!(world.engine.inspect(&container.id).await.unwrap(), None);
                world.engine.remove(&container.id).await.unwrap();
                assert_eq!(world.engine.list().await.unwrap().len(), 1);
                let error = world.engine.start(&spec).await.unwrap_err();
                assert!(matches!(error, paas_engine::EngineError::Foreign { .. }), "{error}");
                let error = world.engine.remove_image(&neighbour.image).await.unwrap_err();
                assert!(matches!(error, paas_engine::EngineError::Foreign { .. }), "{error}");
            })
            .await;
        assert!(
            neighbour
                .engine
                .inspect(&container.id)
                .await
                .unwrap()
                .unwrap()
                .is_running()
        );
    };
    neighbour.keeps(promise).await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn the_firewall_is_quiet_when_all_is_well_and_repairs_what_was_flushed() {
    let firewall = Firewall::of_this_machine();
    firewall.ensure().await.unwrap();
    assert!(!firewall.ensure().await.unwrap());
    // A rule that is too much, where it harms nobody.
    let status = Command::new("iptables")
        .args(["-w", "-A", "PAAS-FORWARD", "-d", "192.0.2.77/32", "-j", "DROP"])
        .status()
        .unwrap();
    assert!(status.success());
    firewall.ensure().await.unwrap();
    let listed = Command::new("iptables")
        .args(["-w", "-S", "PAAS-FORWARD"])
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&listed.stdout).contains("192.0.2.77"));
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_long_line_comes_in_pieces_that_resume_exactly() {
    World::docker()
        .await
        .keeps(async |world: &World| {
            let script = "head -c 100000 /dev/zero; echo; echo end";
            let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
            let container = world.engine.start(&world.spec_of("long", command)).await.unwrap();
            let all = world.read(&container.id, None).await;
            let long: usize = all[..all.len() - 1].iter().map(|chunk| chunk.bytes.len()).sum();
            assert_eq!((long, &all[all.len() - 1].bytes[..]), (100_000, &b"end"[..]));
            assert!(all[0].is_partial && !all[all.len() - 2].is_partial);
            for (index, chunk) in all.iter().enumerate() {
                assert_eq!(world.read(&container.id, Some(chunk.position)).await, all[index + 1..]);
            }
        })
        .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn sigterm_reaches_every_process() {
    World::docker()
        .await
        .keeps(async |world: &World| {
            let script = "trap 'wait; echo parent heard; exit 5' TERM; \
                          sh -c 'trap \"echo child heard; exit\" TERM; echo ready; while :; do sleep 1; done' & wait";
            let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
            let container = world.engine.start(&world.spec_of("family", command)).await.unwrap();
            let mut logs = world.engine.logs(&container.id, None);
            assert_eq!(&logs.next().await.unwrap().unwrap().bytes[..], b"ready");
            let grace = Duration::from_secs(20);
            let exit = world.engine.stop(&container.id, grace).await.unwrap().unwrap();
            let rest: Vec<_> = logs.map(Result::unwrap).collect().await;
            let said = text(&rest);
            let heard = said.contains("child heard") && said.contains("parent heard");
            assert!(heard && exit.code == 5, "{} {said}", exit.code);
        })
        .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_terminal_is_one_and_has_a_size() {
    World::docker()
        .await
        .keeps(async |world: &World| {
            let mut spec = world.spec_of("terminal", vec!["/bin/sh".to_owned()]);
            let size = |columns, rows| paas_engine::TerminalSize { columns, rows };
            spec.terminal = Some(size(80, 24));
            let (sender, mut receiver) = mpsc::channel(100);
            let input = [
                Input::Resize(size(101, 33)),
                Input::Bytes("/bin/busybox stty size; exit 4\n".into()),
            ];
            // A person's terminal stays open.
            let input = stream::iter(input).chain(stream::pending()).boxed();
            let exit = world
                .engine
                .run(&spec, input, sender, CancellationToken::new())
                .await
                .unwrap();
            let mut said = Vec::new();
            while let Some(output) = receiver.recv().await {
                said.extend_from_slice(&output.bytes);
            }
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(exit.code == 4 && said.contains("33 101"), "{} {said}", exit.code);
        })
        .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_program_that_is_hung_up_on_before_it_began_does_not_stay() {
    World::docker()
        .await
        .keeps(async |world: &World| {
            let id = world
                .engine
                .start(&world.spec("host", Program::Sleep))
                .await
                .unwrap()
                .id;
            let exec = async |command: &[&str], cancel: CancellationToken| {
                let (sender, mut receiver) = mpsc::channel(4);
                let spec = ExecSpec {
                    command: command.iter().copied().map(str::to_owned).collect(),
                    ..ExecSpec::default()
                };
                let stdin = stream::pending().boxed();
                let said = async { while receiver.recv().await.is_some() {} };
                let (code, ()) = future::join(world.engine.exec(&id, &spec, stdin, sender, cancel), said).await;
                code.unwrap()
            };
            let cancelled = CancellationToken::new();
            cancelled.cancel();
            assert_eq!(exec(&["/bin/sleep", "4711"], cancelled).await, Some(129));
            let is_there = ["/bin/sh", "-c", "grep -q 471[1] /proc/[0-9]*/cmdline 2>/dev/null"];
            while exec(&is_there, CancellationToken::new()).await == Some(0) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_tmpfs_is_the_users_own() {
    World::docker()
        .await
        .keeps(async |world: &World| {
            let command = ["/bin/sh", "-c", "echo secret > /env/KEY && ls -ldn /env"]
                .map(str::to_owned)
                .to_vec();
            let mut spec = world.spec_of("tmpfs", command);
            spec.tmpfs = vec![Tmpfs {
                path: "/env".to_owned(),
                size_bytes: 1024 * 1024,
            }];
            let container = world.engine.start(&spec).await.unwrap();
            let said = text(&world.read(&container.id, None).await);
            assert!(said.starts_with("drwx------") && said.contains("10001"), "{said}");
        })
        .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn the_engine_says_what_it_is_and_a_missing_one_is_named() {
    let engine = DockerEngine::connect(Path::new(SOCKET), "test").await.unwrap();
    let version = engine.version().await.unwrap();
    assert!(
        version.api_version.starts_with("1.") && version.cpus > 0 && version.memory_bytes > 0,
        "{version:?}"
    );
    let error = DockerEngine::connect(Path::new("/no/such.sock"), "test")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/no/such.sock"), "{error}");
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_container_made_by_hand_from_our_image_is_left_alone() {
    World::docker()
        .await
        .keeps(async |world: &World| {
            let name = format!("paas-test-hand-{}", world.platform);
            let made = Command::new("docker")
                .args(["create", "--name", &name, world.image.as_str(), "/bin/true"])
                .status()
                .unwrap();
            let listed = world.engine.list().await.unwrap();
            let started = world.engine.start(&world.spec("ours", Program::Sleep)).await;
            Command::new("docker").args(["rm", "-f", &name]).status().unwrap();
            assert!(made.success() && listed.is_empty() && started.is_ok());
        })
        .await;
}
