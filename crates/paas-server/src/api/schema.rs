//! `GET /schema`: the API as a hyper-schema (JSON Schema draft 4), from which clients are made. It is written from the tables
//! that the tests hold every answer against, so it says what is served and nothing else.

use std::{collections::BTreeMap, sync::LazyLock};

use axum::Json;
use serde_json::{Map, Value, json};

use super::{
    origin::Origin,
    shape::{ANSWERS, Answer, Field, Kind, RESOURCES, Resource, Shape, request, resource},
};

/// What identifies a thing beside its id, where it has that.
const NAMES: [&str; 5] = ["id", "name", "hostname", "email", "version"];

static DEFINITIONS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let mut links = links();
    RESOURCES
        .iter()
        .map(|resource| {
            let links = links.remove(resource.name).unwrap_or_default();
            (resource.name.to_owned(), definition(resource, links))
        })
        .collect()
});

pub(super) async fn info(origin: Origin) -> Json<Value> {
    let properties: Map<String, Value> = RESOURCES
        .iter()
        .map(|resource| (resource.name.to_owned(), reference(resource.name)))
        .collect();
    Json(json!({
        "$schema": "http://interagent.github.io/interagent-hyper-schema",
        "definitions": *DEFINITIONS,
        "description": "The Platform API of this platform, in the words of Heroku's.",
        "id": "paas",
        "links": [
            { "href": origin.url(""), "rel": "self", "title": "Index" },
            { "href": "/schema", "method": "GET", "rel": "self", "title": "Schema" },
        ],
        "properties": properties,
        "title": "Platform API",
        "type": ["object"],
    }))
}

fn definition(resource: &Resource, links: Vec<Value>) -> Value {
    let shape = Shape::of(resource.fields);
    let named = || shape.0.iter().filter(|field| field.name != "*");
    let path = |field: &str| format!("#/definitions/{}/definitions/{field}", resource.name);
    let mut definitions: Map<String, Value> = named()
        .map(|field| (field.name.to_owned(), kind(&field.kind, is_answered)))
        .collect();
    let identities: Vec<Value> = named()
        .filter(|field| NAMES.contains(&field.name))
        .map(|field| json!({ "$ref": path(field.name) }))
        .collect();
    let identity = if identities.is_empty() {
        json!({ "type": ["string"] })
    } else {
        json!({ "anyOf": identities })
    };
    definitions.insert("identity".to_owned(), identity);
    let properties: Map<String, Value> = named()
        .map(|field| (field.name.to_owned(), json!({ "$ref": path(field.name) })))
        .collect();
    let mut definition = object(&shape, is_answered);
    definition["$schema"] = json!("http://json-schema.org/draft-04/hyper-schema");
    definition["definitions"] = Value::Object(definitions);
    definition["description"] = json!(resource.description);
    definition["links"] = Value::Array(links);
    definition["properties"] = Value::Object(properties);
    definition["title"] = json!(format!("Platform API - {}", titled(resource.name)));
    definition
}

/// The links of each resource, as they are in the table of answers.
fn links() -> BTreeMap<&'static str, Vec<Value>> {
    let mut links: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (route, answer) in ANSWERS {
        let (name, target) = match *answer {
            Answer::One(name) => (name, reference(name)),
            Answer::Many(name) => (name, json!({ "items": reference(name), "type": ["array"] })),
            Answer::Texts(name) => (name, json!({ "items": { "type": ["string"] }, "type": ["array"] })),
            Answer::Done(name) => (name, json!({ "additionalProperties": false, "type": ["object"] })),
            Answer::None | Answer::Refused | Answer::Raw => continue,
        };
        let Some((method, path)) = route.split_once(' ') else {
            continue;
        };
        let links = links.entry(name).or_default();
        let title = title(method, path, *answer, links);
        let mut link = json!({
            "description": format!("{} `{route}`", resource(name).map_or("", |resource| resource.description)),
            "href": href(path, name),
            "method": method,
            "rel": rel(method, *answer),
            "targetSchema": target,
            "title": title,
        });
        if let Some(body) = request(route) {
            link["schema"] = object(&body, is_asked_for);
        }
        links.push(link);
    }
    links
}

const fn rel(method: &str, answer: Answer) -> &'static str {
    match (method.as_bytes(), answer) {
        (b"GET", Answer::Many(_)) => "instances",
        (b"GET", _) => "self",
        (b"POST", _) => "create",
        (b"DELETE", _) => "destroy",
        _ => "update",
    }
}

/// Clients name their methods after it, so no two links of a resource share one.
fn title(method: &str, path: &str, answer: Answer, others: &[Value]) -> String {
    let action = path.rsplit_once("/actions/").map(|(_, action)| titled(action));
    let usual = action.unwrap_or_else(|| {
        let usual = match (method, answer) {
            ("GET", Answer::Many(_)) => "List",
            ("GET", _) => "Info",
            ("POST", _) => "Create",
            ("DELETE", _) => "Delete",
            _ => "Update",
        };
        usual.to_owned()
    });
    if others.iter().all(|link| link["title"] != usual.as_str()) {
        return usual;
    }
    let words = |of: &dyn Fn(&str) -> bool| {
        let words = path.split(['/', '{', '}']).filter(|word| !word.is_empty() && of(word));
        let words: Vec<String> = words.map(titled).collect();
        format!("{usual} {}", words.join(" "))
    };
    let short = words(&|word| !path.contains(&format!("{{{word}}}")));
    if others.iter().all(|link| link["title"] != short.as_str()) {
        return short;
    }
    words(&|_| true)
}

/// `/apps/{(%23%2Fdefinitions%2Fapp%2Fdefinitions%2Fidentity)}`: each parameter leads to the identity of a resource.
fn href(path: &str, about: &str) -> String {
    let segment = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(parameter) => {
            let whole = RESOURCES.iter().find(|resource| resource.name == parameter);
            let ending = || {
                let end = format!("-{parameter}");
                RESOURCES.iter().find(|resource| resource.name.ends_with(&end))
            };
            // `type` of a formation, `name` of a buildpack.
            let name = whole.or_else(ending).map_or(about, |resource| resource.name);
            format!("{{(%23%2Fdefinitions%2F{name}%2Fdefinitions%2Fidentity)}}")
        }
        None => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

/// Whether a field has to be there.
type Rule = fn(&Field) -> bool;

const fn is_answered(field: &Field) -> bool {
    !field.may_be_missing
}

const fn is_asked_for(field: &Field) -> bool {
    field.is_required
}

fn object(shape: &Shape, rule: Rule) -> Value {
    let named = shape.0.iter().filter(|field| field.name != "*");
    let required: Vec<_> = named
        .clone()
        .filter(|field| rule(field))
        .map(|field| field.name)
        .collect();
    let properties: Map<String, Value> = named
        .map(|field| (field.name.to_owned(), kind(&field.kind, rule)))
        .collect();
    // What fields without a name of their own are: none, or the kind of `*`.
    let others = shape.0.iter().find(|field| field.name == "*");
    let mut object = json!({
        "additionalProperties": others.map_or(Value::Bool(false), |field| kind(&field.kind, rule)),
        "properties": properties,
        "type": ["object"],
    });
    // Draft 4 has no empty list here.
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn kind(of: &Kind, rule: Rule) -> Value {
    let text = |format: &str| json!({ "format": format, "type": ["string"] });
    match of {
        Kind::Bool => json!({ "type": ["boolean"] }),
        Kind::Int => json!({ "type": ["integer"] }),
        Kind::Number => json!({ "type": ["number"] }),
        Kind::Text => json!({ "type": ["string"] }),
        Kind::Email => text("email"),
        Kind::Uri => text("uri"),
        Kind::Uuid => text("uuid"),
        Kind::Time => text("date-time"),
        Kind::Reference => json!({ "type": ["string", "object"] }),
        Kind::Quantity => json!({ "type": ["integer", "string"] }),
        Kind::AnyObject => json!({ "type": ["object"] }),
        Kind::Anything => json!({}),
        Kind::Word(words) => json!({ "enum": words, "type": ["string"] }),
        Kind::Object(shape) => object(shape, rule),
        Kind::List(item) => json!({ "items": kind(item, rule), "type": ["array"] }),
        Kind::OrNull(some) => {
            let mut schema = kind(some, rule);
            for (name, null) in [("type", json!("null")), ("enum", Value::Null)] {
                if let Some(list) = schema.get_mut(name).and_then(Value::as_array_mut) {
                    list.push(null);
                }
            }
            schema
        }
    }
}

/// `config-var` is `Config Var`.
fn titled(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}
