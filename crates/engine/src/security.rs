//! Who may do what: only the most specific match for an address counts, nothing is merged.
//!
//! An operation on a queue may be granted for `address::queue` exactly; otherwise what is granted
//! for the address counts. With security switched off everything is allowed.

use std::collections::BTreeSet;

use crate::config::{Permission, SecurityMatch};
use crate::error::{EngineError, code};
use crate::settings::{by_specificity, matches};

/// Who asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    pub(crate) user: Option<String>,
    pub(crate) roles: Vec<String>,
    /// The broker itself, or another broker of its cluster.
    pub(crate) bypass: bool,
}

/// The permissions of the configuration.
#[derive(Debug)]
pub(crate) struct SecurityRepository {
    enabled: bool,
    /// From the most specific to the least.
    matches: Vec<SecurityMatch>,
}

impl SecurityRepository {
    pub(crate) fn new(enabled: bool, mut matches: Vec<SecurityMatch>) -> Self {
        matches.sort_by(|left, right| by_specificity(&left.pattern, &right.pattern));
        Self { enabled, matches }
    }

    /// Refuses what `identity` may not do on `address`, or on `queue` of that address.
    pub(crate) fn check(
        &self,
        identity: &Identity,
        permission: Permission,
        address: &str,
        queue: Option<&str>,
    ) -> Result<(), EngineError> {
        if !self.enabled || identity.bypass {
            return Ok(());
        }
        let granted = self
            .roles(permission, address, queue)
            .is_some_and(|roles| identity.roles.iter().any(|role| roles.contains(role)));
        if granted {
            return Ok(());
        }
        let user = identity.user.as_deref().unwrap_or("(anonymous)");
        let permission = permission.name();
        let message = match queue {
            Some(queue) => format!(
                "AMQ229213: user {user} lacks permission {permission} for queue {queue} on \
                 address {address}"
            ),
            None => {
                format!("AMQ229032: user {user} lacks permission {permission} on address {address}")
            }
        };
        Err(EngineError::new(code::SECURITY, message))
    }

    fn roles(
        &self,
        permission: Permission,
        address: &str,
        queue: Option<&str>,
    ) -> Option<&BTreeSet<String>> {
        let exact = queue.and_then(|queue| {
            let name = format!("{address}::{queue}");
            self.matches
                .iter()
                .find(|candidate| candidate.pattern == name)
        });
        exact
            .or_else(|| {
                self.matches
                    .iter()
                    .find(|candidate| matches(&candidate.pattern, address))
            })
            .and_then(|found| found.roles.get(&permission))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(pattern: &str, permission: Permission, role: &str) -> SecurityMatch {
        SecurityMatch {
            pattern: pattern.to_owned(),
            roles: [(permission, BTreeSet::from([role.to_owned()]))].into(),
        }
    }

    fn who(role: &str) -> Identity {
        Identity {
            user: Some("anna".to_owned()),
            roles: vec![role.to_owned()],
            bypass: false,
        }
    }

    fn repository() -> SecurityRepository {
        SecurityRepository::new(
            true,
            vec![
                grant("#", Permission::Send, "everyone"),
                grant("orders.#", Permission::Send, "sellers"),
                grant("orders.new::eu", Permission::Consume, "europe"),
                grant("orders.new", Permission::Consume, "sellers"),
            ],
        )
    }

    #[test]
    fn only_the_most_specific_match_counts() {
        let repository = repository();
        let check = |role, permission, address, queue| {
            repository
                .check(&who(role), permission, address, queue)
                .is_ok()
        };
        assert!(check("everyone", Permission::Send, "other", None));
        assert!(!check("everyone", Permission::Send, "orders.old", None));
        assert!(check("sellers", Permission::Send, "orders.old", None));
        // The match for orders.new says nothing about sending, so nobody may.
        assert!(!check("sellers", Permission::Send, "orders.new", None));
        assert!(check(
            "sellers",
            Permission::Consume,
            "orders.new",
            Some("us")
        ));
        assert!(!check(
            "sellers",
            Permission::Consume,
            "orders.new",
            Some("eu")
        ));
        assert!(check(
            "europe",
            Permission::Consume,
            "orders.new",
            Some("eu")
        ));
    }

    #[test]
    fn the_refusal_names_user_permission_and_place() {
        let repository = repository();
        let error = repository
            .check(&who("nobody"), Permission::Send, "orders.old", None)
            .unwrap_err();
        assert_eq!(error.code, 105);
        assert_eq!(
            error.message,
            "AMQ229032: user anna lacks permission send on address orders.old"
        );
        let error = repository
            .check(
                &Identity::default(),
                Permission::Consume,
                "orders.new",
                Some("eu"),
            )
            .unwrap_err();
        assert_eq!(
            error.message,
            "AMQ229213: user (anonymous) lacks permission consume for queue eu on address \
             orders.new"
        );
    }

    #[test]
    fn everything_is_allowed_without_security_and_to_the_broker_itself() {
        let off = SecurityRepository::new(false, Vec::new());
        assert!(
            off.check(&Identity::default(), Permission::Send, "a", None)
                .is_ok()
        );
        let on = SecurityRepository::new(true, Vec::new());
        let broker = Identity {
            bypass: true,
            ..Identity::default()
        };
        assert!(on.check(&broker, Permission::Manage, "a", None).is_ok());
        assert!(
            on.check(&Identity::default(), Permission::Manage, "a", None)
                .is_err()
        );
    }
}
