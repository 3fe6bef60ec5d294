//! Passwords that a pair needs and its manifest does not give: made once, kept beside the data.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::render::Credentials;

/// The file is a few hundred bytes.
const MAX_FILE_BYTES: u64 = 16 * 1024;
/// Enough for 128 bits.
const PASSWORD_BYTES: usize = 16;

/// Why the passwords could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was edited, or is something else.
    #[error("{} cannot be read: {source}; delete it to have new passwords made", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The kernel gives none.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    cluster_password: String,
    generated_password: String,
}

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], CredentialsError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| CredentialsError::NoRandomness)?;
    Ok(bytes)
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|d| char::from_digit(d.into(), 16))
        .collect()
}

/// A random UUID (version 4) as text: the identity of the pair's data.
pub(crate) fn node_id() -> Result<String, CredentialsError> {
    let mut bytes: [u8; 16] = random()?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex(&bytes);
    Ok(format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    ))
}

/// Reads the pair's passwords, or makes them.
pub(crate) fn load_or_make(path: &Path) -> Result<Credentials, CredentialsError> {
    let failed = |action| {
        move |source| CredentialsError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    };
    match fs::File::open(path) {
        Ok(file) => {
            let mut text = String::new();
            file.take(MAX_FILE_BYTES)
                .read_to_string(&mut text)
                .map_err(failed("read"))?;
            let stored: Stored =
                serde_json::from_str(&text).map_err(|source| CredentialsError::Malformed {
                    path: path.to_owned(),
                    source,
                })?;
            Ok(Credentials {
                cluster_password: stored.cluster_password,
                generated_password: stored.generated_password,
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let stored = Stored {
                cluster_password: hex(&random::<PASSWORD_BYTES>()?),
                generated_password: hex(&random::<PASSWORD_BYTES>()?),
            };
            let text = serde_json::to_string_pretty(&stored).map_err(|source| {
                CredentialsError::Malformed {
                    path: path.to_owned(),
                    source,
                }
            })?;
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .map_err(failed("create"))?;
            writeln!(file, "{text}").map_err(failed("write"))?;
            Ok(Credentials {
                cluster_password: stored.cluster_password,
                generated_password: stored.generated_password,
            })
        }
        Err(error) => Err(failed("open")(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn passwords_are_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials.json");
        let made = load_or_make(&path).unwrap();
        assert_eq!(made.cluster_password.len(), 2 * PASSWORD_BYTES);
        assert_ne!(made.cluster_password, made.generated_password);
        assert!(load_or_make(&path).unwrap() == made);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::write(&path, "{}").unwrap();
        let error = load_or_make(&path).unwrap_err().to_string();
        assert!(
            error.contains("delete it to have new passwords made"),
            "{error}"
        );
    }
}
