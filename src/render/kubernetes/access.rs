//! What the brokers may do: their pair's Lease and its two pods, by name, and nothing else.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::Rendering;
use crate::by_side::SIDES;

/// `NAME-broker`: the name of all three objects.
pub(super) fn name(it: &Rendering<'_>) -> String {
    it.named("broker")
}

pub(super) fn service_account(it: &Rendering<'_>) -> ServiceAccount {
    ServiceAccount {
        metadata: it.owned(name(it)),
        // Pods that need the token ask for it themselves.
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

pub(super) fn role(it: &Rendering<'_>) -> Role {
    let rule = |group: &str, resource: &str, names: Vec<String>, verbs: &[&str]| PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        resource_names: Some(names),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    };
    let pods = SIDES.map(|side| it.named(&format!("{side}-0"))).to_vec();
    let lease = vec![it.pair.name.clone()];
    Role {
        metadata: it.owned(name(it)),
        rules: Some(vec![
            rule(
                "coordination.k8s.io",
                "leases",
                lease,
                &["get", "watch", "update"],
            ),
            rule("", "pods", pods, &["get", "patch"]),
        ]),
    }
}

pub(super) fn role_binding(it: &Rendering<'_>) -> RoleBinding {
    RoleBinding {
        metadata: it.owned(name(it)),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: name(it),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: name(it),
            namespace: Some(it.context.namespace.clone()),
            ..Subject::default()
        }]),
    }
}
