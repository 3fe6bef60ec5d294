//! The files beside `broker.xml`: settings of the pair, users, roles, login.

use std::collections::{BTreeMap, BTreeSet};

use broker_config::login_config::{Guest, LoginConfig};
use broker_config::password::{SALT_BYTES, StoredPassword};
use broker_config::tandem_properties::{self, Failback, TandemProperties};
use broker_config::users::{Roles, Users};

use super::ROLE;
use super::placement::Placement;
use crate::api::spec::LockPolicy;
use crate::api::validate::ValidatedPair;

/// Name of the identity of clients without a user.
const GUEST: &str = "anonymous";

pub(super) fn properties(pair: &ValidatedPair, placement: &dyn Placement) -> TandemProperties {
    TandemProperties {
        arbiter: Some(placement.arbiter()),
        failback: Some(Failback::Managed),
        lock: Some(match pair.lock {
            LockPolicy::Record => tandem_properties::LockPolicy::Record,
            LockPolicy::Storage => tandem_properties::LockPolicy::Storage,
        }),
        heartbeat_ms: Some(pair.heartbeat_ms),
        timeout_ms: Some(pair.timeout_ms),
        link_port: None,
        link_tls: None,
    }
}

pub(super) fn users(
    users: &BTreeMap<String, String>,
    salt: &dyn Fn(&str) -> [u8; SALT_BYTES],
) -> Users {
    let hash = |(user, password): (&String, &String)| {
        (user.clone(), StoredPassword::hash(password, &salt(user)))
    };
    Users(users.iter().map(hash).collect())
}

pub(super) fn roles(users: &BTreeMap<String, String>) -> Roles {
    let members: BTreeSet<String> = users.keys().cloned().collect();
    Roles(std::iter::once((ROLE.to_owned(), members)).collect())
}

pub(super) fn login(pair: &ValidatedPair) -> LoginConfig {
    let guest = Guest {
        user: GUEST.to_owned(),
        role: ROLE.to_owned(),
    };
    LoginConfig::new(pair.allow_anonymous.then_some(guest))
}
