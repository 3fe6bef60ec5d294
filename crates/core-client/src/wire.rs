//! One TCP connection to a broker: bytes in and out, nothing about what they mean.
//!
//! Reading and writing are separate steps so that the driver can always read while it writes:
//! two sides that both wait for the other to read would never end.

use std::net::SocketAddr;

use bytes::BytesMut;
use core_protocol::framing::{DEFAULT_MAX_FRAME_BYTES, FrameDecoder, HANDSHAKE};
use core_protocol::{Frame, Packet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, timeout};

use crate::error::LossReason;
use crate::options::{ClientOptions, Endpoint};

/// Room made for each read: what one system call usually brings at full load.
const READ_BYTES: usize = 64 * 1024;

/// Below this much room a new buffer is begun rather than a tiny read made.
const MIN_READ_BYTES: usize = 4 * 1024;

/// A connection and the bytes on their way.
#[derive(Debug)]
pub(crate) struct Wire {
    reading: OwnedReadHalf,
    writing: OwnedWriteHalf,
    decoder: FrameDecoder,
    incoming: BytesMut,
    /// Encoded packets that are not written yet.
    outgoing: BytesMut,
    /// The address that was dialled, resolved.
    pub(crate) peer: SocketAddr,
    /// When bytes last arrived.
    pub(crate) last_read: Instant,
}

impl Wire {
    /// Opens the connection and says the handshake; TCP keeps it until the first write.
    pub(crate) async fn dial(
        endpoint: &Endpoint,
        options: &ClientOptions,
    ) -> Result<Self, LossReason> {
        let connecting = TcpStream::connect((endpoint.host.as_str(), endpoint.port));
        let Ok(connected) = timeout(options.connect_timeout(), connecting).await else {
            let waited_ms = options.connect_timeout_ms;
            return Err(LossReason::ConnectTimeout { waited_ms });
        };
        let stream = connected.map_err(|error| io_loss("connecting", &error))?;
        let peer = stream
            .peer_addr()
            .map_err(|error| io_loss("connecting", &error))?;
        stream
            .set_nodelay(true)
            .map_err(|error| io_loss("connecting", &error))?;
        let (reading, writing) = stream.into_split();
        Ok(Self {
            reading,
            writing,
            decoder: FrameDecoder::client(DEFAULT_MAX_FRAME_BYTES),
            incoming: BytesMut::new(),
            outgoing: BytesMut::from(&HANDSHAKE[..]),
            peer,
            last_read: Instant::now(),
        })
    }

    /// Queues a packet; [`Self::progress`] writes it.
    pub(crate) fn push(&mut self, channel: i64, packet: impl Into<Packet>) {
        packet.into().encode(channel, &mut self.outgoing);
    }

    /// Bytes that wait to be written.
    pub(crate) fn outgoing_bytes(&self) -> usize {
        self.outgoing.len()
    }

    /// Reads or writes some bytes, whichever is possible first. May be cancelled at any time.
    pub(crate) async fn progress(&mut self) -> Result<(), LossReason> {
        let Self {
            reading,
            writing,
            decoder,
            incoming,
            outgoing,
            last_read,
            peer: _,
        } = self;
        if incoming.capacity() < MIN_READ_BYTES {
            incoming.reserve(READ_BYTES);
        }
        tokio::select! {
            read = reading.read_buf(incoming) => {
                let bytes = read.map_err(|error| io_loss("reading", &error))?;
                if bytes == 0 {
                    return Err(LossReason::ClosedByBroker);
                }
                *last_read = Instant::now();
                decoder.feed(incoming.split().freeze());
            }
            written = writing.write_buf(outgoing), if !outgoing.is_empty() => {
                written.map_err(|error| io_loss("writing", &error))?;
            }
        }
        Ok(())
    }

    /// The next packet that has arrived completely.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, LossReason> {
        let not_core = |what: String| LossReason::NotCore { what };
        let frame = self.decoder.next_frame();
        let Some(bytes) = frame.map_err(|error| not_core(error.to_string()))? else {
            return Ok(None);
        };
        Frame::decode(&bytes)
            .map(Some)
            .map_err(|error| not_core(error.to_string()))
    }
}

fn io_loss(doing: &'static str, error: &std::io::Error) -> LossReason {
    LossReason::Io {
        doing,
        error: error.to_string(),
    }
}
