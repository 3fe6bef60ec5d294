//! The active's thread: ships the own term's journal to whoever comes for the session.

use std::thread::JoinHandle;
use std::time::Duration;

use journal::WriterView;
use journal::mirror::{Shipment, Shipper};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::wire::{self, Said};
use super::{Progress, SEND_LIMIT, SILENCE, Stop};
use crate::ha::store::Store;
use crate::link::DataConnection;

/// Time between two signs of life when there is nothing to ship.
const IDLE: Duration = Duration::from_millis(500);

/// A session that is shipped.
pub(super) struct Shipping {
    stop: Stop,
    /// Ends with its stop, which is not waited for: it changes nothing here.
    _thread: Option<JoinHandle<()>>,
}

impl Shipping {
    /// Ships to every connection that comes, the newest one.
    pub(super) fn start(
        store: Store,
        writer: WriterView,
        connections: mpsc::UnboundedReceiver<DataConnection>,
        progress: Progress,
    ) -> Self {
        let stop = Stop::default();
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("ship".to_owned())
            .spawn(move || run(&store, &writer, connections, &stopped, &progress));
        if let Err(error) = &thread {
            warn!("nothing can be sent to the other side: no thread: {error}");
        }
        Self {
            stop,
            _thread: thread.ok(),
        }
    }

    /// Ends it at once.
    pub(super) fn stop(&self) {
        self.stop.stop();
    }
}

impl Drop for Shipping {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(
    store: &Store,
    writer: &WriterView,
    mut connections: mpsc::UnboundedReceiver<DataConnection>,
    stop: &Stop,
    progress: &Progress,
) {
    // Nobody is expected any more once the channel is closed.
    while let Some(mut connection) = connections.blocking_recv() {
        if stop.is_stopped() {
            return;
        }
        let remote = connection.remote().to_owned();
        let ended = match connection.closer() {
            Ok(closer) => {
                stop.waits_at(closer);
                ship(store, writer, &mut connection, stop, progress)
            }
            Err(error) => Err(error.to_string()),
        };
        progress.ends();
        if stop.is_stopped() {
            return;
        }
        if let Err(error) = ended {
            debug!("the connection to {remote} for the journal has ended: {error}");
        }
    }
}

fn ship(
    store: &Store,
    writer: &WriterView,
    connection: &mut DataConnection,
    stop: &Stop,
    progress: &Progress,
) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    connection
        .set_limits(SILENCE.max(SEND_LIMIT), SEND_LIMIT)
        .map_err(failed)?;
    let (manifest, mut shipper) =
        Shipper::begin(store.storage(), writer.clone()).map_err(|error| error.to_string())?;
    let lengths: std::collections::BTreeMap<_, _> = manifest
        .files
        .iter()
        .map(|it| (it.file.file, it.file.length_bytes))
        .collect();
    wire::send(connection, &Said::Manifest(manifest)).map_err(failed)?;
    let Said::Wants(wants) = wire::receive(connection).map_err(failed)? else {
        return Err("it did not say what it needs".to_owned());
    };
    let total = wants
        .iter()
        .filter_map(|want| Some(lengths.get(&want.file)?.saturating_sub(want.from_byte)))
        .sum();
    for want in &wants {
        debug!(
            "AMQ221025: sending {} from byte {}",
            want.file, want.from_byte
        );
    }
    if total > 0 {
        info!(
            "AMQ221025: sending {total} bytes of {} journal files to the other side",
            wants.len()
        );
    }
    progress.begins(total);
    if !shipper.want(wants) {
        return Err("it needs files that there are not".to_owned());
    }
    while !stop.is_stopped() {
        let said = match shipper.next(IDLE).map_err(|error| error.to_string())? {
            Shipment::Piece(piece) => {
                progress.adds(piece.bytes.len() as u64);
                Said::Piece(piece)
            }
            Shipment::Live => {
                progress.ends();
                Said::Live
            }
            Shipment::Front(front) => Said::Front(front),
            Shipment::Nothing => Said::Alive,
        };
        wire::send(connection, &said).map_err(failed)?;
    }
    Ok(())
}
