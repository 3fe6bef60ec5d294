//! The users of a pair: the Secret that the manifest refers to, in the same file.

use std::collections::BTreeMap;

use super::Checks;
use crate::api::base64;
use crate::api::manifest::Secret;
use crate::api::spec::Security;
use crate::api::violation::Violation;

/// A longer password is a wrong file.
const MAX_PASSWORD_BYTES: usize = 1_024;

impl Checks<'_> {
    /// The users with their passwords; nothing if the manifest names no Secret.
    pub(super) fn users(&mut self, security: &Security) -> Option<BTreeMap<String, String>> {
        const FIELD: &str = "spec.security.usersSecretName";
        let name = security.users_secret_name.as_ref()?;
        let Some(secret) = self.manifest.secrets.get(name) else {
            self.refuse(
                FIELD,
                format!(
                    "there is no Secret {name:?} in this file: add it behind a line `---`, or \
                     leave this field out and a user is generated"
                ),
            );
            return None;
        };
        let mut users = BTreeMap::new();
        for (user, password) in self.secret_values(name, secret) {
            if password.is_empty() || password.len() > MAX_PASSWORD_BYTES {
                self.refuse_secret(
                    name,
                    secret,
                    &format!("the password of {user:?} must have 1 to {MAX_PASSWORD_BYTES} bytes"),
                );
            } else if user.is_empty() || !user.chars().all(is_key_char) {
                self.refuse_secret(
                    name,
                    secret,
                    &format!("{user:?} is not a user name: use letters, digits, -, _ and ."),
                );
            } else {
                users.insert(user, password);
            }
        }
        if secret.data.is_empty() && secret.string_data.is_empty() {
            self.refuse_secret(
                name,
                secret,
                "has no users: each key of `stringData` is a user, its value the password",
            );
        }
        Some(users)
    }

    fn secret_values(&mut self, name: &str, secret: &Secret) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for (key, text) in &secret.data {
            match base64::decode(text).map(String::from_utf8) {
                Ok(Ok(value)) => {
                    // A value made by a shell's echo ends in a line break nobody means.
                    values.insert(key.clone(), value.trim_end_matches(['\n', '\r']).to_owned());
                }
                Ok(Err(_)) => {
                    self.refuse_secret(name, secret, &format!("data.{key} is not a text"));
                }
                Err(error) => {
                    self.refuse_secret(name, secret, &format!("data.{key} {error}"));
                }
            }
        }
        // As in Kubernetes, stringData wins.
        values.extend(secret.string_data.clone());
        values
    }

    fn refuse_secret(&mut self, name: &str, secret: &Secret, message: &str) {
        let path = format!("Secret {name}");
        self.violations.push(Violation {
            at: secret.at,
            path,
            message: message.to_owned(),
        });
    }
}

fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}
