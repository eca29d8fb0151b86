//! Who may come to an add-on.

use std::fmt::Write as _;

use paas_core::{Addon, CredentialName, Id};
use paas_store::addon::Values;

use super::Service;

/// User, password and database of an add-on. `Debug` shows none of them.
pub(crate) struct Credentials(Values);

const USER: &str = "USER";
const PASSWORD: &str = "PASSWORD";
const DATABASE: &str = "DATABASE";
/// As many letters and digits of a password as 256 bits need.
const PASSWORD_LENGTH: usize = 43;
const NAME_LENGTH: usize = 13;

impl Credentials {
    /// New ones. Letters and digits only: they go into URLs, shells and configuration files of every kind.
    pub(crate) fn invent() -> Self {
        let name = |first: char| {
            let mut name = String::from(first);
            name.push_str(&word(NAME_LENGTH, b"abcdefghijklmnopqrstuvwxyz0123456789"));
            name
        };
        let mut password = String::from("p");
        password.push_str(&word(
            PASSWORD_LENGTH,
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        ));
        Self(
            [(USER, name('u')), (PASSWORD, password), (DATABASE, name('d'))]
                .map(|(key, value)| (key.to_owned(), value))
                .into(),
        )
    }

    /// The same user and database with a new password.
    pub(crate) fn rotated(mut self) -> Self {
        let fresh = Self::invent();
        let password = fresh.get(PASSWORD).to_owned();
        self.0.insert(PASSWORD.to_owned(), password);
        self
    }

    /// What makes another user of the same database.
    pub(crate) fn invent_user(name: &CredentialName) -> Values {
        let mut values = Self::invent().0;
        values.remove(DATABASE);
        values.insert(USER.to_owned(), name.to_string());
        values
    }

    /// Those of another user of the same database.
    pub(crate) fn of_user(&self, mut user: Values) -> Self {
        user.insert(DATABASE.to_owned(), self.get(DATABASE).to_owned());
        Self(user)
    }

    /// User and password alone.
    pub(crate) fn user_values(&self) -> Values {
        let mut values = self.0.clone();
        values.remove(DATABASE);
        values
    }

    /// What a script reads that tells the server of another user.
    pub(crate) fn to_role(&self) -> String {
        format!("ROLE={}\nROLE_PASSWORD={}\n", self.get(USER), self.get(PASSWORD))
    }

    pub(crate) fn user(&self) -> &str {
        self.get(USER)
    }

    pub(crate) fn password(&self) -> &str {
        self.get(PASSWORD)
    }

    pub(crate) fn database(&self) -> &str {
        self.get(DATABASE)
    }

    pub(crate) const fn from_values(values: Values) -> Self {
        Self(values)
    }

    pub(crate) const fn values(&self) -> &Values {
        &self.0
    }

    /// What a shell in the container reads.
    pub(crate) fn to_file(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.0 {
            // Letters and digits: nothing that a shell would read otherwise.
            let _ = writeln!(text, "{key}={value}");
        }
        text
    }

    /// The values of the config vars of an attachment, by what they end in.
    pub(crate) fn config(&self, service: &Service, addon: Id<Addon>) -> Values {
        let host = host(addon);
        let render = |template: &str| self.render(template, (&host, service.kind.port));
        let config = service.kind.config.iter();
        config
            .map(|(suffix, template)| (suffix.clone(), render(template)))
            .collect()
    }

    /// A template with these credentials, for a client that comes by this host and port.
    pub(crate) fn render(&self, template: &str, (host, port): (&str, u16)) -> String {
        template
            .replace("{user}", self.get(USER))
            .replace("{password}", self.get(PASSWORD))
            .replace("{database}", self.get(DATABASE))
            .replace("{host}", host)
            .replace("{port}", &port.to_string())
    }

    fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }
}

/// What an add-on is called on the networks of its apps. It outlives renames: connections are made anew at any time.
pub(crate) fn host(addon: Id<Addon>) -> String {
    let digits = addon.as_uuid().simple().to_string();
    // The random ones of a version 7 UUID.
    format!("addon-{}", &digits[digits.len() - 12..])
}

/// Letters at random, each as likely as any other.
fn word(length: usize, letters: &[u8]) -> String {
    let letter = |byte: u8| {
        let index = usize::from(byte);
        // Bytes beyond a multiple of the letters would make some of them likelier.
        (index < 256 / letters.len() * letters.len()).then(|| char::from(letters[index % letters.len()]))
    };
    let mut word = String::new();
    while word.len() < length {
        let mut random = [0; 64];
        getrandom::fill(&mut random).expect("the kernel has randomness once the machine has booted");
        word.extend(random.into_iter().filter_map(letter).take(length - word.len()));
    }
    word
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use uuid::Uuid;

    use super::*;
    use crate::addon::Catalogue;

    #[test]
    fn a_database_has_the_address_that_libraries_expect() {
        let catalogue = Catalogue::load(Path::new("/nowhere")).unwrap();
        let service = catalogue.service("heroku-postgresql").unwrap();
        let credentials = Credentials::invent();
        let config = credentials.config(service, Uuid::from_u128(0xabc).into());
        let (user, database) = (credentials.get(USER), credentials.get(DATABASE));
        let password = credentials.get(PASSWORD);
        assert_eq!(
            config["URL"],
            format!("postgres://{user}:{password}@addon-000000000abc:5432/{database}")
        );
        assert!(password.len() > PASSWORD_LENGTH && password.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let file = credentials.to_file();
        assert!(file.contains(&format!("PASSWORD={password}\n")), "{file}");
        let before = password.to_owned();
        let after = credentials.rotated();
        assert_ne!(after.get(PASSWORD), before);
        assert!(file.contains(&format!("USER={}\n", after.get(USER))));
    }
}
