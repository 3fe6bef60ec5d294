//! `etc/tandem.properties`: the settings that `broker.xml` has no place for.
//!
//! They are beside `broker.xml` and not in it because an unknown element stops a real Artemis.
//! Unknown keys and ill values are refused with their line: a mistyped key must not leave a pair
//! without the arbiter its owner believes it has.

use std::fmt::Write as _;

use thiserror::Error;

use crate::java_properties::{self, SyntaxError, escape_value};
use crate::suggest;

/// What the file says; what it does not say is `None` and decided by [`crate::EffectiveHa`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TandemProperties {
    /// `arbiter`: where the pair record lives.
    pub arbiter: Option<Arbiter>,
    /// `failback`: who asks for a failback.
    pub failback: Option<Failback>,
    /// `lock`: what a takeover over a shared store needs.
    pub lock: Option<LockPolicy>,
    /// `detection.heartbeat`: time between two signs of life.
    pub heartbeat_ms: Option<u64>,
    /// `detection.timeout`: silence after which the peer counts as lost.
    pub timeout_ms: Option<u64>,
    /// `link.port`: where this side listens for its peer.
    pub link_port: Option<u16>,
    /// `link.tls.*`: certificates for the link between the two.
    pub link_tls: Option<LinkTls>,
}

/// Where the pair record lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arbiter {
    /// Nowhere: two replicated brokers that a partition can both make active.
    None,
    /// In a directory; relative paths are relative to the instance, see [`crate::paths::resolve`].
    Directory(String),
    /// In a Lease of Kubernetes.
    Lease {
        /// Namespace of the Lease.
        namespace: String,
        /// Name of the Lease.
        name: String,
    },
}

/// Who asks for a failback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failback {
    /// The primary that returns, if the active backup allows it.
    Broker,
    /// Only the operator or `tandem local`.
    Managed,
}

/// What a takeover over a shared store needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockPolicy {
    /// The record, after promises ran out or the holder's lock was obtained.
    Record,
    /// The holder's lock in every case.
    Storage,
}

/// Files of the link's certificates; relative paths are relative to the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkTls {
    /// `link.tls.certificate`: this side's certificate chain, PEM.
    pub certificate: String,
    /// `link.tls.key`: this side's key, PEM.
    pub key: String,
    /// `link.tls.authority`: the certificate authority of both sides, PEM.
    pub authority: String,
}

/// Every key, for suggestions and documentation.
const KEYS: [&str; 9] = [
    "arbiter",
    "failback",
    "lock",
    "detection.heartbeat",
    "detection.timeout",
    "link.port",
    "link.tls.certificate",
    "link.tls.key",
    "link.tls.authority",
];

/// What can be wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TandemPropertiesError {
    /// It is no properties file.
    #[error("{file}: {source}")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong.
        source: SyntaxError,
    },
    /// A key nobody knows.
    #[error("{file}:{line}: unknown key '{key}'{}", suggest::phrase(.suggestion.as_deref()))]
    UnknownKey {
        /// The file.
        file: String,
        /// Its line.
        line: usize,
        /// The key.
        key: String,
        /// A key that looks like it.
        suggestion: Option<String>,
    },
    /// A key that is there twice.
    #[error("{file}:{line}: '{key}' was set on line {first} already; remove one of the two")]
    Duplicate {
        /// The file.
        file: String,
        /// Line of the second.
        line: usize,
        /// Line of the first.
        first: usize,
        /// The key.
        key: String,
    },
    /// A value that does not fit its key.
    #[error("{file}:{line}: '{key}' is '{value}', but must be {expected}")]
    Value {
        /// The file.
        file: String,
        /// Its line.
        line: usize,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What would fit.
        expected: &'static str,
    },
    /// One of the three keys of the link's certificates without the others.
    #[error("{file}: '{missing}' is missing; the three keys of link.tls belong together")]
    IncompleteTls {
        /// The file.
        file: String,
        /// The key that is not there.
        missing: &'static str,
    },
}

impl TandemProperties {
    /// Reads the file's text.
    pub fn parse(file: &str, text: &str) -> Result<Self, TandemPropertiesError> {
        let entries =
            java_properties::parse(text).map_err(|source| TandemPropertiesError::Syntax {
                file: file.to_owned(),
                source,
            })?;
        let mut properties = Self::default();
        let (mut certificate, mut key, mut authority) = (None, None, None);
        for (index, entry) in entries.iter().enumerate() {
            if let Some(first) = entries[..index]
                .iter()
                .find(|earlier| earlier.key == entry.key)
            {
                return Err(TandemPropertiesError::Duplicate {
                    file: file.to_owned(),
                    line: entry.line,
                    first: first.line,
                    key: entry.key.clone(),
                });
            }
            let value = entry.value.trim();
            let fits = match entry.key.as_str() {
                "arbiter" => fill(&mut properties.arbiter, parse_arbiter(value)),
                "failback" => fill(&mut properties.failback, parse_failback(value)),
                "lock" => fill(&mut properties.lock, parse_lock(value)),
                "detection.heartbeat" => fill(&mut properties.heartbeat_ms, parse_duration(value)),
                "detection.timeout" => fill(&mut properties.timeout_ms, parse_duration(value)),
                "link.port" => fill(&mut properties.link_port, parse_port(value)),
                "link.tls.certificate" => fill(&mut certificate, parse_path(value)),
                "link.tls.key" => fill(&mut key, parse_path(value)),
                "link.tls.authority" => fill(&mut authority, parse_path(value)),
                unknown => {
                    return Err(TandemPropertiesError::UnknownKey {
                        file: file.to_owned(),
                        line: entry.line,
                        key: unknown.to_owned(),
                        suggestion: suggest::nearest(unknown, KEYS).map(str::to_owned),
                    });
                }
            };
            if let Err(expected) = fits {
                return Err(TandemPropertiesError::Value {
                    file: file.to_owned(),
                    line: entry.line,
                    key: entry.key.clone(),
                    value: entry.value.clone(),
                    expected,
                });
            }
        }
        properties.link_tls = match (certificate, key, authority) {
            (Some(certificate), Some(key), Some(authority)) => Some(LinkTls {
                certificate,
                key,
                authority,
            }),
            (None, None, None) => None,
            (certificate, key, _) => {
                let missing = match (certificate, key) {
                    (None, _) => "link.tls.certificate",
                    (_, None) => "link.tls.key",
                    (Some(_), Some(_)) => "link.tls.authority",
                };
                return Err(TandemPropertiesError::IncompleteTls {
                    file: file.to_owned(),
                    missing,
                });
            }
        };
        Ok(properties)
    }

    /// The file's text; what is `None` is left out.
    pub fn to_text(&self) -> String {
        let mut out = String::from("# Settings of the pair that broker.xml has no place for.\n");
        let mut line = |key: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{key} = {}", escape_value(&value));
        };
        if let Some(arbiter) = &self.arbiter {
            line("arbiter", arbiter.to_string());
        }
        if let Some(failback) = self.failback {
            line("failback", failback.name().to_owned());
        }
        if let Some(lock) = self.lock {
            line("lock", lock.name().to_owned());
        }
        if let Some(heartbeat_ms) = self.heartbeat_ms {
            line("detection.heartbeat", format!("{heartbeat_ms}ms"));
        }
        if let Some(timeout_ms) = self.timeout_ms {
            line("detection.timeout", format!("{timeout_ms}ms"));
        }
        if let Some(port) = self.link_port {
            line("link.port", port.to_string());
        }
        if let Some(LinkTls {
            certificate,
            key,
            authority,
        }) = &self.link_tls
        {
            line("link.tls.certificate", certificate.clone());
            line("link.tls.key", key.clone());
            line("link.tls.authority", authority.clone());
        }
        out
    }
}

impl std::fmt::Display for Arbiter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => formatter.write_str("none"),
            Self::Directory(path) => write!(formatter, "directory:{path}"),
            Self::Lease { namespace, name } => write!(formatter, "lease:{namespace}/{name}"),
        }
    }
}

impl Failback {
    /// Its name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Managed => "managed",
        }
    }
}

impl LockPolicy {
    /// Its name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Storage => "storage",
        }
    }
}

fn fill<T>(slot: &mut Option<T>, value: Result<T, &'static str>) -> Result<(), &'static str> {
    *slot = Some(value?);
    Ok(())
}

fn parse_arbiter(value: &str) -> Result<Arbiter, &'static str> {
    const EXPECTED: &str = "none, directory:<path> or lease:<namespace>/<name>";
    if value == "none" {
        return Ok(Arbiter::None);
    }
    if let Some(path) = value.strip_prefix("directory:").map(str::trim)
        && !path.is_empty()
    {
        return Ok(Arbiter::Directory(path.to_owned()));
    }
    let lease = value
        .strip_prefix("lease:")
        .and_then(|rest| rest.split_once('/'));
    let Some((namespace, name)) = lease else {
        return Err(EXPECTED);
    };
    // Names of Kubernetes objects; a slash or a blank in one is a mistake in writing.
    let is_name = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.'))
    };
    if !is_name(namespace) || !is_name(name) {
        return Err(EXPECTED);
    }
    Ok(Arbiter::Lease {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}

fn parse_failback(value: &str) -> Result<Failback, &'static str> {
    [Failback::Broker, Failback::Managed]
        .into_iter()
        .find(|failback| failback.name() == value)
        .ok_or("broker or managed")
}

fn parse_lock(value: &str) -> Result<LockPolicy, &'static str> {
    [LockPolicy::Record, LockPolicy::Storage]
        .into_iter()
        .find(|lock| lock.name() == value)
        .ok_or("record or storage")
}

/// Longer than any sensible detection; keeps sums of durations far from overflow.
const MAX_DURATION_MS: u64 = 60 * 60 * 1_000;

fn parse_duration(value: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str = "a time of at most one hour, for example 250ms or 2s";
    let (number, factor) = if let Some(number) = value.strip_suffix("ms") {
        (number, 1)
    } else if let Some(number) = value.strip_suffix('s') {
        (number, 1_000)
    } else if let Some(number) = value.strip_suffix('m') {
        (number, 60_000)
    } else {
        return Err(EXPECTED);
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(EXPECTED);
    }
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|ms| (1..=MAX_DURATION_MS).contains(ms))
        .ok_or(EXPECTED)
}

fn parse_port(value: &str) -> Result<u16, &'static str> {
    value
        .parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or("a port from 1 to 65535")
}

fn parse_path(value: &str) -> Result<String, &'static str> {
    if value.is_empty() {
        Err("the path of a file")
    } else {
        Ok(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TandemProperties, TandemPropertiesError> {
        TandemProperties::parse("etc/tandem.properties", text)
    }

    fn message(text: &str) -> String {
        parse(text).expect_err(text).to_string()
    }

    #[test]
    fn every_key_makes_the_round_trip() {
        let full = TandemProperties {
            arbiter: Some(Arbiter::Directory("/mnt/my pair\\x".to_owned())),
            failback: Some(Failback::Managed),
            lock: Some(LockPolicy::Storage),
            heartbeat_ms: Some(100),
            timeout_ms: Some(1_500),
            link_port: Some(61_615),
            link_tls: Some(LinkTls {
                certificate: "etc/link.pem".to_owned(),
                key: "etc/link.key".to_owned(),
                authority: "etc/ca.pem".to_owned(),
            }),
        };
        assert_eq!(parse(&full.to_text()), Ok(full.clone()));
        for key in KEYS {
            assert!(
                full.to_text().contains(&format!("\n{key} = ")),
                "{key} is not written"
            );
        }
        let lease = Arbiter::Lease {
            namespace: "shop".to_owned(),
            name: "orders".to_owned(),
        };
        let lease = TandemProperties {
            arbiter: Some(lease),
            ..TandemProperties::default()
        };
        assert_eq!(parse(&lease.to_text()), Ok(lease));
        assert_eq!(
            parse(&TandemProperties::default().to_text()),
            Ok(TandemProperties::default())
        );
    }

    #[test]
    fn durations_have_units() {
        let read = parse("detection.heartbeat=1m\ndetection.timeout = 10s").expect("good text");
        assert_eq!(
            (read.heartbeat_ms, read.timeout_ms),
            (Some(60_000), Some(10_000))
        );
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        assert_eq!(
            message("lock=record\narbitre=none"),
            "etc/tandem.properties:2: unknown key 'arbitre'; did you mean 'arbiter'?"
        );
        assert_eq!(
            message("\n\narbiter=dir:/x"),
            "etc/tandem.properties:3: 'arbiter' is 'dir:/x', but must be none, directory:<path> or \
             lease:<namespace>/<name>"
        );
        assert_eq!(
            message("lock=record\nlock=record"),
            "etc/tandem.properties:2: 'lock' was set on line 1 already; remove one of the two"
        );
        assert_eq!(
            message("link.tls.certificate=a\nlink.tls.authority=b"),
            "etc/tandem.properties: 'link.tls.key' is missing; the three keys of link.tls belong \
             together"
        );
        for text in [
            "arbiter=",
            "arbiter=directory:",
            "arbiter=lease:a",
            "arbiter=lease:a/b/c",
            "failback=auto",
            "lock=",
            "detection.timeout=2",
            "detection.timeout=0s",
            "detection.timeout=-2s",
            "detection.timeout=61m",
            "link.port=0",
            "link.port=65536",
            "link.tls.key=",
        ] {
            assert!(
                matches!(parse(text), Err(TandemPropertiesError::Value { .. })),
                "{text}"
            );
        }
    }
}
