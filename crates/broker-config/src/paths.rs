//! Where the paths of a configuration point to.

use std::path::{Path, PathBuf};

/// The path that `configured` means: relative ones are relative to the instance, not to the
/// directory the broker happens to be started in.
pub fn resolve(instance: &Path, configured: &str) -> PathBuf {
    // `join` of an absolute path is that path.
    instance.join(configured)
}

/// The value of a property that every instance has: `${artemis.instance}` and
/// `${artemis.instance.etc}`, as used in `bootstrap.xml`.
pub fn instance_property(instance: &Path, name: &str) -> Option<String> {
    match name {
        "artemis.instance" => Some(instance.display().to_string()),
        "artemis.instance.etc" => Some(instance.join("etc").display().to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_belong_to_the_instance() {
        let instance = Path::new("/srv/backup");
        assert_eq!(
            resolve(instance, "../live/data/journal"),
            Path::new("/srv/backup/../live/data/journal")
        );
        assert_eq!(resolve(instance, "/mnt/store"), Path::new("/mnt/store"));
    }

    #[test]
    fn the_instance_is_a_property() {
        let instance = Path::new("/srv/live");
        assert_eq!(
            instance_property(instance, "artemis.instance.etc").as_deref(),
            Some("/srv/live/etc")
        );
        assert_eq!(instance_property(instance, "java.home"), None);
    }
}
