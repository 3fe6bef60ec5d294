//! Writes an export.

use std::io::{self, Write};

use core_protocol::message::Value;
use quick_xml::events::BytesStart;

use crate::LARGE_BODY_BYTES;
use crate::model::{AddressBinding, Message, QueueBinding};
use crate::properties::{encode, encode_units, kind_name, sayable, shown};

/// Bytes of a large body in one piece, as Artemis does it. Its import takes no other for granted.
const PIECE_BYTES: usize = 1000;

/// What XML could not say; in the file it is U+FFFD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Altered {
    /// A property's value. The exact one is beside it, where this crate's reader finds it.
    Value {
        /// The message.
        id: i64,
        /// The property.
        property: String,
    },
    /// A name, which is altered for every reader.
    Name {
        /// As it was.
        name: String,
    },
}

/// How far an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Bindings,
    Messages,
}

/// Writes one export: addresses and queues first, then messages, then the end.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    stage: Stage,
    altered: Vec<Altered>,
}

impl<W: Write> Writer<W> {
    /// Begins an export.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(
            b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<activemq-journal>\n   <bindings>\n",
        )?;
        Ok(Self {
            out,
            stage: Stage::Bindings,
            altered: Vec::new(),
        })
    }

    /// What XML could not say since the last call.
    pub fn take_altered(&mut self) -> Vec<Altered> {
        std::mem::take(&mut self.altered)
    }

    /// Writes an address; before all messages.
    pub fn address(&mut self, address: &AddressBinding) -> io::Result<()> {
        let types = match (address.anycast, address.multicast) {
            (true, true) => "ANYCAST,MULTICAST",
            (true, false) => "ANYCAST",
            (false, true) => "MULTICAST",
            (false, false) => "",
        };
        let name = self.name(&address.name);
        self.binding(
            "address-binding",
            &[
                ("routing-types", types),
                ("name", &name),
                ("id", &address.id.to_string()),
            ],
        )
    }

    /// Writes a queue; before all messages.
    pub fn queue(&mut self, queue: &QueueBinding) -> io::Result<()> {
        let (address, name) = (self.name(&queue.address), self.name(&queue.name));
        let filter = self.name(queue.filter.as_deref().unwrap_or_default());
        let routing = if queue.anycast {
            "ANYCAST"
        } else {
            "MULTICAST"
        };
        self.binding(
            "queue-binding",
            &[
                ("address", &address),
                ("filter-string", &filter),
                ("name", &name),
                ("id", &queue.id.to_string()),
                ("routing-type", routing),
            ],
        )
    }

    /// Writes a message.
    pub fn message(&mut self, message: &Message) -> io::Result<()> {
        self.begin_messages()?;
        let mut tag = BytesStart::new("message");
        tag.push_attribute(("id", message.id.to_string().as_str()));
        tag.push_attribute(("priority", message.priority.to_string().as_str()));
        tag.push_attribute(("expiration", message.expiration_ms.to_string().as_str()));
        tag.push_attribute(("timestamp", message.timestamp_ms.to_string().as_str()));
        tag.push_attribute(("type", kind_name(message.kind).as_ref()));
        if let Some(id) = &message.user_id {
            tag.push_attribute(("user-id", uuid(id).as_str()));
        }
        writeln!(self.out, "      <{}>", &*tag)?;
        if !message.properties.is_empty() {
            self.out.write_all(b"         <properties>\n")?;
            for (name, value) in &message.properties {
                self.property(message.id, name, value)?;
            }
            self.out.write_all(b"         </properties>\n")?;
        }
        self.out.write_all(b"         <queues>\n")?;
        for queue in &message.queues {
            let queue = self.name(queue);
            let tag = BytesStart::new("queue").with_attributes([("name", queue.as_str())]);
            writeln!(self.out, "            <{}/>", &*tag)?;
        }
        self.out.write_all(b"         </queues>\n")?;
        self.body(message)?;
        self.out.write_all(b"      </message>\n")
    }

    /// Ends the export and gives back what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.begin_messages()?;
        self.out
            .write_all(b"   </messages>\n</activemq-journal>\n")?;
        Ok(self.out)
    }

    fn begin_messages(&mut self) -> io::Result<()> {
        if self.stage == Stage::Bindings {
            self.stage = Stage::Messages;
            self.out.write_all(b"   </bindings>\n   <messages>\n")?;
        }
        Ok(())
    }

    fn binding(&mut self, element: &str, attributes: &[(&str, &str)]) -> io::Result<()> {
        if self.stage != Stage::Bindings {
            let late = "addresses and queues come before the messages";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, late));
        }
        let tag = BytesStart::new(element).with_attributes(attributes.iter().copied());
        writeln!(self.out, "      <{}/>", &*tag)
    }

    fn property(&mut self, id: i64, name: &str, value: &Value) -> io::Result<()> {
        let (kind, text) = shown(value);
        let said = sayable(&text);
        // A character may be half of a pair, which no text holds.
        let exact = if let Value::Char(unit) = value
            && said.encode_utf16().ne([*unit])
        {
            Some(encode_units([*unit].into_iter()))
        } else {
            (said != text).then(|| encode_units(text.encode_utf16()))
        };
        let property = self.name(name);
        let mut tag = BytesStart::new("property");
        tag.push_attribute(("name", property.as_str()));
        tag.push_attribute(("value", said.as_ref()));
        if let Some(kind) = kind {
            tag.push_attribute(("type", kind));
        }
        if let Some(exact) = exact {
            tag.push_attribute(("utf16", exact.as_str()));
            self.altered.push(Altered::Value { id, property });
        }
        writeln!(self.out, "            <{}/>", &*tag)
    }

    fn body(&mut self, message: &Message) -> io::Result<()> {
        let is_large = message.is_large || message.body.len() >= LARGE_BODY_BYTES;
        if !is_large {
            let body = encode(&message.body);
            return write!(
                self.out,
                "         <body>\n            <![CDATA[{body}]]>\n         </body>\n"
            );
        }
        self.out.write_all(b"         <body isLarge=\"true\">\n")?;
        for piece in message.body.chunks(PIECE_BYTES) {
            writeln!(self.out, "            <![CDATA[{}]]>", encode(piece))?;
        }
        self.out.write_all(b"         </body>\n")
    }

    /// A name as XML can say it.
    fn name(&mut self, name: &str) -> String {
        let said = sayable(name);
        if said != name {
            let altered = Altered::Name {
                name: name.to_owned(),
            };
            if !self.altered.contains(&altered) {
                self.altered.push(altered);
            }
        }
        said.into_owned()
    }
}

fn uuid(id: &[u8; 16]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(36);
    for (index, byte) in id.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
