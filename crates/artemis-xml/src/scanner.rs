//! The events of a file, each with its line and byte, none above the bound.

use std::io::{self, BufRead, Read};

use quick_xml::Reader;
use quick_xml::errors::Error;
use quick_xml::events::Event;

use crate::reader::ReadError;

/// Input that counts lines and ends an event that is too long.
#[derive(Debug)]
struct Metered<R> {
    inner: R,
    line: u64,
    /// Bytes that the current event may still take.
    left: usize,
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let bytes = available.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&available[..bytes]);
        self.consume(bytes);
        Ok(bytes)
    }
}

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = self.left;
        let available = self.inner.fill_buf()?;
        if left == 0 && !available.is_empty() {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too long"));
        }
        let bytes = available.len().min(left);
        Ok(&available[..bytes])
    }

    fn consume(&mut self, amount: usize) {
        if amount == 0 {
            return;
        }
        // What is consumed was looked at, so it lies in the buffer and this reads nothing.
        if let Ok(available) = self.inner.fill_buf() {
            let consumed = &available[..amount.min(available.len())];
            for byte in consumed {
                self.line += u64::from(*byte == b'\n');
            }
        }
        self.left = self.left.saturating_sub(amount);
        self.inner.consume(amount);
    }
}

/// A tag or a text, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A tag that begins an element; `empty` if it ends it too.
    Open {
        element: String,
        attributes: Vec<(String, String)>,
        empty: bool,
    },
    Close(String),
    /// Anything between tags that is not white space only.
    Text(String),
    End,
}

#[derive(Debug)]
pub(crate) struct Scanner<R> {
    reader: Reader<Metered<R>>,
    buffer: Vec<u8>,
    limit: usize,
    /// Where the last token began.
    line: u64,
    byte: u64,
}

impl<R: BufRead> Scanner<R> {
    pub(crate) fn new(input: R, limit: usize) -> Self {
        let metered = Metered {
            inner: input,
            line: 1,
            left: limit,
        };
        let mut reader = Reader::from_reader(metered);
        reader.config_mut().check_comments = true;
        Self {
            reader,
            buffer: Vec::new(),
            limit,
            line: 1,
            byte: 0,
        }
    }

    /// An error about the last token.
    pub(crate) fn refuse(&self, what: impl Into<String>) -> ReadError {
        ReadError::Content {
            line: self.line,
            byte: self.byte,
            what: what.into(),
        }
    }

    pub(crate) fn position_bytes(&self) -> u64 {
        self.reader.buffer_position()
    }

    pub(crate) fn next(&mut self) -> Result<Token, ReadError> {
        loop {
            self.buffer.clear();
            self.buffer.shrink_to(64 * 1024);
            self.byte = self.reader.buffer_position();
            let metered = self.reader.get_mut();
            metered.left = self.limit;
            self.line = metered.line;
            let event = match self.reader.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(error) => return Err(self.failed(error)),
            };
            let (line, byte) = (self.line, self.byte);
            let refuse = |what: String| ReadError::Content { line, byte, what };
            let token = match event {
                Event::Start(tag) => open(&tag, false),
                Event::Empty(tag) => open(&tag, true),
                Event::End(tag) => Ok(Token::Close(tag.name().as_ref().to_owned())),
                Event::Text(text) if text.trim().is_empty() => continue,
                Event::Text(text) => {
                    let blank = &text[..text.len() - text.trim_start().len()];
                    self.line += blank.matches('\n').count() as u64;
                    self.byte += blank.len() as u64;
                    return Ok(Token::Text(text.trim().to_owned()));
                }
                Event::CData(text) => Ok(Token::Text(text.to_string())),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => continue,
                Event::DocType(_) => {
                    Err("there is a document type, which no export has".to_owned())
                }
                Event::GeneralRef(name) => Err(format!("&{}; is out of place", &*name)),
                Event::Eof => Ok(Token::End),
            };
            return token.map_err(refuse);
        }
    }

    fn failed(&self, error: Error) -> ReadError {
        let what = match error {
            Error::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                format!("a tag or text is longer than {} bytes", self.limit)
            }
            Error::Io(error) => {
                return ReadError::Io {
                    byte: self.byte,
                    source: error,
                };
            }
            Error::Syntax(_)
            | Error::IllFormed(_)
            | Error::InvalidAttr(_)
            | Error::Encoding(_)
            | Error::Escape(_)
            | Error::Namespace(_) => error.to_string(),
        };
        ReadError::Content {
            line: self.line,
            byte: self.reader.error_position().max(self.byte),
            what,
        }
    }
}

fn open(tag: &quick_xml::events::BytesStart<'_>, empty: bool) -> Result<Token, String> {
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let name = attribute.key.as_ref().to_owned();
        // Not normalized: Artemis writes line ends as they are.
        let value = quick_xml::escape::unescape(&attribute.value)
            .map_err(|error| format!("attribute {name}: {error}"))?;
        attributes.push((name, value.into_owned()));
    }
    Ok(Token::Open {
        element: tag.name().as_ref().to_owned(),
        attributes,
        empty,
    })
}
