use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::platform::Paas;

fn disk(used_percent: u64) -> Value {
    json!({
        "accounts": [
            { "bytes": 3_221_225_472_u64, "name": "images of apps", "prunable_bytes": 1_288_490_188_u64 },
            { "bytes": 52_428_800, "name": "logs", "prunable_bytes": 0 },
            { "bytes": 0, "name": "backups", "prunable_bytes": 0 },
        ],
        "apps": [{
            "app": { "id": "01234567-89ab-cdef-0123-456789abcdef", "name": "hello" },
            "build_output_bytes": 1024,
            "cache_bytes": 104_857_600,
            "container_bytes": 0,
            "image_bytes": 3_221_225_472_u64,
            "image_copy_bytes": 10_485_760,
            "log_bytes": 52_428_800,
            "repository_bytes": 2048,
            "total_bytes": 3_389_000_704_u64,
        }],
        "file_systems": [{
            "free_bytes": 5_368_709_120_u64,
            "holds": ["engine", "data"],
            "path": "/var/lib/docker",
            "size_bytes": 42_949_672_960_u64,
            "used_bytes": 37_580_963_840_u64,
            "used_percent": used_percent,
        }],
        "limit_percent": 85,
        "measured_at": "2026-11-21T12:00:00Z",
    })
}

#[test]
fn the_disk_is_shown_with_what_can_go() {
    let paas = Paas::new().on("GET /disk", disk(88));
    assert_snapshot!(paas.run("disk"), @r"
    exit: 0
    --- stdout
    === File Systems

      path              holds          size    free     used
     ────────────────────────────────────────────────────────
      /var/lib/docker   engine, data   40 GB   5.0 GB   88 %

    === Accounts

      account          size     can go
     ──────────────────────────────────
      images of apps   3.0 GB   1.2 GB
      logs             50 MB

    === Apps

      app     total    images   copies   cache    dynos   repository   logs
     ────────────────────────────────────────────────────────────────────────
      hello   3.2 GB   3.0 GB   10 MB    100 MB   0 B     2.0 KB       50 MB

    --- stderr
    Measuring... done
     !    Warning: Builds start below 85 %. What can go, goes with: paas disk:prune
    --- requests
    GET /disk
    ");
    let json = paas.run("disk --json");
    assert!(json.contains("\"used_percent\": 88"), "{json}");
}

#[test]
fn a_prune_says_what_went() {
    let pruned = json!({
        "dry_run": true,
        "items": [
            {
                "app": { "id": "01234567-89ab-cdef-0123-456789abcdef", "name": "hello" },
                "bytes": 0,
                "kind": "release",
                "name": "v2",
            },
            { "app": null, "bytes": 2048, "kind": "log", "name": "5b0c" },
        ],
        "pruned_bytes": 2048,
    });
    let nothing = json!({ "dry_run": false, "items": [], "pruned_bytes": 0 });
    let paas = Paas::new().on("POST /disk/actions/prune", pruned);
    assert_snapshot!(paas.run("disk:prune --dry-run"), @r#"
    exit: 0
    --- stdout
      what      name   app     size
     ─────────────────────────────────
      release   v2     hello   0 B
      log       5b0c           2.0 KB

    --- stderr
    Looking for what nobody needs... done, 2.0 KB
    --- requests
    POST /disk/actions/prune | {"dry_run":true}
    "#);
    let paas = Paas::new().on("POST /disk/actions/prune", nothing);
    assert_snapshot!(paas.run("disk:prune"), @r#"
    exit: 0
    --- stderr
    Removing what nobody needs... done, 0 B
    There is nothing that nobody needs.
    --- requests
    POST /disk/actions/prune | {"dry_run":false}
    "#);
}
