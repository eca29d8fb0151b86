//! Pushes that nobody makes by accident: crafted trees, sent by a real git.

use git2::{ObjectType, Oid, Repository, Signature};

use super::*;

/// A tree as git stores it, with nothing checked.
struct Crafted {
    repository: Repository,
}

impl Crafted {
    /// The client's git packs it as it is: only what is checked out is looked at there.
    fn in_client(client: &Client) -> Self {
        Self {
            repository: Repository::open(&client.path).unwrap(),
        }
    }

    fn write(&self, kind: ObjectType, bytes: &[u8]) -> Oid {
        self.repository.odb().unwrap().write(kind, bytes).unwrap()
    }

    fn blob(&self, content: &str) -> Oid {
        self.write(ObjectType::Blob, content.as_bytes())
    }

    fn tree(&self, entries: &[(&str, &str, Oid)]) -> Oid {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            bytes.extend_from_slice(id.as_bytes());
        }
        self.write(ObjectType::Tree, &bytes)
    }

    /// Points `main` at a commit of this tree.
    fn commit(&self, tree: Oid) {
        let signature = Signature::new("Eve", "eve@example.com", &git2::Time::new(1_700_000_000, 0)).unwrap();
        let text = format!("tree {tree}\nauthor {0}\ncommitter {0}\n\nhostile\n", raw(&signature));
        let commit = self.write(ObjectType::Commit, text.as_bytes());
        self.repository.reference("refs/heads/main", commit, true, "").unwrap();
    }
}

fn raw(signature: &Signature<'_>) -> String {
    let when = signature.when().seconds();
    format!(
        "{} <{}> {when} +0000",
        signature.name().unwrap(),
        signature.email().unwrap()
    )
}

/// What it is, how it is made, and what is said about it.
type Case<'a> = (&'a str, &'a dyn Fn(&Crafted) -> Oid, &'a str);

/// Pushes each tree, and expects these words, no deploy and no ref.
async fn assert_refused(cases: &[Case<'_>]) {
    let fixture = Fixture::start().await;
    for (number, (what, craft, words)) in cases.iter().enumerate() {
        let client = fixture.client(&format!("client-{number}")).await;
        let crafted = Crafted::in_client(&client);
        crafted.commit(craft(&crafted));
        let Err(said) = client.push(&["main"]).await else {
            panic!("{what} was accepted");
        };
        assert!(said.contains(words), "{what}: {words:?} is missing in:\n{said}");
        assert!(fixture.deploys().is_empty(), "{what} was deployed");
        assert_eq!(fixture.main(), None, "{what}");
    }
    fixture.end().await;
}

#[tokio::test]
async fn what_leads_out_of_the_tree_is_refused() {
    assert_refused(&[
        (
            "an absolute link",
            &|git| git.tree(&[("120000", "passwd", git.blob("/etc/passwd"))]),
            "the link passwd leads out of the source, to /etc/passwd",
        ),
        (
            "a link upwards",
            &|git| {
                let inner = git.tree(&[("120000", "up", git.blob("../../outside"))]);
                git.tree(&[("40000", "a", inner)])
            },
            "the link a/up leads out of the source",
        ),
        (
            "a link through a link",
            &|git| {
                let inner = git.tree(&[("120000", "up", git.blob(".."))]);
                git.tree(&[("40000", "deep", inner), ("120000", "out", git.blob("deep/up/../x"))])
            },
            "the link out leads out of the source",
        ),
        (
            "a symlinked .gitattributes that is absolute",
            &|git| git.tree(&[("120000", ".gitattributes", git.blob("/etc/passwd"))]),
            "leads out of the source",
        ),
        (
            "a file called ..",
            &|git| git.tree(&[("100644", "..", git.blob("x"))]),
            "rejected",
        ),
        (
            "a directory called .git",
            &|git| {
                let inner = git.tree(&[("100644", "config", git.blob("x"))]);
                git.tree(&[("40000", ".git", inner)])
            },
            "rejected",
        ),
        (
            "a directory called .GIT",
            &|git| {
                let inner = git.tree(&[("100644", "config", git.blob("x"))]);
                git.tree(&[("40000", ".GIT", inner)])
            },
            "rejected",
        ),
        (
            "a path in a name",
            &|git| git.tree(&[("100644", "../x", git.blob("x"))]),
            "rejected",
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_is_too_much_is_refused_before_it_is_unpacked() {
    assert_refused(&[
        (
            "ten thousand million files in twelve objects",
            &|git| {
                let names: Vec<_> = (0..10).map(|number| format!("f{number}")).collect();
                let mut id = git.blob("boom");
                for level in 0..10 {
                    let mode = if level == 0 { "100644" } else { "40000" };
                    let entries: Vec<_> = names.iter().map(|name| (mode, name.as_str(), id)).collect();
                    id = git.tree(&entries);
                }
                id
            },
            "more than 50000 files",
        ),
        (
            "as many empty directories",
            &|git| {
                let names: Vec<_> = (0..10).map(|number| format!("d{number}")).collect();
                let mut id = git.tree(&[]);
                for _ in 0..10 {
                    let entries: Vec<_> = names.iter().map(|name| ("40000", name.as_str(), id)).collect();
                    id = git.tree(&entries);
                }
                id
            },
            "more than 50000 directories",
        ),
        (
            "two gigabytes of zeros",
            &|git| {
                let zeros = git.blob(&"\0".repeat(1024 * 1024));
                let names: Vec<_> = (0..2000).map(|number| format!("f{number:04}")).collect();
                let entries: Vec<_> = names.iter().map(|name| ("100644", name.as_str(), zeros)).collect();
                git.tree(&entries)
            },
            "larger than 1 GB",
        ),
        (
            "a path of two kilobytes",
            &|git| {
                let mut id = git.blob("x");
                let mut mode = "100644";
                for _ in 0..20 {
                    id = git.tree(&[(mode, &"d".repeat(100), id)]);
                    mode = "40000";
                }
                id
            },
            "a path is longer than 1024 bytes",
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_is_no_source_is_refused() {
    assert_refused(&[
        ("no files", &|git| git.tree(&[]), "the commit has no files"),
        (
            "a mode that git never writes",
            &|git| git.tree(&[("104755", "setuid", git.blob("x"))]),
            "rejected",
        ),
        (
            "an empty link",
            &|git| git.tree(&[("120000", "link", git.blob(""))]),
            "the link link has no usable target",
        ),
    ])
    .await;
}

#[tokio::test]
async fn links_inside_of_the_tree_and_old_modes_are_fine_and_submodules_left_out() {
    let fixture = Fixture::start().await;
    let client = fixture.client("client").await;
    let crafted = Crafted::in_client(&client);
    let long = "d".repeat(200);
    let deep = crafted.tree(&[("100644", "file", crafted.blob("deep"))]);
    let submodule = Oid::from_str(&"1".repeat(40)).unwrap();
    crafted.commit(crafted.tree(&[
        ("100664", "Procfile", crafted.blob("web: ./run")),
        ("120000", "current", crafted.blob(&format!("{long}/file"))),
        ("40000", &long, deep),
        ("100755", "run", crafted.blob("#!/bin/sh\n")),
        ("160000", "vendor", submodule),
    ]));
    let said = client.push(&["main"]).await.unwrap();
    assert!(said.contains("Left out the submodule vendor"), "{said}");
    let files = &fixture.deploys()[0].files;
    assert_eq!(files["Procfile"], b"web: ./run");
    assert_eq!(files["current"], format!("-> {long}/file").as_bytes());
    assert_eq!(files[&format!("{long}/file")], b"deep");
    assert!(!files.contains_key("vendor"));
    fixture.end().await;
}
