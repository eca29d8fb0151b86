//! Who somebody is to an app or a team, and what that lets them do.
//!
//! ```text
//! a person's app:  owner ─ all      collaborator ─ all but rename, transfer and destroy
//! a team's app:    admin ─ all      member, viewer ─ view, while it is not locked      anybody ─ what they were given
//! ```
//!
//! (Dev Center: *Collaborating with Other Developers on Your App*, *Using App Permissions in Enterprise Teams*.)

use std::str::FromStr;

use crate::{NameError, Permissions};

/// What somebody is to an app or to a team, in Heroku's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Owner,
    Admin,
    Collaborator,
    Member,
    /// Sees what a member sees, and changes nothing.
    Viewer,
}

/// What can be done with a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TeamAction {
    /// See that it is there, and its features and apps: those that one may see.
    Look,
    /// See who is in it.
    SeeMembers,
    /// Make apps in it, and bring apps into it.
    AddApps,
    /// Rename and delete it, and say who is in it.
    Manage,
}

/// How somebody stands to one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// The app is this person's own.
    pub is_owner: bool,
    /// The role in the team that owns the app.
    pub team_role: Option<Role>,
    /// A team owns the app.
    pub is_team_app: bool,
    /// Members who were not added to it do not see it.
    pub is_locked: bool,
    /// What they were given as a collaborator of this app.
    pub given: Option<Permissions>,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Collaborator, Self::Member, Self::Viewer];
    /// Those that a member of a team can have.
    pub const OF_MEMBERS: [Self; 3] = [Self::Admin, Self::Member, Self::Viewer];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Collaborator => "collaborator",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }

    /// Whether this role in a team is enough.
    pub const fn may(self, action: TeamAction) -> bool {
        match self {
            Self::Owner | Self::Admin => true,
            Self::Member => !matches!(action, TeamAction::Manage),
            Self::Viewer => matches!(action, TeamAction::Look | TeamAction::SeeMembers),
            Self::Collaborator => matches!(action, TeamAction::Look),
        }
    }
}

impl FromStr for Role {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(NameError::new("Role", "must be admin, member or viewer"))
    }
}

impl Standing {
    /// What a collaborator of a person's app may do, and a member of a team who joined one of its apps.
    pub const COLLABORATOR: Permissions = Permissions::VIEW.with(Permissions::DEPLOY).with(Permissions::OPERATE);

    /// All that this person may do with the app. Nothing: they do not get to see it.
    pub fn permissions(self) -> Permissions {
        if self.is_owner || self.is_team_app && matches!(self.team_role, Some(Role::Owner | Role::Admin)) {
            return Permissions::ALL;
        }
        if !self.is_team_app {
            return match self.given {
                Some(_) => Self::COLLABORATOR | Permissions::SHARE,
                None => Permissions::NONE,
            };
        }
        let as_member = match self.team_role {
            Some(_) if !self.is_locked => Permissions::VIEW,
            _ => Permissions::NONE,
        };
        as_member | self.given.unwrap_or_default()
    }

    /// What they are to the app; `None`: nothing.
    pub fn role(self) -> Option<Role> {
        if self.is_owner {
            return Some(Role::Owner);
        }
        let as_member = self.team_role.filter(|_| self.is_team_app);
        as_member.or(self.given.map(|_| Role::Collaborator))
    }

    /// Whether they may add themselves: members of the team, to an app that is not locked.
    pub fn may_join(self) -> bool {
        self.is_team_app && !self.is_locked && self.team_role.is_some_and(|role| role.may(TeamAction::AddApps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Permission;

    const DEPLOY: Permissions = Permissions::VIEW.with(Permissions::DEPLOY);

    fn member(role: Role, is_locked: bool, given: Option<Permissions>) -> Standing {
        Standing {
            team_role: Some(role),
            is_team_app: true,
            is_locked,
            given,
            ..Standing::default()
        }
    }

    #[test]
    fn an_app_of_a_person_is_its_owners_and_its_collaborators() {
        let owner = Standing {
            is_owner: true,
            ..Standing::default()
        };
        assert_eq!(owner.permissions(), Permissions::ALL);
        assert_eq!(owner.role(), Some(Role::Owner));
        let collaborator = Standing {
            given: Some(Permissions::VIEW),
            ..Standing::default()
        };
        let may = collaborator.permissions();
        for permission in [
            Permission::View,
            Permission::Deploy,
            Permission::Operate,
            Permission::Share,
        ] {
            assert!(may.contains(permission), "{permission:?}");
        }
        assert!(!may.contains(Permission::Manage));
        assert_eq!(collaborator.role(), Some(Role::Collaborator));
        let stranger = Standing::default();
        assert!(stranger.permissions().is_empty());
        assert_eq!(stranger.role(), None);
        assert!(!stranger.may_join());
    }

    #[test]
    fn an_app_of_a_team_is_seen_by_its_members_until_it_is_locked() {
        let all = Permissions::ALL;
        let (view, none) = (Permissions::VIEW, Permissions::NONE);
        let table = [
            (Role::Admin, false, None, all),
            (Role::Admin, true, None, all),
            (Role::Member, false, None, view),
            (Role::Member, true, None, none),
            (Role::Member, false, Some(DEPLOY), DEPLOY),
            (Role::Member, true, Some(DEPLOY), DEPLOY),
            (Role::Viewer, false, None, view),
            (Role::Viewer, true, None, none),
            (Role::Viewer, true, Some(view), view),
        ];
        for (role, locked, given, expected) in table {
            let standing = member(role, locked, given);
            assert_eq!(standing.permissions(), expected, "{standing:?}");
        }
        let collaborator = Standing {
            team_role: None,
            ..member(Role::Member, true, Some(DEPLOY))
        };
        assert_eq!(collaborator.permissions(), DEPLOY);
        assert_eq!(collaborator.role(), Some(Role::Collaborator));
    }

    #[test]
    fn a_role_in_some_team_is_nothing_to_an_app_of_a_person() {
        let standing = Standing {
            team_role: Some(Role::Admin),
            ..Standing::default()
        };
        assert!(standing.permissions().is_empty());
        assert_eq!(standing.role(), None);
    }

    #[test]
    fn members_join_what_is_not_locked() {
        assert!(member(Role::Member, false, None).may_join());
        assert!(member(Role::Admin, false, None).may_join());
        assert!(!member(Role::Member, true, None).may_join());
        assert!(!member(Role::Viewer, false, None).may_join());
    }

    /// Columns: look, see members, add apps, manage.
    #[test]
    fn a_team_obeys_its_admins() {
        use TeamAction::{AddApps, Look, Manage, SeeMembers};
        let table = [
            (Role::Admin, [1, 1, 1, 1]),
            (Role::Member, [1, 1, 1, 0]),
            (Role::Viewer, [1, 1, 0, 0]),
            (Role::Collaborator, [1, 0, 0, 0]),
        ];
        for (role, row) in table {
            for (action, expected) in [Look, SeeMembers, AddApps, Manage].into_iter().zip(row) {
                assert_eq!(role.may(action), expected == 1, "{role:?} {action:?}");
            }
        }
    }
}
