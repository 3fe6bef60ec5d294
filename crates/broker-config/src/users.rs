//! `artemis-users.properties` (`user = password`) and `artemis-roles.properties`
//! (`role = user,user`).

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::java_properties::{self, Entry, SyntaxError, escape_key, escape_value};
use crate::password::{PasswordError, StoredPassword};

/// Users and their passwords.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users(pub BTreeMap<String, StoredPassword>);

/// Roles and their users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles(pub BTreeMap<String, BTreeSet<String>>);

/// What can be wrong with the two files.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UsersError {
    /// It is no properties file.
    #[error("{file}: {source}")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong.
        source: SyntaxError,
    },
    /// A user or role that is there twice.
    #[error("{file}:{line}: '{name}' is on line {first} already; remove one of the two")]
    Duplicate {
        /// The file.
        file: String,
        /// Line of the second.
        line: usize,
        /// Line of the first.
        first: usize,
        /// The user or role.
        name: String,
    },
    /// A password that is not understood.
    #[error("{file}:{line}: the password of '{user}' is {source}")]
    Password {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The user.
        user: String,
        /// What is wrong.
        source: PasswordError,
    },
    /// A line whose name is empty.
    #[error("{file}:{line}: the name before the = is missing")]
    NoName {
        /// The file.
        file: String,
        /// The line.
        line: usize,
    },
}

impl Users {
    /// Reads the users file's text.
    pub fn parse(file: &str, text: &str) -> Result<Self, UsersError> {
        let mut users = BTreeMap::new();
        for Entry {
            line,
            key: user,
            value,
        } in entries(file, text)?
        {
            // White space at the end of a line is no part of a password: it cannot be seen.
            let password =
                StoredPassword::parse(value.trim_end()).map_err(|source| UsersError::Password {
                    file: file.to_owned(),
                    line,
                    user: user.clone(),
                    source,
                })?;
            users.insert(user, password);
        }
        Ok(Self(users))
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let lines = self.0.iter().map(|(user, password)| {
            format!(
                "{} = {}\n",
                escape_key(user),
                escape_value(&password.to_text())
            )
        });
        lines.collect()
    }
}

impl Roles {
    /// Reads the roles file's text.
    pub fn parse(file: &str, text: &str) -> Result<Self, UsersError> {
        let entries = entries(file, text)?.into_iter();
        let roles = entries.map(
            |Entry {
                 key: role, value, ..
             }| {
                let users = value
                    .split(',')
                    .map(str::trim)
                    .filter(|user| !user.is_empty());
                (role, users.map(str::to_owned).collect())
            },
        );
        Ok(Self(roles.collect()))
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let lines = self.0.iter().map(|(role, users)| {
            let users = users
                .iter()
                .map(|user| escape_value(user))
                .collect::<Vec<_>>();
            format!("{} = {}\n", escape_key(role), users.join(","))
        });
        lines.collect()
    }

    /// The roles of a user.
    pub fn of(&self, user: &str) -> BTreeSet<String> {
        let roles = self.0.iter().filter(|(_, users)| users.contains(user));
        roles.map(|(role, _)| role.clone()).collect()
    }
}

fn entries(file: &str, text: &str) -> Result<Vec<Entry>, UsersError> {
    let entries = java_properties::parse(text).map_err(|source| UsersError::Syntax {
        file: file.to_owned(),
        source,
    })?;
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &entries {
        if entry.key.is_empty() {
            return Err(UsersError::NoName {
                file: file.to_owned(),
                line: entry.line,
            });
        }
        if let Some(first) = seen.insert(&entry.key, entry.line) {
            return Err(UsersError::Duplicate {
                file: file.to_owned(),
                line: entry.line,
                first,
                name: entry.key.clone(),
            });
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_make_the_round_trip() {
        let users = Users(BTreeMap::from([
            (
                "admin".to_owned(),
                StoredPassword::hash("password", &[7; 32]),
            ),
            (
                "jörg m=x".to_owned(),
                StoredPassword::Clear(" #a\\b".to_owned()),
            ),
        ]));
        assert_eq!(Users::parse("users", &users.to_text()), Ok(users));
        let roles = Roles(BTreeMap::from([
            (
                "order clerks".to_owned(),
                BTreeSet::from(["jörg m=x".to_owned()]),
            ),
            (
                "admin".to_owned(),
                BTreeSet::from(["admin".to_owned(), "jörg m=x".to_owned()]),
            ),
            ("nobody".to_owned(), BTreeSet::new()),
        ]));
        assert_eq!(Roles::parse("roles", &roles.to_text()), Ok(roles));
    }

    #[test]
    fn a_user_has_the_roles_whose_lines_name_it() {
        let roles =
            Roles::parse("roles", "# who\namq = admin, guest\nview\\ all=guest").expect("ok");
        assert_eq!(
            roles.of("guest"),
            BTreeSet::from(["amq".to_owned(), "view all".to_owned()])
        );
        assert_eq!(roles.of("nobody"), BTreeSet::new());
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let message = |text| Users::parse("users", text).expect_err(text).to_string();
        assert_eq!(
            message("a=1\n\na=2"),
            "users:3: 'a' is on line 1 already; remove one of the two"
        );
        assert_eq!(
            message("\na=ENC(12)"),
            "users:2: the password of 'a' is not a hash of the form ENC(iterations:salt:hash); \
             two-way masked passwords are not read: create a hash with `create`, or write the \
             password in clear"
        );
        assert_eq!(message("=x"), "users:1: the name before the = is missing");
        assert_eq!(
            message("a=\\u1"),
            "users: line 1: \\u needs the four hexadecimal digits of a character, for example \
             \\u00e9"
        );
    }
}
