//! Security settings.

use std::collections::BTreeSet;

use crate::configuration::{Permission, SecuritySetting};
use crate::xml::{Names, NoticeKind, View};

pub(super) fn security_settings(view: &View<'_, '_>) -> Vec<SecuritySetting> {
    let mut settings = Vec::new();
    let mut patterns = Names::default();
    for child in view.children() {
        let Some(pattern) = patterns.of_attribute(&child, "match") else {
            continue;
        };
        let mut setting = SecuritySetting {
            pattern,
            permissions: [].into(),
        };
        for permission in child.view.children() {
            let name = permission.required("type");
            let roles = permission.required("roles");
            let (Some(name), Some(roles)) = (name, roles) else {
                continue;
            };
            let Some(kind) = Permission::from_name(&name) else {
                // `view` and `edit` are permissions of management operations.
                let text = format!("no effect here: no operation asks for permission '{name}'");
                permission.view.notice(NoticeKind::Harmless, text);
                continue;
            };
            let roles = roles
                .split(',')
                .map(str::trim)
                .filter(|role| !role.is_empty());
            let allowed: &mut BTreeSet<_> = setting.permissions.entry(kind).or_default();
            allowed.extend(roles.map(str::to_owned));
        }
        settings.push(setting);
    }
    settings
}
