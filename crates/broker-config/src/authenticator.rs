//! Who a client is: users, roles and the guest, put together.
//!
//! A wrong password is refused even where anonymous access is allowed. Artemis makes such a client
//! the guest, who by `create` has the role of the administrator; here only a client that names
//! neither user nor password is the guest.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::login_config::Guest;
use crate::password::StoredPassword;
use crate::users::{Roles, Users};

/// Decides who a client is.
#[derive(Debug, Clone)]
pub struct Authenticator {
    users: Users,
    roles: Roles,
    guest: Option<Guest>,
    /// Verified against when the user does not exist, so that the time of an answer does not tell
    /// which names do.
    nobody: StoredPassword,
}

/// Who a client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: String,
    /// The user's roles.
    pub roles: BTreeSet<String>,
}

/// Why a client is refused. Deliberately does not say whether the user exists.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AuthError {
    /// User or password is wrong, or only one of them was given.
    #[error("user name or password is wrong")]
    WrongCredentials,
    /// Neither was given, and anonymous access is not allowed.
    #[error("user name and password are needed: anonymous access is not allowed")]
    AnonymousRefused,
}

impl Authenticator {
    /// Knows these users and roles; without a guest, nobody is let in without a password.
    pub fn new(users: Users, roles: Roles, guest: Option<Guest>) -> Self {
        // What salt and password this has does not matter: its result is never used.
        let nobody = StoredPassword::hash("", &[0; crate::password::SALT_BYTES]);
        Self {
            users,
            roles,
            guest,
            nobody,
        }
    }

    /// Who the client is. An empty user and password count as none: that is how JMS clients send
    /// "none".
    pub fn authenticate(
        &self,
        user: Option<&str>,
        password: Option<&str>,
    ) -> Result<Identity, AuthError> {
        let user = user.filter(|user| !user.is_empty());
        let password = password.filter(|password| !password.is_empty());
        let Some(user) = user else {
            return match (&self.guest, password) {
                (_, Some(_)) => Err(AuthError::WrongCredentials),
                (None, None) => Err(AuthError::AnonymousRefused),
                (Some(guest), None) => Ok(Identity {
                    user: guest.user.clone(),
                    roles: BTreeSet::from([guest.role.clone()]),
                }),
            };
        };
        let Some(password) = password else {
            return Err(AuthError::WrongCredentials);
        };
        let stored = self.users.0.get(user);
        let right = stored.unwrap_or(&self.nobody).verify(password);
        if stored.is_none() || !right {
            return Err(AuthError::WrongCredentials);
        }
        Ok(Identity {
            user: user.to_owned(),
            roles: self.roles.of(user),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authenticator(guest: bool) -> Authenticator {
        let users = Users::parse("users", "admin=password\nempty=").expect("users");
        let roles = Roles::parse("roles", "amq=admin\nview=admin").expect("roles");
        let guest = guest.then(|| Guest {
            user: "visitor".to_owned(),
            role: "guests".to_owned(),
        });
        Authenticator::new(users, roles, guest)
    }

    #[test]
    fn the_right_password_gives_the_users_roles() {
        let identity = authenticator(false).authenticate(Some("admin"), Some("password"));
        let roles = BTreeSet::from(["amq".to_owned(), "view".to_owned()]);
        assert_eq!(
            identity,
            Ok(Identity {
                user: "admin".to_owned(),
                roles
            })
        );
    }

    #[test]
    fn a_wrong_password_is_refused_even_where_guests_are_welcome() {
        for guest in [false, true] {
            let authenticator = authenticator(guest);
            for (user, password) in [
                (Some("admin"), Some("wrong")),
                (Some("admin"), None),
                (Some("admin"), Some("")),
                (Some("nobody"), Some("password")),
                (Some("nobody"), Some("")),
                (Some("nobody"), None),
                (Some("empty"), Some("")),
                (None, Some("password")),
                (Some(""), Some("password")),
            ] {
                assert_eq!(
                    authenticator.authenticate(user, password),
                    Err(AuthError::WrongCredentials),
                    "{user:?} {password:?}"
                );
            }
        }
    }

    #[test]
    fn nobody_is_the_guest_or_refused() {
        for (user, password) in [(None, None), (Some(""), Some("")), (None, Some(""))] {
            let roles = BTreeSet::from(["guests".to_owned()]);
            assert_eq!(
                authenticator(true).authenticate(user, password),
                Ok(Identity {
                    user: "visitor".to_owned(),
                    roles
                })
            );
            assert_eq!(
                authenticator(false).authenticate(user, password),
                Err(AuthError::AnonymousRefused)
            );
        }
    }
}
