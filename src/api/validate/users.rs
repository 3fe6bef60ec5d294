//! The users of a pair: the Secret that the pair refers to, in the same file or in the same namespace.

use std::collections::BTreeMap;

use crate::api::manifest::Manifest;
use crate::api::violation::Violation;

/// A longer password is a wrong file.
const MAX_PASSWORD_BYTES: usize = 1_024;

/// User names with their passwords in clear.
pub(crate) type Users = BTreeMap<String, String>;

/// The users of a Secret's values, or everything that is wrong with them.
pub(crate) fn users_of(values: &BTreeMap<String, Vec<u8>>) -> Result<Users, Vec<String>> {
    let mut users = Users::new();
    let mut wrong = Vec::new();
    for (user, password) in values {
        let Ok(password) = std::str::from_utf8(password) else {
            wrong.push(format!("data.{user} is not a text"));
            continue;
        };
        // A value made by a shell's echo ends in a line break nobody means.
        let password = password.trim_end_matches(['\n', '\r']);
        if password.is_empty() || password.len() > MAX_PASSWORD_BYTES {
            wrong.push(format!(
                "the password of {user:?} must have 1 to {MAX_PASSWORD_BYTES} bytes"
            ));
        } else if user.is_empty() || !user.chars().all(is_key_char) {
            wrong.push(format!(
                "{user:?} is not a user name: use letters, digits, -, _ and ."
            ));
        } else {
            users.insert(user.clone(), password.to_owned());
        }
    }
    if values.is_empty() {
        wrong.push(
            "has no users: each key of `stringData` is a user, its value the password".to_owned(),
        );
    }
    if wrong.is_empty() {
        Ok(users)
    } else {
        Err(wrong)
    }
}

/// The users with their passwords; nothing if the manifest names no Secret.
pub(super) fn of_manifest(manifest: &Manifest) -> Result<Option<Users>, Vec<Violation>> {
    const FIELD: &str = "spec.security.usersSecretName";
    let Some(name) = &manifest.pair.spec.security.users_secret_name else {
        return Ok(None);
    };
    let Some(secret) = manifest.secrets.get(name) else {
        return Err(vec![Violation {
            at: None,
            path: FIELD.to_owned(),
            message: format!(
                "there is no Secret {name:?} in this file: add it behind a line `---`, or leave this field out and a \
                 user is generated"
            ),
        }]);
    };
    let refused = |message: String| Violation {
        at: secret.at,
        path: format!("Secret {name}"),
        message,
    };
    let values = secret
        .values()
        .map_err(|wrong| wrong.into_iter().map(refused).collect::<Vec<_>>())?;
    match users_of(&values) {
        Ok(users) => Ok(Some(users)),
        Err(wrong) => Err(wrong.into_iter().map(refused).collect()),
    }
}

fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}
