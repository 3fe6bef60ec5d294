//! A packet with its channel, as it is on the wire.

use bytes::{BufMut, Bytes, BytesMut};

use super::Packet;
use crate::message::Message;
use crate::wire::{Counter, Reader, length};
use crate::{DecodeError, HEADER_BYTES};

/// The length field itself, which it does not count.
pub(crate) const LENGTH_BYTES: usize = 4;
/// Type byte of `SESS_RECEIVE_MSG`.
const RECEIVE_TYPE: i8 = 75;
/// Consumer id and delivery count.
const RECEIVE_TAIL_BYTES: usize = 8 + 4;

/// Types that only brokers send: answers, pushes, topology.
///
/// `PING` and `PACKETS_CONFIRMED` go both ways.
const BROKER_TYPES: [i8; 25] = [
    11,
    12,
    13,
    20,
    21,
    31,
    33,
    55,
    62,
    64,
    66,
    RECEIVE_TYPE,
    76,
    77,
    80,
    82,
    110,
    114,
    122,
    124,
    -5,
    -14,
    -17,
    -19,
    -22,
];

/// Whether a whole frame is of a type that only brokers send.
pub(crate) fn is_from_broker(frame: &[u8]) -> bool {
    frame
        .get(LENGTH_BYTES)
        .is_some_and(|byte| BROKER_TYPES.contains(&i8::from_be_bytes([*byte])))
}

/// One packet on one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// 0 connection, 1 sessions, 10 and above one per session.
    pub channel: i64,
    /// The packet.
    pub packet: Packet,
}

impl Frame {
    /// Reads a whole frame, with its length field; every byte must be used.
    pub fn decode(frame: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame);
        let sent = reader.i32("frame.length")?;
        let actual = reader.remaining();
        if usize::try_from(sent) != Ok(actual) || frame.len() < HEADER_BYTES {
            return Err(DecodeError::FrameLength {
                length: sent,
                actual,
            });
        }
        let packet_type = reader.i8("frame.type")?;
        let channel = reader.i64("frame.channel")?;
        let packet = Packet::read(packet_type, channel, &mut reader)?;
        Ok(Self { channel, packet })
    }

    /// Appends the whole frame to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        self.packet.encode(self.channel, out);
    }
}

impl Packet {
    /// Appends the packet as a whole frame on `channel` to `out`; returns its size.
    pub fn encode(&self, channel: i64, out: &mut BytesMut) -> usize {
        let start = out.len();
        out.put_i32(0);
        out.put_i8(self.packet_type());
        out.put_i64(channel);
        self.write(out);
        let size = out.len() - start;
        let length_field = length(size - LENGTH_BYTES).to_be_bytes();
        out[start..start + LENGTH_BYTES].copy_from_slice(&length_field);
        size
    }

    /// Size of the whole frame with its length field: what credits and confirmation windows count.
    pub fn encoded_len(&self) -> usize {
        let mut counter = Counter::default();
        self.write(&mut counter);
        HEADER_BYTES + counter.bytes
    }
}

/// Size of the `SESS_RECEIVE_MSG` that delivers this message: what the consumer's credits pay.
pub fn receive_len(message: &Message) -> usize {
    HEADER_BYTES + message.encoded_len() + RECEIVE_TAIL_BYTES
}

/// Appends a `SESS_RECEIVE_MSG` with one copy of the message's block; returns its size.
///
/// The id replaces the one in the block: a message is stored as its sender encoded it, with id 0.
pub fn encode_receive(
    channel: i64,
    message: &Message,
    message_id: i64,
    consumer_id: i64,
    delivery_count: i32,
    out: &mut BytesMut,
) -> usize {
    let size = receive_len(message);
    out.reserve(size);
    out.put_i32(length(size - LENGTH_BYTES));
    out.put_i8(RECEIVE_TYPE);
    out.put_i64(channel);
    message.encode_with_id(message_id, out);
    out.put_i64(consumer_id);
    out.put_i32(delivery_count);
    size
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Role;

    /// A frame of this type with as many zero fields as it takes to decode, if it ever does.
    fn zeros(packet_type: i8) -> Option<Packet> {
        (0..256).find_map(|fields| {
            let mut frame = BytesMut::new();
            frame.put_i32(length(HEADER_BYTES - LENGTH_BYTES + fields));
            frame.put_i8(packet_type);
            frame.put_i64(10);
            frame.put_bytes(0, fields);
            Frame::decode(&frame.freeze())
                .ok()
                .map(|frame| frame.packet)
        })
    }

    #[test]
    fn answers_and_pushes_are_what_only_brokers_send() {
        let mut seen = 0;
        for packet_type in i8::MIN..=i8::MAX {
            let Some(packet) = zeros(packet_type) else {
                continue;
            };
            let from_broker = BROKER_TYPES.contains(&packet_type);
            match packet.role() {
                Role::Request { .. } => assert!(!from_broker, "{}", packet.name()),
                Role::Answer | Role::Push => assert!(from_broker, "{}", packet.name()),
                Role::Other => {}
            }
            seen += 1;
        }
        assert!(seen > 60, "{seen} packets");
    }
}
