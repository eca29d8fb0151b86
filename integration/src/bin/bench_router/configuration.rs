//! How each proxy is set up: keep-alive to the origin, forwarding headers, an access log, and its own defaults else.

use std::{fmt::Write, fs, path::Path};

use anyhow::Result;

use crate::proxy::{HOST, Kind, Ports, host, paasd};

/// What `ulimit -n` leaves for clients and for connections to the origin.
const CONNECTIONS: usize = 19_000;

/// Writes the files that a proxy reads; the host with number `moved` is at the other origin.
pub(crate) fn write(kind: Kind, hosts: usize, ports: Ports, moved: Option<usize>, directory: &Path) -> Result<()> {
    match kind {
        Kind::Nginx | Kind::NginxBuffers => {
            fs::write(directory.join("nginx.conf"), nginx(kind, hosts, ports, moved)?)?;
        }
        Kind::Haproxy => {
            let (configuration, map) = haproxy(hosts, ports, moved)?;
            fs::write(directory.join("haproxy.cfg"), configuration)?;
            fs::write(directory.join("hosts.map"), map)?;
        }
        Kind::Caddy => fs::write(directory.join("Caddyfile"), caddy(hosts, ports, moved)?)?,
        Kind::Paas | Kind::Direct => {}
    }
    Ok(())
}

/// How a proxy is started.
pub(crate) fn command(kind: Kind, ports: Ports, directory: &Path) -> Option<Vec<String>> {
    let path = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let command: Vec<String> = match kind {
        Kind::Nginx | Kind::NginxBuffers => ["nginx", "-e", "log", "-c", &path("nginx.conf"), "-p", &path("")]
            .map(str::to_owned)
            .into(),
        // A master, so that it can be reloaded.
        Kind::Haproxy => ["haproxy", "-W", "-db", "-f", &path("haproxy.cfg")]
            .map(str::to_owned)
            .into(),
        Kind::Caddy => ["caddy", "run", "--config", &path("Caddyfile")]
            .map(str::to_owned)
            .into(),
        Kind::Paas => {
            let (http, https) = (
                format!("127.0.0.1:{}", ports.http),
                format!("127.0.0.1:{}", ports.https),
            );
            let paasd = paasd();
            [
                "env",
                "-u",
                "PAAS_SETTINGS",
                &paasd,
                "router",
                "--data-dir",
                &path(""),
                "--http",
                &http,
                "--https",
                &https,
            ]
            .map(str::to_owned)
            .into()
        }
        Kind::Direct => return None,
    };
    Some(command)
}

fn origin(ports: Ports, number: usize, moved: Option<usize>) -> u16 {
    if moved == Some(number) {
        ports.other_origin
    } else {
        ports.origin
    }
}

fn nginx(kind: Kind, hosts: usize, ports: Ports, moved: Option<usize>) -> Result<String> {
    let Ports { http, https, .. } = ports;
    let buffers = if kind == Kind::NginxBuffers {
        "proxy_buffer_size 128k; proxy_buffers 16 128k; proxy_busy_buffers_size 256k; proxy_max_temp_file_size 0;"
    } else {
        ""
    };
    let mut text = format!(
        "daemon off; worker_processes 1; pid nginx.pid;
events {{ worker_connections {CONNECTIONS}; }}
http {{
access_log access.log combined;
server_names_hash_max_size 65536; server_names_hash_bucket_size 128;
proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_set_header Host $host;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Port $server_port;
ssl_certificate chain.pem; ssl_certificate_key key.pem; ssl_protocols TLSv1.2 TLSv1.3;
# h2load does not come back after the thousand requests that a connection gets by default.
keepalive_requests 100000000;
{buffers}
"
    );
    for number in 0..hosts {
        let (name, origin) = (host(number), origin(ports, number, moved));
        writeln!(
            text,
            "upstream u{number} {{ server 127.0.0.1:{origin}; keepalive 64; }}
server {{ listen 127.0.0.1:{http}; listen 127.0.0.1:{https} ssl http2; server_name {name};
location / {{ proxy_pass http://u{number}; }} }}"
        )?;
    }
    text.push_str("}\n");
    Ok(text)
}

fn haproxy(hosts: usize, ports: Ports, moved: Option<usize>) -> Result<(String, String)> {
    let Ports { http, https, .. } = ports;
    let (mut text, mut map) = (String::new(), String::new());
    // Without `no strict-limits` it refuses to start where it could not have two files for each connection.
    writeln!(
        text,
        "global
 nbthread 1
 no strict-limits
 maxconn {CONNECTIONS}
 log stdout len 8192 format raw daemon
defaults
 mode http
 log global
 option httplog
 option forwardfor
 timeout connect 5s
 timeout client 60s
 timeout server 60s
frontend all
 bind 127.0.0.1:{http}
 bind 127.0.0.1:{https} ssl crt both.pem alpn h2,http/1.1
 http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
 use_backend %[req.hdr(host),host_only,lower,map(hosts.map,b0)]"
    )?;
    for number in 0..hosts {
        let (name, origin) = (host(number), origin(ports, number, moved));
        writeln!(text, "backend b{number}\n server s 127.0.0.1:{origin}")?;
        writeln!(map, "{name} b{number}")?;
    }
    Ok((text, map))
}

fn caddy(hosts: usize, ports: Ports, moved: Option<usize>) -> Result<String> {
    let Ports { http, https, admin, .. } = ports;
    let mut text = format!(
        "{{
 admin 127.0.0.1:{admin}
 auto_https off
}}
"
    );
    for number in 0..hosts {
        let (name, origin) = (host(number), origin(ports, number, moved));
        writeln!(
            text,
            "http://{name}:{http} {{\n log {{\n output file access.log\n }}\n reverse_proxy 127.0.0.1:{origin}\n}}"
        )?;
        // One site with TLS is enough: only the first host is asked over it.
        if name == HOST {
            writeln!(
                text,
                "https://{name}:{https} {{\n log {{\n output file access.log\n }}\n tls chain.pem key.pem\n \
                 reverse_proxy 127.0.0.1:{origin}\n}}"
            )?;
        }
    }
    Ok(text)
}
