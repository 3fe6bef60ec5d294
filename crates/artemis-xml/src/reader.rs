//! Reads an export, one item at a time.

use std::io::{self, BufRead};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use core_protocol::message::Value;
use thiserror::Error;

use crate::model::{AddressBinding, Item, Limits, Message, QueueBinding};
use crate::properties::{decode, decode_units, kind_of, quoted, value};
use crate::scanner::{Scanner, Token};

/// Why an export cannot be read further.
#[derive(Debug, Clone, Error)]
pub enum ReadError {
    /// The input failed.
    #[error("the input cannot be read behind byte {byte}: {source}")]
    Io {
        /// Where the tag or text began.
        byte: u64,
        /// The system's words.
        source: Arc<io::Error>,
    },
    /// The input is not an export.
    #[error("line {line}, byte {byte}: {what}")]
    Content {
        /// Line of the tag or text, from 1.
        line: u64,
        /// Its first byte, from 0.
        byte: u64,
        /// What is wrong.
        what: String,
    },
}

/// Where the reader stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Journal,
    Bindings,
    Messages,
    /// Behind the end of the document element.
    End,
}

/// Reads an export as a stream.
#[derive(Debug)]
pub struct Reader<R> {
    scanner: Scanner<R>,
    limits: Limits,
    place: Place,
}

type Attributes = Vec<(String, String)>;

impl<R: BufRead> Reader<R> {
    /// A reader at the beginning of an export.
    pub fn new(input: R, limits: Limits) -> Self {
        Self {
            scanner: Scanner::new(input, limits.markup_bytes),
            limits,
            place: Place::Start,
        }
    }

    /// The next address, queue or message; nothing behind the end of the document.
    ///
    /// After an error nothing that it says means anything.
    pub fn next_item(&mut self) -> Result<Option<Item>, ReadError> {
        loop {
            let token = self.scanner.next()?;
            let (element, attributes, empty) = match token {
                Token::Open {
                    element,
                    attributes,
                    empty,
                } => (element, attributes, empty),
                Token::Close(_) => {
                    self.place = match self.place {
                        Place::Bindings | Place::Messages => Place::Journal,
                        Place::Start | Place::Journal | Place::End => Place::End,
                    };
                    continue;
                }
                Token::Text(text) => return Err(self.out_of_place(&text)),
                Token::End if self.place == Place::End => return Ok(None),
                Token::End => {
                    return Err(self.scanner.refuse(
                        "the file ends before </activemq-journal>: the export was not finished",
                    ));
                }
            };
            match (self.place, element.as_str()) {
                (Place::Start, "activemq-journal") => {
                    self.place = if empty { Place::End } else { Place::Journal };
                }
                (Place::Journal, "bindings") if !empty => self.place = Place::Bindings,
                (Place::Journal, "messages") if !empty => self.place = Place::Messages,
                (Place::Journal, "bindings" | "messages") => {}
                (Place::Bindings, "address-binding") => {
                    let address = self.address(attributes)?;
                    self.close(&element, empty)?;
                    return Ok(Some(Item::Address(address)));
                }
                (Place::Bindings, "queue-binding") => {
                    let queue = self.queue(attributes)?;
                    self.close(&element, empty)?;
                    return Ok(Some(Item::Queue(queue)));
                }
                (Place::Messages, "message") => {
                    let message = self.message(attributes, empty)?;
                    return Ok(Some(Item::Message(Box::new(message))));
                }
                (Place::Start, _) => {
                    return Err(self.scanner.refuse(format!(
                        "the document is <{element}>, an export is <activemq-journal>"
                    )));
                }
                (Place::Journal | Place::Bindings | Place::Messages | Place::End, _) => {
                    return Err(self.misplaced(&element));
                }
            }
        }
    }

    /// How many bytes of the input are read.
    pub fn position_bytes(&self) -> u64 {
        self.scanner.position_bytes()
    }

    fn address(&self, attributes: Attributes) -> Result<AddressBinding, ReadError> {
        let mut name = None;
        let mut id = 0;
        let (mut anycast, mut multicast) = (false, false);
        for (key, text) in attributes {
            match key.as_str() {
                "name" => name = Some(text),
                "id" => id = self.number(&key, &text)?,
                "routing-types" => {
                    for kind in text.split([',', ' ']).filter(|kind| !kind.is_empty()) {
                        if self.is_anycast(&key, kind)? {
                            anycast = true;
                        } else {
                            multicast = true;
                        }
                    }
                }
                _ => return Err(self.unknown_attribute("address-binding", &key)),
            }
        }
        Ok(AddressBinding {
            name: self.name("address-binding", "name", name)?,
            id,
            anycast,
            multicast,
        })
    }

    fn queue(&self, attributes: Attributes) -> Result<QueueBinding, ReadError> {
        let (mut name, mut address, mut filter, mut id) = (None, None, None, 0);
        let mut anycast = None;
        for (key, text) in attributes {
            match key.as_str() {
                "name" => name = Some(text),
                "address" => address = Some(text),
                "filter-string" => filter = Some(text).filter(|text| !text.trim().is_empty()),
                "id" => id = self.number(&key, &text)?,
                "routing-type" => anycast = Some(self.is_anycast(&key, &text)?),
                _ => return Err(self.unknown_attribute("queue-binding", &key)),
            }
        }
        let name = self.name("queue-binding", "name", name)?;
        let Some(anycast) = anycast else {
            return Err(self.scanner.refuse(format!(
                "<queue-binding> of queue {} has no routing-type",
                quoted(&name)
            )));
        };
        Ok(QueueBinding {
            name,
            address: self.name("queue-binding", "address", address)?,
            filter,
            anycast,
            id,
        })
    }

    fn message(&mut self, attributes: Attributes, empty: bool) -> Result<Message, ReadError> {
        let mut message = self.head(attributes)?;
        if empty {
            return Ok(message);
        }
        let mut has_body = false;
        loop {
            let (element, attributes, empty) = match self.scanner.next()? {
                Token::Open {
                    element,
                    attributes,
                    empty,
                } => (element, attributes, empty),
                Token::Close(_) => return Ok(message),
                Token::Text(text) => return Err(self.out_of_place(&text)),
                Token::End => return Err(self.unfinished("message")),
            };
            match element.as_str() {
                "properties" if !empty => message.properties = self.properties()?,
                "queues" if !empty => message.queues = self.queues()?,
                "properties" | "queues" => {}
                "body" if has_body => {
                    return Err(self.scanner.refuse("the message has a second <body>"));
                }
                "body" => {
                    has_body = true;
                    for (key, text) in attributes {
                        match key.as_str() {
                            "isLarge" => message.is_large = text == "true",
                            _ => return Err(self.unknown_attribute("body", &key)),
                        }
                    }
                    if !empty {
                        message.body = self.body()?;
                    }
                }
                _ => return Err(self.misplaced(&element)),
            }
        }
    }

    fn head(&self, attributes: Attributes) -> Result<Message, ReadError> {
        let mut message = Message {
            id: 0,
            kind: 0,
            priority: 4,
            expiration_ms: 0,
            timestamp_ms: 0,
            user_id: None,
            properties: Vec::new(),
            queues: Vec::new(),
            body: Bytes::new(),
            is_large: false,
        };
        for (key, text) in attributes {
            match key.as_str() {
                "id" => message.id = self.number(&key, &text)?,
                "priority" => message.priority = self.number(&key, &text)?,
                "expiration" => message.expiration_ms = self.number(&key, &text)?,
                "timestamp" => message.timestamp_ms = self.number(&key, &text)?,
                "type" => {
                    message.kind = kind_of(&text).ok_or_else(|| {
                        self.scanner.refuse(format!(
                            "the message has the type {}, which is none of default, object, text, bytes, map, stream",
                            quoted(&text)
                        ))
                    })?;
                }
                "user-id" => {
                    message.user_id = Some(uuid(&text).ok_or_else(|| {
                        self.scanner
                            .refuse(format!("user-id {} is no UUID", quoted(&text)))
                    })?);
                }
                _ => return Err(self.unknown_attribute("message", &key)),
            }
        }
        if message.priority > 9 {
            let what = format!("priority {} is above 9", message.priority);
            return Err(self.scanner.refuse(what));
        }
        Ok(message)
    }

    fn properties(&mut self) -> Result<Vec<(String, Value)>, ReadError> {
        self.entries("properties", "property", |reader, attributes| {
            let (mut name, mut text, mut kind, mut exact) = (None, None, None, None);
            for (key, found) in attributes {
                match key.as_str() {
                    "name" => name = Some(found),
                    "value" => text = Some(found),
                    "type" => kind = Some(found),
                    "utf16" => exact = Some(found),
                    _ => return Err(reader.unknown_attribute("property", &key)),
                }
            }
            let name =
                name.ok_or_else(|| reader.scanner.refuse("<property> has no attribute name"))?;
            let about = |what: String| {
                reader
                    .scanner
                    .refuse(format!("property {} {what}", quoted(&name)))
            };
            let text = text.ok_or_else(|| about("has no attribute value".to_owned()))?;
            let units = exact.map(|exact| {
                decode_units(&exact).ok_or_else(|| about("has a utf16 that is none".to_owned()))
            });
            let value = match (units.transpose()?.as_deref(), kind.as_deref()) {
                (Some([unit]), None) => Value::Char(*unit),
                (Some(units), kind) => {
                    value(kind, String::from_utf16_lossy(units)).map_err(about)?
                }
                (None, kind) => value(kind, text).map_err(about)?,
            };
            Ok((name, value))
        })
    }

    fn queues(&mut self) -> Result<Vec<String>, ReadError> {
        self.entries("queues", "queue", |reader, attributes| {
            let mut name = None;
            for (key, text) in attributes {
                match key.as_str() {
                    "name" => name = Some(text),
                    _ => return Err(reader.unknown_attribute("queue", &key)),
                }
            }
            reader.name("queue", "name", name)
        })
    }

    /// Reads the elements of a list up to its end.
    fn entries<T>(
        &mut self,
        list: &str,
        entry: &str,
        read: impl Fn(&Self, Attributes) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let mut entries = Vec::new();
        loop {
            match self.scanner.next()? {
                Token::Open {
                    element,
                    attributes,
                    empty,
                } if element == entry => {
                    if entries.len() == self.limits.entries {
                        let what = format!("<{list}> has more than {} entries", entries.len());
                        return Err(self.scanner.refuse(what));
                    }
                    entries.push(read(self, attributes)?);
                    self.close(entry, empty)?;
                }
                Token::Open { element, .. } => return Err(self.misplaced(&element)),
                Token::Close(_) => return Ok(entries),
                Token::Text(text) => return Err(self.out_of_place(&text)),
                Token::End => return Err(self.unfinished(list)),
            }
        }
    }

    fn body(&mut self) -> Result<Bytes, ReadError> {
        let mut body = BytesMut::new();
        loop {
            match self.scanner.next()? {
                Token::Text(text) => {
                    let piece = decode(&text).map_err(|error| {
                        self.scanner
                            .refuse(format!("the body is no base64: {error}"))
                    })?;
                    if body.len() + piece.len() > self.limits.body_bytes {
                        let what =
                            format!("the body is longer than {} bytes", self.limits.body_bytes);
                        return Err(self.scanner.refuse(what));
                    }
                    body.extend_from_slice(&piece);
                }
                Token::Close(_) => return Ok(body.freeze()),
                Token::Open { element, .. } => return Err(self.misplaced(&element)),
                Token::End => return Err(self.unfinished("body")),
            }
        }
    }

    /// Reads the end of an element that holds nothing.
    fn close(&mut self, element: &str, empty: bool) -> Result<(), ReadError> {
        if empty {
            return Ok(());
        }
        match self.scanner.next()? {
            Token::Close(_) => Ok(()),
            Token::Open { element, .. } => Err(self.misplaced(&element)),
            Token::Text(text) => Err(self.out_of_place(&text)),
            Token::End => Err(self.unfinished(element)),
        }
    }

    fn name(
        &self,
        element: &str,
        attribute: &str,
        name: Option<String>,
    ) -> Result<String, ReadError> {
        name.filter(|name| !name.is_empty()).ok_or_else(|| {
            self.scanner
                .refuse(format!("<{element}> has no attribute {attribute}"))
        })
    }

    fn number<T: std::str::FromStr>(&self, key: &str, text: &str) -> Result<T, ReadError> {
        text.parse().map_err(|_| {
            self.scanner.refuse(format!(
                "{key} is {}, which is no number in its range",
                quoted(text)
            ))
        })
    }

    fn is_anycast(&self, key: &str, text: &str) -> Result<bool, ReadError> {
        match text {
            "ANYCAST" => Ok(true),
            "MULTICAST" => Ok(false),
            _ => {
                let what = format!("{key} is {}, neither ANYCAST nor MULTICAST", quoted(text));
                Err(self.scanner.refuse(what))
            }
        }
    }

    fn unknown_attribute(&self, element: &str, key: &str) -> ReadError {
        self.scanner.refuse(format!(
            "<{element}> has the attribute {}, which is unknown",
            quoted(key)
        ))
    }

    fn misplaced(&self, element: &str) -> ReadError {
        self.scanner
            .refuse(format!("<{}> is out of place here", element.escape_debug()))
    }

    fn out_of_place(&self, text: &str) -> ReadError {
        self.scanner
            .refuse(format!("the text {} is out of place here", quoted(text)))
    }

    fn unfinished(&self, element: &str) -> ReadError {
        self.scanner
            .refuse(format!("the file ends inside of <{element}>"))
    }
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits = text.replace('-', "");
    if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&digits, 16)
        .ok()
        .map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests;
