//! The shape of everything that crosses the wire: one table of resources, one of answers, one of requests.
//!
//! Both of its readers see the same: `GET /schema` tells it to programs, and the tests hold every answer against it, field
//! by field. A route without an answer here fails a test.
//!
//! Shapes are written in a small language: `name kind; name kind`, or inside of braces `{name:kind, name:kind}`.
//!
//! | kind | is |
//! |---|---|
//! | `bool int num str email uri uuid time` | one value; times are RFC 3339 in whole seconds of UTC |
//! | `ref` | of a request: a name or an id, or an object with one of them |
//! | `quantity` | of a request: a whole number, or a text of one |
//! | `obj`, `any` | an object whose names are nobody's business; anything |
//! | `enum(a/b)` | one of these words |
//! | `{…}`, `[kind]` | an object, a list |
//! | `kind?` | or null |
//!
//! `*` is every other name; `~name` may be left out of an answer; `name!` may not be left out of a request.

mod answers;
mod requests;
mod resources;

pub(super) use answers::ANSWERS;
pub(super) use requests::REQUESTS;
pub(super) use resources::RESOURCES;

/// What a route answers when it succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    One(&'static str),
    Many(&'static str),
    /// A list of texts.
    Texts(&'static str),
    /// An object without fields, about this resource: it was done.
    Done(&'static str),
    /// A list without items: there is none of this.
    None,
    /// It never succeeds: there is none of this.
    Refused,
    /// No JSON, or none of the API's own: a page, an archive, a stream.
    Raw,
}

/// One thing of the API.
pub(super) struct Resource {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// In the language of shapes.
    pub(super) fields: &'static str,
}

/// An object: its fields, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape(pub(super) Vec<Field>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// `*` is every other name.
    pub(super) name: &'static str,
    /// `~`: an answer may leave it out.
    pub(super) may_be_missing: bool,
    /// `!`: a request may not.
    pub(super) is_required: bool,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Number,
    Text,
    Email,
    Uri,
    Uuid,
    Time,
    Reference,
    Quantity,
    AnyObject,
    Anything,
    Word(Vec<&'static str>),
    Object(Shape),
    List(Box<Kind>),
    OrNull(Box<Kind>),
}

/// The resource of this name.
pub(super) fn resource(name: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|resource| resource.name == name)
}

/// What the body of this route may hold.
pub(super) fn request(route: &str) -> Option<Shape> {
    let (_, fields) = REQUESTS.iter().find(|(known, _)| *known == route)?;
    Some(Shape::of(fields))
}

impl Shape {
    /// Reads `name kind; name kind`.
    pub(super) fn of(text: &'static str) -> Self {
        Self(
            split(text, ';')
                .into_iter()
                .filter_map(|field| Field::of(field, ' '))
                .collect(),
        )
    }

    fn inside(text: &'static str) -> Self {
        Self(
            split(text, ',')
                .into_iter()
                .filter_map(|field| Field::of(field, ':'))
                .collect(),
        )
    }
}

impl Field {
    fn of(text: &'static str, after_name: char) -> Option<Self> {
        let (name, kind) = text.split_once(after_name)?;
        let name = name.trim();
        let (may_be_missing, name) = name.strip_prefix('~').map_or((name == "*", name), |name| (true, name));
        let (is_required, name) = name.strip_suffix('!').map_or((false, name), |name| (true, name));
        Some(Self {
            name,
            may_be_missing,
            is_required,
            kind: Kind::of(kind.trim()),
        })
    }
}

impl Kind {
    /// A word that is no kind is anything: a test reads the whole table, so that there is none.
    pub(super) fn of(text: &'static str) -> Self {
        if let Some(kind) = text.strip_suffix('?') {
            return Self::OrNull(Box::new(Self::of(kind)));
        }
        let within = |open: &str, close: char| text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        if let Some(fields) = within("{", '}') {
            return Self::Object(Shape::inside(fields));
        }
        if let Some(item) = within("[", ']') {
            return Self::List(Box::new(Self::of(item.trim())));
        }
        if let Some(words) = within("enum(", ')') {
            return Self::Word(words.split('/').collect());
        }
        match text {
            "bool" => Self::Bool,
            "int" => Self::Int,
            "num" => Self::Number,
            "str" => Self::Text,
            "email" => Self::Email,
            "uri" => Self::Uri,
            "uuid" => Self::Uuid,
            "time" => Self::Time,
            "ref" => Self::Reference,
            "quantity" => Self::Quantity,
            "obj" => Self::AnyObject,
            _ => Self::Anything,
        }
    }
}

/// Splits at a character that is not inside of brackets.
fn split(text: &'static str, between: char) -> Vec<&'static str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (position, character) in text.char_indices() {
        match character {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            _ if character == between && depth == 0 => {
                parts.push(text[start..position].trim());
                start = position + character.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests;
