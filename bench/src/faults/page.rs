//! What our broker says of itself: `GET /v1/pair`, by a small client that asks the same connection again and again.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// A broker that lives answers in a millisecond; a frozen one must not hold the asker for long.
const LIMIT: Duration = Duration::from_secs(1);
/// The answer is about a kilobyte.
const MAX_BYTES: u64 = 64 * 1024;

/// What matters here of the page; what it has beside that is left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Page {
    pub(crate) role: String,
    pub(crate) settled: bool,
    pub(crate) epoch: u64,
    pub(crate) in_sync: Vec<serde_json::Value>,
}

impl Page {
    /// Whether the broker says that it serves.
    pub(crate) fn serves(&self) -> bool {
        self.role == "serving"
    }

    /// Whether it says that it would take over.
    pub(crate) fn stands_by(&self) -> bool {
        self.role == "standby" && self.settled
    }
}

/// A connection to a broker's HTTP port.
#[derive(Debug)]
pub(crate) struct Pages(BufReader<TcpStream>);

impl Pages {
    /// Connects.
    pub(crate) fn open(port: u16) -> Result<Pages> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.set_nodelay(true)?;
        Ok(Pages(BufReader::new(stream)))
    }

    /// Asks for the page.
    pub(crate) fn ask(&mut self) -> Result<Page> {
        self.0
            .get_mut()
            .write_all(b"GET /v1/pair HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut length = None;
        loop {
            let mut line = String::new();
            if (&mut self.0).take(MAX_BYTES).read_line(&mut line)? == 0 {
                bail!("the connection was closed");
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse::<u64>()?);
            }
        }
        let length = length.context("an answer without length")?;
        if length > MAX_BYTES {
            bail!("an answer of {length} bytes");
        }
        let mut body = vec![0; usize::try_from(length)?];
        self.0.read_exact(&mut body)?;
        Ok(serde_json::from_slice(&body)?)
    }
}
