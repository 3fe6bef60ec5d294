//! What a condition can ask of a message: its properties, and some of its header fields under names
//! that begin with `AMQ`.

use core_protocol::message::{Message, Value};

use super::expression::Operand;

/// Where a condition finds the values of its identifiers.
pub(super) trait Fields {
    fn field(&self, name: &str) -> Operand<'_>;
}

/// The fields of a message.
pub(crate) struct MessageFields<'m> {
    message: &'m Message,
}

impl<'m> MessageFields<'m> {
    pub(crate) fn new(message: &'m Message) -> Self {
        Self { message }
    }
}

impl Fields for MessageFields<'_> {
    fn field(&self, name: &str) -> Operand<'_> {
        let message = self.message;
        match name {
            "AMQDurable" => Operand::text(if message.durable() {
                "DURABLE"
            } else {
                "NON_DURABLE"
            }),
            "AMQPriority" => Operand::Integer(i64::from(message.priority())),
            "AMQTimestamp" => Operand::Integer(message.timestamp_ms()),
            "AMQExpiration" => Operand::Integer(message.expiration_ms()),
            "AMQSize" => Operand::Integer(i64::try_from(message.encoded_len()).unwrap_or(i64::MAX)),
            "AMQAddress" => message.address().map_or(Operand::Null, Operand::text),
            "AMQUserID" => message
                .user_id()
                .map_or(Operand::Null, |id| Operand::owned(user_id_text(id))),
            "AMQGroupID" => operand(message.property("_AMQ_GROUP_ID")),
            _ => operand(message.property(name)),
        }
    }
}

fn operand(value: Option<Value>) -> Operand<'static> {
    match value {
        None | Some(Value::Null) => Operand::Null,
        Some(Value::Bool(value)) => Operand::Boolean(value),
        Some(Value::Byte(value)) => Operand::Integer(i64::from(value)),
        Some(Value::Short(value)) => Operand::Integer(i64::from(value)),
        Some(Value::Int(value)) => Operand::Integer(i64::from(value)),
        Some(Value::Long(value)) => Operand::Integer(value),
        Some(Value::Float(value)) => Operand::Real(f64::from(value)),
        Some(Value::Double(value)) => Operand::Real(value),
        Some(Value::String(value)) => Operand::owned(value),
        Some(Value::Bytes(_) | Value::Char(_)) => Operand::Opaque,
    }
}

/// `ID:` and the UUID in its usual form.
fn user_id_text(id: [u8; 16]) -> String {
    let mut text = String::with_capacity(39);
    text.push_str("ID:");
    for (index, byte) in id.into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 0x0f), 16).unwrap_or('0'));
    }
    text
}
