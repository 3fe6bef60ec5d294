//! The configuration of a broker: `broker.xml` and its companions, read, checked and written, and
//! the instance that `create` makes.
//!
//! Text in, values out. Nothing here opens a file, reads the clock or draws a random number: the
//! caller brings the contents of files, the lookup of properties and the salt of a password.
//! Every mistake in a file is reported with its line and what to do about it.

pub mod authenticator;
pub mod bootstrap_xml;
pub mod broker_xml;
pub mod configuration;
pub mod create;
pub mod effective;
pub mod elements;
mod java_properties;
pub mod login_config;
pub mod password;
pub mod paths;
mod suggest;
pub mod tandem_properties;
mod url;
pub mod users;
mod xml;

pub use authenticator::{AuthError, Authenticator, Identity};
pub use configuration::Configuration;
pub use effective::{EffectiveHa, HaError, Mode, Side};
pub use java_properties::SyntaxError;
pub use tandem_properties::TandemProperties;
