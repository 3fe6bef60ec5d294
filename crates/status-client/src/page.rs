//! What a broker answers to `GET /v1/pair`.
//!
//! Fields this program does not know are left alone, those it misses are empty: the broker that answers
//! may be of another version.

use pair::{Cause, Role, Side};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error;

/// How a broker's pair stands, by that broker's word. Times are Unix milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Page {
    /// Grows with every change.
    pub n: u64,
    /// `primary` or `backup`.
    pub side: String,
    /// Its role by name.
    pub role: String,
    /// Whether a healthy pair stays in that role.
    pub settled: bool,
    /// Epoch of the record it saw last.
    pub epoch: u64,
    /// Sides that may take over, as that record says.
    pub in_sync: Vec<String>,
    /// When it got its role.
    pub since_ms: u64,
    /// What its role means right now.
    pub why: String,
    /// The pair's last change of the active broker.
    pub last: Option<LastTransition>,
    /// The link to the other side.
    pub link: Link,
    /// Whether it heard the active over the link of late; always false on the active itself.
    pub active_heard: bool,
    /// Its process.
    pub pid: u32,
    /// This run of its process, 32 hexadecimal digits.
    pub inc: String,
    /// What `in_sync` of the record names for this side, if it is not this run of its process: in replication its store.
    pub member: Option<String>,
    /// Identity of the pair's data; empty until a record was read.
    pub node_id: String,
    /// Messages in all queues, if it serves.
    pub messages: Option<u64>,
}

impl Page {
    /// What `in_sync` of the record names for this side.
    pub fn member_id(&self) -> &str {
        self.member.as_deref().unwrap_or(&self.inc)
    }
}

/// A change of the active broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LastTransition {
    /// Why, as it is written in the record.
    pub cause: String,
    /// When.
    pub at_ms: u64,
    /// How long nobody served, once that is known.
    pub gap_ms: Option<u64>,
    /// The person who forced it.
    pub by: Option<String>,
}

/// The link between the two brokers, as one of them sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Link {
    /// Whether the other side's process is connected.
    pub connected: bool,
    /// Since when.
    pub since_ms: Option<u64>,
    /// Why it is not, as far as that is known.
    pub trouble: Option<String>,
}

impl Page {
    /// Whether it is the page of this side's broker.
    pub fn is_of(&self, side: Side) -> bool {
        self.side == side.as_str()
    }

    /// Its role; nothing if it is one that this program does not know.
    pub fn role(&self) -> Option<Role> {
        let name = IntoDeserializer::<Error>::into_deserializer(self.role.as_str());
        Role::deserialize(name).ok()
    }
}

impl LastTransition {
    /// Why.
    pub fn cause(&self) -> Cause {
        Cause::from(self.cause.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_versions_are_read() {
        let newer = r#"{"n":3,"side":"backup","role":"standby","settled":true,"epoch":2,
            "holder":{"side":"primary","inc":"00"},"link":{"open":false},"pid":7,
            "last":{"cause":"process-ended","at_ms":5,"colour":"x"},"messages":null}"#;
        let page: Page = serde_json::from_str(newer).unwrap();
        assert!(page.is_of(Side::Backup) && !page.active_heard);
        assert_eq!(page.role(), Some(Role::Standby));
        assert_eq!(page.last.unwrap().cause(), Cause::ProcessEnded);
        assert_eq!(page.link, Link::default());
        let older: Page = serde_json::from_str("{}").unwrap();
        assert_eq!(older, Page::default());
        assert_eq!(older.role(), None);
    }
}
