//! Records that say again what older records have said, so that those can be deleted.
//!
//! They change nothing: whoever has read everything knows it already, and whoever reads from the
//! mark on (the older files being gone) learns it here. See `ledger` for why that is enough.

use bytes::Bytes;

use super::RecordError;
use super::narrow;
use super::primitives::{Reader, Writer};
use crate::ids::QueueId;

/// A message with everything that was recorded of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageRestated {
    pub(crate) id: i64,
    /// Where it still is.
    pub(crate) holders: Vec<Holder>,
    pub(crate) block: Bytes,
}

/// A queue that has a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) queue: QueueId,
    /// Deliveries that were recorded.
    pub(crate) count: u32,
    /// 0: deliverable at once.
    pub(crate) scheduled_ms: u64,
}

/// Ids of messages that an address has received, each with the id of its message, which gives the
/// order in which they are forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DuplicatesRestated {
    pub(crate) address: String,
    pub(crate) entries: Vec<(i64, Bytes)>,
}

impl MessageRestated {
    /// Enough room for the fixed fields, so that encoding allocates once.
    pub(super) fn size_hint(&self) -> usize {
        32 + self.holders.len() * 24 + self.block.len()
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.signed(self.id);
        out.number(self.holders.len() as u64);
        for holder in &self.holders {
            out.signed(holder.queue.0);
            out.number(u64::from(holder.count));
            out.number(holder.scheduled_ms);
        }
        out.block(&self.block);
    }

    pub(super) fn read(input: &mut Reader) -> Result<Self, RecordError> {
        let id = input.signed()?;
        let count = input.count()?;
        let mut holders = Vec::with_capacity(count.min(MAX_RESERVED));
        for _ in 0..count {
            holders.push(Holder {
                queue: QueueId(input.signed()?),
                count: narrow(input.number()?)?,
                scheduled_ms: input.number()?,
            });
        }
        Ok(Self {
            id,
            holders,
            block: input.block()?,
        })
    }
}

impl DuplicatesRestated {
    pub(super) fn size_hint(&self) -> usize {
        let ids: usize = self.entries.iter().map(|(_, id)| id.len() + 12).sum();
        32 + self.address.len() + ids
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.text(&self.address);
        out.number(self.entries.len() as u64);
        for (message, id) in &self.entries {
            out.signed(*message);
            out.block(id);
        }
    }

    pub(super) fn read(input: &mut Reader) -> Result<Self, RecordError> {
        let address = input.text()?;
        let count = input.count()?;
        let mut entries = Vec::with_capacity(count.min(MAX_RESERVED));
        for _ in 0..count {
            entries.push((input.signed()?, input.block()?));
        }
        Ok(Self { address, entries })
    }
}

/// Entries for which room is made before they are read: a length on disk alone takes no memory.
const MAX_RESERVED: usize = 1024;
