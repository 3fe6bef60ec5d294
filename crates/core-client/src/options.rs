//! What a client is told before it connects: where to go, who it is, and how long it waits.
//!
//! Every value has a default that suits a pair of brokers on one network and a range outside of
//! which [`ClientOptions::validate`] refuses it, so that no typing error makes a client hang.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use crate::error::ConnectError;

/// Endpoints a client may be given: a pair has two, a few more cover old and new addresses.
pub const MAX_ENDPOINTS: usize = 16;

/// Longest time any setting may name: one day. A longer one is a mistyped unit.
pub const MAX_TIME_MS: u64 = 24 * 60 * 60 * 1000;

/// Longest user name or password: what an operator can type or generate, with ample room.
pub const MAX_CREDENTIAL_BYTES: usize = 1024;

/// The port a broker listens on when nobody says otherwise.
pub const DEFAULT_PORT: u16 = 61616;

/// Where a broker listens, as a user writes it: a host name or an IP address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    /// Names an endpoint.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// Says whether `other` names the same listener, given the address this endpoint resolved to.
    ///
    /// Brokers publish the host text of their configuration, which need not be the text the
    /// client dialled; the resolved address settles most such cases.
    pub(crate) fn is_same_listener(&self, other: &Self, resolved: Option<SocketAddr>) -> bool {
        if self.port != other.port {
            return false;
        }
        if self.host.eq_ignore_ascii_case(&other.host) {
            return true;
        }
        let Some(resolved) = resolved else {
            return false;
        };
        match other.host.parse::<IpAddr>() {
            Ok(ip) => ip == resolved.ip(),
            Err(_) => other.host.eq_ignore_ascii_case("localhost") && resolved.ip().is_loopback(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip().to_string(), address.port())
    }
}

impl FromStr for Endpoint {
    type Err = ConnectError;

    /// Reads `host:port`, `[v6]:port`, or `host` alone, which means [`DEFAULT_PORT`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why| ConnectError::BadEndpoint {
            text: text.to_owned(),
            why,
        };
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let Some((host, rest)) = rest.split_once(']') else {
                return Err(bad("a `[` without `]`"));
            };
            (host, rest.strip_prefix(':'))
        } else if text.matches(':').count() > 1 {
            return Err(bad("write an IPv6 address as [address]:port"));
        } else if let Some((host, port)) = text.split_once(':') {
            (host, Some(port))
        } else {
            (text, None)
        };
        if host.is_empty() {
            return Err(bad("no host"));
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => match port.parse::<u16>() {
                Ok(port) if port != 0 => port,
                Ok(_) | Err(_) => return Err(bad("the port must be between 1 and 65535")),
            },
        };
        Ok(Self::new(host, port))
    }
}

/// How a client connects, authenticates, waits and reconnects.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// Brokers to try, in this order; the other side of the pair is also learnt from the broker.
    pub endpoints: Vec<Endpoint>,
    /// User of every session; with `password` absent too, sessions are anonymous.
    pub user: Option<String>,
    /// Password of `user`.
    pub password: Option<String>,
    /// Pause between two rounds over the endpoints (default 100).
    pub retry_interval_ms: u64,
    /// How long one answer may take; afterwards the connection counts as failed (default 30 000).
    pub call_timeout_ms: u64,
    /// How long a call waits for a lost connection to come back (default 30 000).
    pub call_failover_timeout_ms: u64,
    /// Silence after which each side gives the other up; sent with every ping (default 60 000).
    pub connection_ttl_ms: u64,
    /// Time between pings (default 30 000); must be below `connection_ttl_ms`.
    pub failure_check_period_ms: u64,
    /// How long one TCP connection attempt may take, and each answer of the greeting on it
    /// (default 5 000).
    pub connect_timeout_ms: u64,
    /// Rounds over the endpoints [`crate::Client::connect`] makes before it fails (default 1).
    pub initial_connect_attempts: u32,
    /// Rounds over the endpoints after a loss before the client gives up; `None`: never.
    pub reconnect_attempts: Option<u32>,
}

impl ClientOptions {
    /// Options with the defaults named at each field.
    pub fn new(endpoints: impl IntoIterator<Item = Endpoint>) -> Self {
        Self {
            endpoints: endpoints.into_iter().collect(),
            user: None,
            password: None,
            retry_interval_ms: 100,
            call_timeout_ms: 30_000,
            call_failover_timeout_ms: 30_000,
            connection_ttl_ms: 60_000,
            failure_check_period_ms: 30_000,
            connect_timeout_ms: 5_000,
            initial_connect_attempts: 1,
            reconnect_attempts: None,
        }
    }

    /// The same options with these credentials.
    #[must_use]
    pub fn with_credentials(
        mut self,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        self.user = Some(user.into());
        self.password = Some(password.into());
        self
    }

    /// Refuses values outside the documented ranges, naming the field.
    pub fn validate(&self) -> Result<(), ConnectError> {
        if self.endpoints.is_empty() {
            return Err(bad_option("endpoints", "0", "name at least one host:port"));
        }
        if self.endpoints.len() > MAX_ENDPOINTS {
            let count = self.endpoints.len().to_string();
            return Err(bad_option("endpoints", &count, "at most 16 are allowed"));
        }
        for (name, value) in [
            ("retry_interval_ms", self.retry_interval_ms),
            ("call_timeout_ms", self.call_timeout_ms),
            ("call_failover_timeout_ms", self.call_failover_timeout_ms),
            ("connection_ttl_ms", self.connection_ttl_ms),
            ("failure_check_period_ms", self.failure_check_period_ms),
            ("connect_timeout_ms", self.connect_timeout_ms),
        ] {
            if value == 0 || value > MAX_TIME_MS {
                let range = "must be between 1 and 86400000 (one day)";
                return Err(bad_option(name, &value.to_string(), range));
            }
        }
        if self.failure_check_period_ms >= self.connection_ttl_ms {
            let period = self.failure_check_period_ms.to_string();
            let rule = "must be below connection_ttl_ms, or the broker drops the connection";
            return Err(bad_option("failure_check_period_ms", &period, rule));
        }
        if self.initial_connect_attempts == 0 {
            return Err(bad_option(
                "initial_connect_attempts",
                "0",
                "must be at least 1",
            ));
        }
        for (name, value) in [("user", &self.user), ("password", &self.password)] {
            let length = value.as_ref().map_or(0, String::len);
            if length > MAX_CREDENTIAL_BYTES {
                let rule = "at most 1024 bytes are allowed";
                return Err(bad_option(name, &format!("{length} bytes"), rule));
            }
        }
        Ok(())
    }

    pub(crate) fn retry_interval(&self) -> Duration {
        Duration::from_millis(self.retry_interval_ms)
    }

    pub(crate) fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }

    pub(crate) fn call_failover_timeout(&self) -> Duration {
        Duration::from_millis(self.call_failover_timeout_ms)
    }

    pub(crate) fn connection_ttl(&self) -> Duration {
        Duration::from_millis(self.connection_ttl_ms)
    }

    pub(crate) fn failure_check_period(&self) -> Duration {
        Duration::from_millis(self.failure_check_period_ms)
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
}

impl fmt::Debug for ClientOptions {
    /// Like the derived form, but a log never shows the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientOptions")
            .field("endpoints", &self.endpoints)
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "***"))
            .field("retry_interval_ms", &self.retry_interval_ms)
            .field("call_timeout_ms", &self.call_timeout_ms)
            .field("call_failover_timeout_ms", &self.call_failover_timeout_ms)
            .field("connection_ttl_ms", &self.connection_ttl_ms)
            .field("failure_check_period_ms", &self.failure_check_period_ms)
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .field("initial_connect_attempts", &self.initial_connect_attempts)
            .field("reconnect_attempts", &self.reconnect_attempts)
            .finish()
    }
}

fn bad_option(field: &'static str, value: &str, rule: &'static str) -> ConnectError {
    ConnectError::BadOption {
        field,
        value: value.to_owned(),
        rule,
    }
}

/// What a session's sends and acknowledgements take part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionMode {
    /// Each send and each acknowledgement stands for itself.
    AutoAcknowledge,
    /// Each send stands for itself; acknowledgements take effect at `commit`.
    ClientAcknowledge,
    /// Sends and acknowledgements take effect together at `commit`.
    Transacted,
}

impl SessionMode {
    pub(crate) fn auto_commit_sends(self) -> bool {
        match self {
            Self::AutoAcknowledge | Self::ClientAcknowledge => true,
            Self::Transacted => false,
        }
    }

    pub(crate) fn auto_commit_acks(self) -> bool {
        match self {
            Self::AutoAcknowledge => true,
            Self::ClientAcknowledge | Self::Transacted => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_endpoints_as_users_write_them() {
        let cases = [
            ("localhost:61716", Endpoint::new("localhost", 61716)),
            ("broker", Endpoint::new("broker", DEFAULT_PORT)),
            ("[::1]:5445", Endpoint::new("::1", 5445)),
            ("[::1]", Endpoint::new("::1", DEFAULT_PORT)),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Endpoint>().unwrap(), expected, "{text}");
        }
        assert_eq!(Endpoint::new("::1", 5445).to_string(), "[::1]:5445");
    }

    #[test]
    fn refuses_endpoints_that_name_no_listener() {
        for text in [
            "",
            ":61616",
            "host:0",
            "host:99999",
            "host:x",
            "::1",
            "[::1",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }

    #[test]
    fn published_hosts_are_recognised_by_text_or_address() {
        let dialled = Endpoint::new("localhost", 61616);
        let resolved = Some("127.0.0.1:61616".parse().unwrap());
        let same =
            |host: &str, port| dialled.is_same_listener(&Endpoint::new(host, port), resolved);
        assert!(same("LOCALHOST", 61616));
        assert!(same("127.0.0.1", 61616));
        assert!(!same("127.0.0.1", 61716));
        assert!(!same("10.0.0.1", 61616));
        let by_address = Endpoint::new("127.0.0.1", 61616);
        assert!(by_address.is_same_listener(&dialled, resolved));
    }

    #[test]
    fn refuses_options_that_could_hang_and_names_the_field() {
        let good = ClientOptions::new([Endpoint::new("localhost", 61616)]);
        good.validate().unwrap();
        let breaks = |field, change: fn(&mut ClientOptions)| {
            let mut options = good.clone();
            change(&mut options);
            let error = options.validate().unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        };
        breaks("endpoints", |o| o.endpoints.clear());
        breaks("call_timeout_ms", |o| o.call_timeout_ms = 0);
        breaks("connect_timeout_ms", |o| {
            o.connect_timeout_ms = MAX_TIME_MS + 1;
        });
        breaks("failure_check_period_ms", |o| {
            o.failure_check_period_ms = 60_000;
        });
        breaks("password", |o| o.password = Some("x".repeat(2000)));
    }

    #[test]
    fn debug_output_hides_the_password() {
        let options = ClientOptions::new([]).with_credentials("admin", "s3cret");
        let text = format!("{options:?}");
        assert!(text.contains("admin") && !text.contains("s3cret"), "{text}");
    }
}
