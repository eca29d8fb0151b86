//! What somebody may do with an app, and what a token may be used for.
//!
//! Two gates, both have to be open: the permissions that an account has on an app, and the scope of the token that
//! speaks for the account. Which endpoint wants what is the API's table; who has what is decided in `role`.

use std::{
    fmt,
    ops::{BitOr, BitOrAssign},
    str::FromStr,
};

use crate::NameError;

/// One permission on an app (Dev Center, *App Permissions and Allowed Actions*).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Permission {
    /// Fetch and push code, read and edit config vars, run one-off dynos, roll back.
    Deploy = 1,
    /// All of an app that is not its code: names, certificates, drains, features, scale, config vars.
    Operate = 2,
    /// Rename, lock, transfer and destroy, and say who else works on the app.
    Manage = 4,
    /// See the app, its releases, dynos and log.
    View = 8,
    /// Say who else works on the app. Part of `manage`; collaborators of a person's app have it without the rest, and it
    /// has no name on the wire (Dev Center, *Collaborating with Other Developers on Your App*).
    Share = 16,
}

/// A set of permissions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Permissions(u8);

impl Permission {
    /// Those that have a name, by name.
    pub const NAMED: [Self; 4] = [Self::Deploy, Self::Manage, Self::Operate, Self::View];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Operate => "operate",
            Self::Manage => "manage",
            Self::View => "view",
            Self::Share => "share",
        }
    }

    pub const fn description(self) -> &'static str {
        match self {
            Self::Deploy => "Can fetch and deploy code, run one-off dynos and change config vars",
            Self::Operate => {
                "Can scale and restart the app, and change its config vars, domains, certificates and drains"
            }
            Self::Manage => "Can rename, lock, transfer and destroy the app, and manage its collaborators",
            Self::View => "Can view the app, its releases, dynos and log",
            Self::Share => "Can add and remove collaborators",
        }
    }
}

impl Permissions {
    pub const NONE: Self = Self(0);
    pub const VIEW: Self = Self(Permission::View as u8);
    pub const DEPLOY: Self = Self(Permission::Deploy as u8);
    pub const OPERATE: Self = Self(Permission::Operate as u8);
    pub const MANAGE: Self = Self(Permission::Manage as u8);
    pub const SHARE: Self = Self(Permission::Share as u8);
    /// What an owner has, and an admin of the team that owns the app.
    pub const ALL: Self = Self(31);

    /// Whether any of these is among `others`.
    pub const fn any_of(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission as u8 != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both sets.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// What somebody gets who is given these: whoever may do anything may look, and whoever manages may share.
    #[must_use]
    pub fn given(names: impl IntoIterator<Item = Permission>) -> Self {
        let mut permissions = Self::VIEW;
        for permission in names {
            permissions |= Self(permission as u8);
        }
        if permissions.contains(Permission::Manage) {
            permissions |= Self::SHARE;
        }
        permissions
    }

    /// Those that have a name, by name.
    pub fn named(self) -> impl Iterator<Item = Permission> {
        Permission::NAMED
            .into_iter()
            .filter(move |permission| self.contains(*permission))
    }
}

impl FromStr for Permission {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::NAMED
            .into_iter()
            .find(|permission| permission.as_str() == text)
            .ok_or(NameError::new("Permission", "must be deploy, manage, operate or view"))
    }
}

impl BitOr for Permissions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitOrAssign for Permissions {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.with(other);
    }
}

/// `deploy or operate`
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.contains(Permission::Share) && !self.contains(Permission::Manage);
        // Nobody is given the permission without a name: to those who lack it, it is `manage`.
        let names = self.named().chain(share.then_some(Permission::Manage));
        for (index, permission) in names.enumerate() {
            let separator = if index == 0 { "" } else { " or " };
            write!(f, "{separator}{}", permission.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permissions({self})")
    }
}

/// What a token may be used for (Dev Center, *OAuth*, scopes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everything, the account and its other tokens included.
    Global,
    /// Who the account is, and nothing else.
    Identity,
    /// All apps, without config vars and other secrets.
    Read,
    /// The same, and changes.
    Write,
    /// All apps, config vars included.
    ReadProtected,
    /// The same, and changes.
    WriteProtected,
}

impl Scope {
    pub const ALL: [Self; 6] = [
        Self::Global,
        Self::Identity,
        Self::Read,
        Self::Write,
        Self::ReadProtected,
        Self::WriteProtected,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Identity => "identity",
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadProtected => "read-protected",
            Self::WriteProtected => "write-protected",
        }
    }

    /// Whether a token of this scope is enough where `needed` is.
    pub const fn covers(self, needed: Self) -> bool {
        match self {
            Self::Global => true,
            Self::Identity => matches!(needed, Self::Identity),
            Self::Read => matches!(needed, Self::Read),
            Self::Write => matches!(needed, Self::Read | Self::Write),
            Self::ReadProtected => matches!(needed, Self::Read | Self::ReadProtected),
            Self::WriteProtected => !matches!(needed, Self::Global | Self::Identity),
        }
    }

    /// Whether any of a token's scopes is enough. A scope that this version does not know opens nothing.
    pub fn any_covers<S: AsRef<str>>(scopes: &[S], needed: Self) -> bool {
        scopes
            .iter()
            .filter_map(|scope| scope.as_ref().parse().ok())
            .any(|scope: Self| scope.covers(needed))
    }
}

impl FromStr for Scope {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or(NameError::new(
                "Scope",
                "must be global, identity, read, write, read-protected or write-protected",
            ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_read_by_their_names_only() {
        for permission in Permission::NAMED {
            assert_eq!(permission.as_str().parse(), Ok(permission));
        }
        for bad in ["", "share", "View", "admin"] {
            assert!(bad.parse::<Permission>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn whoever_is_given_anything_may_look_and_whoever_manages_may_share() {
        assert_eq!(Permissions::given([]), Permissions::VIEW);
        assert_eq!(
            Permissions::given([Permission::Deploy]),
            Permissions::VIEW | Permissions::DEPLOY
        );
        assert_eq!(Permissions::given(Permission::NAMED), Permissions::ALL);
        assert!(!Permissions::given([Permission::Operate]).contains(Permission::Share));
    }

    #[test]
    fn a_set_reads_as_what_one_would_need() {
        assert_eq!(
            (Permissions::DEPLOY | Permissions::OPERATE).to_string(),
            "deploy or operate"
        );
        assert_eq!(Permissions::SHARE.to_string(), "manage");
        assert_eq!(Permissions::ALL.to_string(), "deploy or manage or operate or view");
    }

    /// Rows: what a token has. Columns: what it is used for, in the order of [`Scope::ALL`].
    #[test]
    fn a_token_does_what_its_scope_says() {
        let table = [
            (Scope::Global, [1, 1, 1, 1, 1, 1]),
            (Scope::Identity, [0, 1, 0, 0, 0, 0]),
            (Scope::Read, [0, 0, 1, 0, 0, 0]),
            (Scope::Write, [0, 0, 1, 1, 0, 0]),
            (Scope::ReadProtected, [0, 0, 1, 0, 1, 0]),
            (Scope::WriteProtected, [0, 0, 1, 1, 1, 1]),
        ];
        for (scope, row) in table {
            for (needed, expected) in Scope::ALL.into_iter().zip(row) {
                assert_eq!(scope.covers(needed), expected == 1, "{scope:?} for {needed:?}");
            }
        }
        assert!(Scope::any_covers(&["identity", "read"], Scope::Read));
        assert!(!Scope::any_covers(&["everything", "identity"], Scope::Read));
        assert!(!Scope::any_covers::<&str>(&[], Scope::Identity));
    }
}
