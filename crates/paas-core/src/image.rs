//! A reference to a container image.

use std::fmt;

/// A container image, by tag or by id, in the words of the engine that holds it. Opaque: only an engine reads it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef(String);

impl ImageRef {
    pub fn new(reference: impl Into<String>) -> Self {
        Self(reference.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The registry that a name begins with, with its port, as Docker reads names (distribution's *reference* package,
    /// `splitDockerDomain`): what has a dot or a colon, `localhost`, and what has an upper-case letter, which no path may
    /// have. `None` means Docker's own.
    pub fn registry(&self) -> Option<&str> {
        let (first, _) = self.0.split_once('/')?;
        let is_host = first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first;
        is_host.then_some(first)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_known_as_docker_knows_it() {
        for (name, registry) in [
            ("debian", None),
            ("debian:12", None),
            ("team/app:1", None),
            ("team/app.name:1", None),
            ("localhost/app", Some("localhost")),
            ("LOCALHOST/app", Some("LOCALHOST")),
            ("Metadata/app", Some("Metadata")),
            ("registry:5000/app", Some("registry:5000")),
            ("127.0.0.1:5000/a/b:c", Some("127.0.0.1:5000")),
            ("registry.example.com/a/b@sha256:00", Some("registry.example.com")),
        ] {
            assert_eq!(ImageRef::new(name).registry(), registry, "{name}");
        }
    }
}
