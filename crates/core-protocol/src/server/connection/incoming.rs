//! What each received packet does, by the channel it came on.

use super::{CONNECTION_CHANNEL, SESSIONS_CHANNEL, ServerConnection, Session};
use crate::packet::{
    CheckForFailoverReply, Exception, Frame, Packet, Ping, ReattachSessionResponse, Role,
};
use crate::server::{ConnectionError, Event, SessionRequest};
use crate::{PROTOCOL_VERSION, exception, packet};

/// Sessions have channels from here on.
const FIRST_SESSION_CHANNEL: i64 = 10;
/// The version that is assumed of a client which subscribes without telling one.
const UNTOLD_VERSION: i32 = 121;

impl ServerConnection {
    pub(super) fn handle_frames(&mut self) -> Result<(), ConnectionError> {
        while let Some(bytes) = self.decoder.next_frame()? {
            if packet::is_from_broker(&bytes) {
                // Nothing here asks for it, and the lists in some of them take more memory than bytes.
                continue;
            }
            let frame = Frame::decode(&bytes)?;
            match frame.channel {
                CONNECTION_CHANNEL => self.handle_connection_packet(frame.packet),
                SESSIONS_CHANNEL => self.handle_sessions_packet(frame.packet),
                channel => self.handle_session_packet(channel, frame.packet, bytes.len()),
            }
        }
        Ok(())
    }

    fn handle_connection_packet(&mut self, packet: Packet) {
        if let Packet::Ping(Ping { ttl_ms }) = packet {
            self.announced_ttl_ms = Some(ttl_ms);
            packet.encode(CONNECTION_CHANNEL, &mut self.output);
        } else if let Packet::SubscribeTopology(packet) = packet {
            self.subscribe(packet.is_cluster_connection, None);
        } else if let Packet::SubscribeTopologyV2(packet) = packet {
            self.subscribe(packet.is_cluster_connection, Some(packet.client_version));
        }
        // Anything else has no meaning here, and clients may send what they like: ignored.
    }

    fn subscribe(&mut self, is_cluster_connection: bool, client_version: Option<i32>) {
        self.subscribed_version = Some(client_version.unwrap_or(UNTOLD_VERSION));
        self.events.push_back(Event::TopologyRequested {
            is_cluster_connection,
            client_version,
        });
    }

    fn handle_sessions_packet(&mut self, packet: Packet) {
        if let Packet::CreateSession(session) = packet {
            self.request_session(SessionRequest {
                session,
                client_id: None,
            });
        } else if let Packet::CreateSessionV2(packet) = packet {
            self.request_session(packet.into());
        } else if let Packet::ReattachSession(_) = packet {
            // Sessions do not outlive their connection: the client makes its sessions anew.
            let response = ReattachSessionResponse {
                last_confirmed: -1,
                reattached: false,
            };
            Packet::from(response).encode(SESSIONS_CHANNEL, &mut self.output);
        } else if let Packet::CheckForFailover(_) = packet {
            // Only the active side has a listening socket (rule 5), so the answer is always yes.
            let reply = CheckForFailoverReply { ok: true };
            Packet::from(reply).encode(SESSIONS_CHANNEL, &mut self.output);
        }
    }

    fn request_session(&mut self, request: SessionRequest) {
        let SessionRequest { session, .. } = &request;
        let channel = session.channel;
        if session.version != PROTOCOL_VERSION {
            let text = format!(
                "AMQ229033: the client speaks version {}, this broker version {PROTOCOL_VERSION}",
                session.version
            );
            self.send_refusal(exception::INCOMPATIBLE_VERSIONS, text);
        } else if channel < FIRST_SESSION_CHANNEL || self.sessions.contains_key(&channel) {
            let text = format!("channel {channel} cannot be used for another session");
            self.send_refusal(exception::ILLEGAL_STATE, text);
        } else if self.sessions.len() >= self.config.max_sessions {
            let limit = self.config.max_sessions;
            let text = format!("the connection has its limit of {limit} sessions");
            self.send_refusal(exception::ILLEGAL_STATE, text);
        } else {
            self.sessions
                .insert(channel, Session::Requested(session.confirmation_window));
            self.events
                .push_back(Event::SessionRequested(Box::new(request)));
        }
    }

    pub(super) fn send_refusal(&mut self, code: i32, text: String) {
        let refusal = Exception {
            code,
            message: Some(text),
            correlation: None,
        };
        Packet::from(refusal).encode(SESSIONS_CHANNEL, &mut self.output);
    }

    fn handle_session_packet(&mut self, channel: i64, packet: Packet, bytes: usize) {
        let Some(session) = self.sessions.get_mut(&channel) else {
            return;
        };
        let (Session::Open(confirmation), Role::Request { answered }) =
            (&mut *session, packet.role())
        else {
            return;
        };
        if packet == Packet::SessClose {
            *session = Session::Closing(confirmation.take());
        }
        let counts = packet.is_counted();
        self.events.push_back(Event::Session {
            channel,
            packet: Box::new(packet),
        });
        self.count(channel, |confirmation| {
            confirmation.received(bytes, answered, counts);
        });
    }
}
