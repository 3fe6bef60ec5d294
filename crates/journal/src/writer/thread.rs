//! The writer's thread: take, write, sync, report; over and over. The order is the whole point:
//! nothing is reported before its sync has returned, and nothing is written after a failure.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::output::Output;
use super::queue::Queue;
use super::{JournalEvent, Synced};
use crate::error::WriteError;
use crate::mirror::Tap;
use crate::names::Position;

pub(super) fn spawn(
    queue: Arc<Queue>,
    output: Output,
    tap: Tap,
    on_event: impl FnMut(JournalEvent) + Send + 'static,
) -> Result<JoinHandle<()>, WriteError> {
    let run = move || {
        // Declared first, dropped last: also a panic in the callback ends in "failed".
        let _guard = PanicGuard(Arc::clone(&queue));
        run(&queue, output, &tap, on_event);
    };
    thread::Builder::new()
        .name("journal".to_owned())
        .spawn(run)
        .map_err(WriteError::Thread)
}

fn run(queue: &Queue, mut output: Output, tap: &Tap, mut on_event: impl FnMut(JournalEvent)) {
    let mut batch = Vec::new();
    while queue.take(&mut batch) {
        let began = Instant::now();
        let written = match output.write(&batch) {
            Ok(written) => written,
            Err(error) => {
                let error = Arc::new(error);
                queue.fail(Arc::clone(&error));
                on_event(JournalEvent::Failed(error));
                return;
            }
        };
        let took = began.elapsed();
        let queued_bytes = queue.synced(&batch, written.head, written.start);
        tap.nudge();
        on_event(JournalEvent::Synced(Synced {
            durable: Position {
                epoch: written.head.file.term.epoch,
                offset: written.last_offset,
            },
            entries: written.entries,
            bytes: written.bytes,
            head: written.head,
            queued_bytes,
            took,
        }));
        batch.clear();
    }
}

/// Says how the thread has ended, whatever ended it.
struct PanicGuard(Arc<Queue>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail(Arc::new(WriteError::Panicked));
        }
        self.0.note_ended();
    }
}
