//! From a validated pair to everything its two brokers are started with, on one machine or as Kubernetes objects.
//!
//! Pure: the same arguments give the same bytes. It never touches a file, and it never looks into
//! what the user wrote: only the validated pair comes in.
//!
//! What Artemis would default is written out where a default has surprised people: whether a stop
//! fails over, whether the backup gives back, whether it stays after that.

mod broker_xml;
mod companions;
pub(crate) mod kubernetes;
pub(crate) mod placement;
#[cfg(test)]
mod tests;
pub(crate) mod url;

use broker_config::bootstrap_xml::{Bootstrap, HttpBinding};
use broker_config::broker_xml::write as broker_xml_text;
use broker_config::configuration::Configuration;
use broker_config::login_config::LoginConfig;
use broker_config::tandem_properties::TandemProperties;
use broker_config::users::{Roles, Users};
use pair::Side;

use crate::api::validate::ValidatedPair;
pub(crate) use placement::{LocalPlacement, Placement};

/// Names and passwords that the pair has whatever the user wrote; made once, kept with the data.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// By which the two brokers know each other.
    pub(crate) cluster_password: String,
    /// Password of the generated user, for pairs whose manifest names no users.
    pub(crate) generated_password: String,
}

/// The user that is generated for a pair whose manifest names no users.
pub(crate) const GENERATED_USER: &str = "admin";
/// The user by which the two brokers know each other.
const CLUSTER_USER: &str = "tandem-cluster";
/// The role that every user of the pair has.
pub(crate) const ROLE: &str = "amq";

/// Everything one side is started with.
pub(crate) struct RenderedSide {
    /// `broker.xml`.
    pub(crate) configuration: Configuration,
    /// `tandem.properties`.
    pub(crate) properties: TandemProperties,
    /// `artemis-users.properties`.
    pub(crate) users: Users,
    /// `artemis-roles.properties`.
    pub(crate) roles: Roles,
    /// `login.config`.
    pub(crate) login: LoginConfig,
}

/// Renders one side.
///
/// `salt` gives the salt of a user's password; the same salt gives the same file.
pub(crate) fn render(
    pair: &ValidatedPair,
    placement: &dyn Placement,
    credentials: &Credentials,
    side: Side,
    salt: &dyn Fn(&str) -> [u8; broker_config::password::SALT_BYTES],
) -> RenderedSide {
    let users = users(pair, credentials);
    RenderedSide {
        configuration: broker_xml::configuration(pair, placement, credentials, side),
        properties: companions::properties(pair, placement),
        users: companions::users(&users, salt),
        roles: companions::roles(&users),
        login: companions::login(pair),
    }
}

/// A file of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RenderedFile {
    /// Where, below the instance.
    pub(crate) path: &'static str,
    /// What.
    pub(crate) content: String,
}

impl RenderedSide {
    /// The files of this side's instance.
    pub(crate) fn files(&self, placement: &dyn Placement, side: Side) -> Vec<RenderedFile> {
        let Self {
            configuration,
            properties,
            users,
            roles,
            login,
        } = self;
        let http = HttpBinding {
            host: placement.listen_host().to_owned(),
            port: placement.http_port(side),
        };
        let file = |path, content| RenderedFile { path, content };
        vec![
            file("etc/broker.xml", broker_xml_text(configuration)),
            file("etc/bootstrap.xml", Bootstrap::new(Some(http)).to_text()),
            file("etc/tandem.properties", properties.to_text()),
            file("etc/login.config", login.to_text()),
            file("etc/artemis-users.properties", users.to_text()),
            file("etc/artemis-roles.properties", roles.to_text()),
        ]
    }
}

/// The users of a pair with their passwords in clear.
pub(crate) fn users(
    pair: &ValidatedPair,
    credentials: &Credentials,
) -> std::collections::BTreeMap<String, String> {
    pair.users.clone().unwrap_or_else(|| {
        let user = (
            GENERATED_USER.to_owned(),
            credentials.generated_password.clone(),
        );
        std::iter::once(user).collect()
    })
}

impl std::fmt::Debug for Credentials {
    /// Keeps the passwords out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}
