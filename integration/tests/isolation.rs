//! What a dyno cannot do: reach its host, the metadata service or another app, or be more than it is.

use std::{fs, net::TcpListener};

use paas_integration::{Container, Engine, Platform};

/// Whether a connection from inside a dyno is made within two seconds.
fn connects(engine: &Engine, dyno: &Container, address: &str, port: u16) -> bool {
    let script = format!("import socket; socket.create_connection(({address:?}, {port}), 2)");
    engine.exec(dyno, &["python3", "-c", &script]).code == 0
}

fn inspect(engine: &Engine, dyno: &Container, format: &str) -> String {
    engine
        .docker(&["inspect", "--format", format, &dyno.id])
        .stdout
        .trim()
        .to_owned()
}

#[test]
#[ignore = "needs docker"]
fn a_dyno_reaches_neither_its_host_nor_another_app() {
    let platform = Platform::start();
    let engine = platform.engine();
    let (one, two) = (platform.app("one"), platform.app("two"));
    one.push().expect_success();
    two.push().expect_success();
    let mut dynos = engine.containers();
    dynos.retain(|container| container.dyno == "web.1");
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let gateway = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}";
    let [first, second] = &dynos[..] else {
        panic!("{dynos:?}")
    };

    let own = inspect(&engine, first, address);
    assert!(connects(&engine, first, &own, 5000), "it reaches itself");
    let other = inspect(&engine, second, address);
    assert!(!connects(&engine, first, &other, 5000), "it reaches another app");

    // A service of the host, on every address.
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let gateway = inspect(&engine, first, gateway);
    let host = host_address();
    for address in [gateway.as_str(), host.as_str()] {
        assert!(
            TcpListener::bind((address, 0)).is_ok(),
            "{address} is an address of this machine"
        );
        assert!(
            !connects(&engine, first, address, port),
            "it reaches the host at {address}"
        );
    }
    assert!(!connects(&engine, first, &gateway, platform.http().port()));
    assert!(
        !connects(&engine, first, "169.254.169.254", 80),
        "it reaches the metadata service"
    );
}

#[test]
#[ignore = "needs docker"]
fn a_dyno_is_nobody_special() {
    let platform = Platform::start();
    let engine = platform.engine();
    let app = platform.app("hello");
    app.push().expect_success();
    let dyno = engine.dyno("web.1").unwrap();
    let status = engine.exec(&dyno, &["cat", "/proc/self/status"]).stdout;
    for line in [
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "Uid:\t10001\t10001",
    ] {
        assert!(status.contains(line), "no {line:?} in {status}");
    }
    assert_eq!(
        inspect(&engine, &dyno, "{{.HostConfig.Memory}}"),
        (512 * 1024 * 1024).to_string()
    );
    assert_eq!(
        inspect(
            &engine,
            &dyno,
            "{{.HostConfig.PortBindings}} {{.HostConfig.Privileged}}"
        ),
        "map[] false"
    );
    assert_eq!(inspect(&engine, &dyno, "{{.HostConfig.RestartPolicy.Name}}"), "no");
    // What builds and databases take is not counted against dynos.
    let process = inspect(&engine, &dyno, "{{.State.Pid}}");
    let groups = fs::read_to_string(format!("/proc/{process}/cgroup")).expect("it runs");
    assert!(groups.contains(":/paas/") || groups.contains("paas.slice/"), "{groups}");
}

/// The address that this machine has towards the world.
fn host_address() -> String {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").expect("a socket can be made");
    // Connecting a UDP socket sends nothing: it asks the kernel for the route.
    socket.connect("192.0.2.1:9").expect("there is a route");
    socket.local_addr().expect("a socket has an address").ip().to_string()
}
