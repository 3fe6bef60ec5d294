//! What a test tells a broker to do, or not to do.

use core_client::Endpoint;

/// How producer credits are granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grants {
    AtOnce,
    /// Not until the rule changes; then what was asked for.
    Later,
    Refused,
}

/// What happens instead of the usual answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    /// The connection is cut, the packet not looked at.
    Cut,
    /// The packet takes effect, and the connection is cut before the answer.
    CutAfterwards,
    /// The packet is not looked at.
    Ignore,
    Refuse(i32, &'static str),
    /// DISCONNECT, then the connection is cut.
    SendAway,
    /// These bytes.
    Answer(&'static [u8]),
}

#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The only password that is accepted; `None` accepts all.
    pub(crate) password: Option<&'static str>,
    /// Serving and waiting broker, as published.
    pub(crate) connectors: Option<(Endpoint, Option<Endpoint>)>,
    pub(crate) event_id: i64,
    /// Whether the topology is marked complete.
    pub(crate) topology_complete: bool,
    /// How often `CHECK_FOR_FAILOVER` is answered with no.
    pub(crate) not_ready: u32,
    pub(crate) grants: Grants,
    pub(crate) auto_create: bool,
    pub(crate) answer_pings: bool,
    /// Packet name, how many of them pass before, what happens; each once.
    pub(crate) faults: Vec<(&'static str, u32, Then)>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            password: None,
            connectors: None,
            event_id: 1,
            topology_complete: true,
            not_ready: 0,
            grants: Grants::AtOnce,
            auto_create: true,
            answer_pings: true,
            faults: Vec::new(),
        }
    }
}

impl Rules {
    /// Rules with one fault at the first such packet.
    pub(crate) fn fault(packet: &'static str, then: Then) -> Self {
        Self {
            faults: vec![(packet, 0, then)],
            ..Self::default()
        }
    }

    /// What is to happen with this packet, if anything.
    pub(crate) fn strike(&mut self, name: &str) -> Option<Then> {
        let index = self
            .faults
            .iter()
            .position(|(packet, _, _)| *packet == name)?;
        let (_, pass, _) = &mut self.faults[index];
        if *pass > 0 {
            *pass -= 1;
            return None;
        }
        Some(self.faults.remove(index).2)
    }
}
