//! The tables against the router and each other.

use std::collections::BTreeSet;

use super::*;
use crate::api::needs::NEEDS;

#[test]
fn every_route_has_an_answer_and_every_answer_a_route() {
    let routes: BTreeSet<&str> = NEEDS.iter().map(|(route, _)| *route).collect();
    let answers: BTreeSet<&str> = ANSWERS.iter().map(|(route, _)| *route).collect();
    assert_eq!(answers.len(), ANSWERS.len(), "a route has two answers");
    let forgotten: Vec<_> = routes.difference(&answers).collect();
    assert!(
        forgotten.is_empty(),
        "give them answers in shape/answers.rs: {forgotten:#?}"
    );
    let stale: Vec<_> = answers.difference(&routes).collect();
    assert!(
        stale.is_empty(),
        "in shape/answers.rs, but there is no such route: {stale:#?}"
    );
    for (route, _) in REQUESTS {
        assert!(
            routes.contains(route),
            "in shape/requests.rs, but there is no such route: {route}"
        );
        assert!(!route.starts_with("GET "), "{route}");
    }
}

#[test]
fn every_answer_is_about_a_resource_and_every_resource_is_answered() {
    let mut answered = BTreeSet::from(["error"]);
    for (route, answer) in ANSWERS {
        if let Answer::One(name) | Answer::Many(name) | Answer::Texts(name) | Answer::Done(name) = answer {
            assert!(
                resource(name).is_some(),
                "{route}: there is no {name} in shape/resources.rs"
            );
            answered.insert(name);
        }
    }
    for resource in RESOURCES {
        assert!(
            answered.contains(resource.name),
            "no route answers with {}",
            resource.name
        );
        assert!(resource.description.ends_with('.'), "{}", resource.name);
    }
}

/// A word that is no kind is read as anything: so the table says `any` where it means that.
#[test]
fn every_kind_is_one_of_the_language() {
    fn anything(kind: &Kind) -> usize {
        match kind {
            Kind::Anything => 1,
            Kind::Object(shape) => shape.0.iter().map(|field| anything(&field.kind)).sum(),
            Kind::List(kind) | Kind::OrNull(kind) => anything(kind),
            _ => 0,
        }
    }
    let texts = RESOURCES.iter().map(|resource| resource.fields);
    for text in texts.chain(REQUESTS.iter().map(|(_, fields)| *fields)) {
        let shape = Shape::of(text);
        assert_eq!(shape.0.len(), split(text, ';').len(), "{text}");
        let meant = text.split(|character: char| !character.is_ascii_alphanumeric());
        let meant = meant.filter(|word| *word == "any").count();
        let read: usize = shape.0.iter().map(|field| anything(&field.kind)).sum();
        assert_eq!(read, meant, "a kind is misspelt: {text}");
    }
}

#[test]
fn fields_are_read_as_they_are_written() {
    let shape = Shape::of("app! {id:uuid, ~name:str?}; ca_signed? bool; words [enum(a/b)]?; * any");
    let names: Vec<_> = shape.0.iter().map(|field| (field.name, field.is_required)).collect();
    assert_eq!(
        names,
        [("app", true), ("ca_signed?", false), ("words", false), ("*", false)]
    );
    let Kind::Object(app) = &shape.0[0].kind else {
        panic!("{shape:?}");
    };
    assert_eq!((app.0[1].name, app.0[1].may_be_missing), ("name", true));
    assert_eq!(app.0[1].kind, Kind::OrNull(Box::new(Kind::Text)));
    assert_eq!(
        shape.0[2].kind,
        Kind::OrNull(Box::new(Kind::List(Box::new(Kind::Word(vec!["a", "b"])))))
    );
    assert_eq!(shape.0[3].kind, Kind::Anything);
}
