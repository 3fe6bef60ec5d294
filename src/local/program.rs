//! Where the broker program is.

use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The broker program's name.
const NAME: &str = "tandem-broker";
/// The environment variable that names it.
pub(crate) const VARIABLE: &str = "TANDEM_BROKER";

/// There is no broker program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    /// Where a person said it is, it is not.
    #[error("{origin} names {}, which is {why}", path.display())]
    Named {
        /// The option or variable.
        origin: &'static str,
        /// What it names.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It is nowhere.
    #[error(
        "the program {NAME} was not found; looked for it\n{}\nbuild it with `cargo build -p {NAME}`, \
         or name it with --broker",
        places.iter().map(|place| format!("  {place}")).collect::<Vec<_>>().join("\n")
    )]
    Nowhere {
        /// Where it was looked for.
        places: Vec<String>,
    },
}

/// Finds the broker program: `--broker`, then `$TANDEM_BROKER` (both come as `named`), then beside
/// this program, then in `PATH`.
pub(crate) fn find(named: Option<&Path>) -> Result<PathBuf, ProgramError> {
    // A variable that is set to nothing is not set.
    if let Some(path) = named.filter(|path| !path.as_os_str().is_empty()) {
        let from_variable = env::var_os(VARIABLE).is_some_and(|value| value == path.as_os_str());
        let origin = if from_variable {
            "--broker or $TANDEM_BROKER"
        } else {
            "--broker"
        };
        // A broker is started in another folder.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        return match refusal(&path) {
            None => Ok(path),
            Some(why) => Err(ProgramError::Named { origin, path, why }),
        };
    }
    let mut places = vec![format!("in --broker and ${VARIABLE}: not set")];
    let beside = env::current_exe()
        .ok()
        .and_then(|own| own.parent().map(|dir| dir.join(NAME)));
    if let Some(path) = beside {
        match refusal(&path) {
            None => return Ok(path),
            Some(why) => places.push(format!("beside tandem, {}: {why}", path.display())),
        }
    }
    let path_variable = env::var_os("PATH").unwrap_or_default();
    for dir in env::split_paths(&path_variable).filter(|dir| dir.is_absolute()) {
        let path = dir.join(NAME);
        if refusal(&path).is_none() {
            return Ok(path);
        }
    }
    places.push(format!("in PATH, {}", path_variable.to_string_lossy()));
    Err(ProgramError::Nowhere { places })
}

/// Why a file cannot be run, if it cannot.
fn refusal(path: &Path) -> Option<&'static str> {
    match path.metadata() {
        Err(_) => Some("not there"),
        Ok(meta) if meta.is_dir() => Some("a folder"),
        Ok(meta) if meta.permissions().mode() & 0o111 == 0 => Some("not executable"),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_program_that_cannot_run_is_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("broker");
        let refused = |path: &Path| find(Some(path)).unwrap_err().to_string();
        assert!(refused(&file).ends_with("broker, which is not there"));
        assert!(refused(dir.path()).ends_with("which is a folder"));
        std::fs::write(&file, "").unwrap();
        assert!(refused(&file).ends_with("broker, which is not executable"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find(Some(&file)).unwrap(), file);
    }
}
