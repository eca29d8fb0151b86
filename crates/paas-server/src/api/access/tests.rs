//! The table against the router, and every kind of token against the table.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// `GET /apps/{app}` for every route of the API. axum tells of its routes in its `Debug` text only.
fn routes() -> BTreeSet<String> {
    let text = format!("{:#?}", crate::api::endpoints());
    let (text, _) = text.split_once("fallback_router").expect("the text of a router");
    let (routes, node) = text.split_once("node: Node").expect("the text of its paths");
    let mut methods: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let mut current = 0;
    for line in routes.lines().map(str::trim) {
        if let Some(id) = line.strip_suffix(',').and_then(|id| id.parse().ok()) {
            current = id;
        }
        // The second is a handler with a layer of its own.
        if let Some((method, "BoxedHandler," | "Route,")) = line.split_once(": ") {
            methods.entry(current).or_default().push(method.to_uppercase());
        }
    }
    let mut found = BTreeSet::new();
    let mut current = None;
    for line in node.lines().map(str::trim) {
        if let Some(id) = line.strip_suffix(',').and_then(|id| id.parse::<u32>().ok()) {
            current = Some(id);
        }
        if let Some((id, path)) = current.zip(line.split('"').nth(1)) {
            found.extend(methods[&id].iter().map(|method| format!("{method} {path}")));
        }
    }
    found
}

#[test]
fn every_route_is_in_the_table_and_every_entry_is_a_route() {
    let routes = routes();
    assert!(routes.len() > 50 && routes.contains("GET /account"), "{routes:#?}");
    let entries: BTreeSet<String> = NEEDS.iter().map(|(route, _)| (*route).to_owned()).collect();
    assert_eq!(entries.len(), NEEDS.len(), "a route is in the table twice");
    let forgotten: Vec<_> = routes.difference(&entries).collect();
    assert!(forgotten.is_empty(), "not in needs.rs: {forgotten:#?}");
    let stale: Vec<_> = entries.difference(&routes).collect();
    assert!(stale.is_empty(), "in needs.rs, but there is no such route: {stale:#?}");
}

#[test]
fn whatever_names_an_app_wants_a_permission_on_it() {
    for (route, need) in NEEDS {
        // A client of `ps:exec` names it in its credentials.
        let names_app = route.contains("/apps/{app}") || route.contains(" /api/v2");
        assert_eq!(names_app, matches!(need, Need::App(..)), "{route}");
    }
}

#[test]
fn reads_want_scopes_for_reading_and_changes_want_scopes_for_changing() {
    for (route, need) in NEEDS {
        let (Need::Free(scope) | Need::Account(scope) | Need::Addon(scope) | Need::App(_, scope)) = *need else {
            continue;
        };
        // A log session is made to read, and a filter or a name to look up may be too long for a URL.
        let is_question = ["/log-sessions", "/resolve", "/filters/apps"];
        let is_read = route.starts_with("GET ") || is_question.iter().any(|end| route.ends_with(end));
        let changes = matches!(scope, Scope::Write | Scope::WriteProtected | Scope::Global);
        assert!(is_read || changes, "{route}");
        assert!(
            !is_read || !matches!(scope, Scope::Write | Scope::WriteProtected),
            "{route}"
        );
        assert!(!route.contains("config-vars") || scope == Scope::ReadProtected || scope == Scope::WriteProtected);
    }
}
