//! `data export`: the journal's addresses, queues and messages in the XML of `artemis data exp`.
//!
//! It only reads, also beside a pair that serves: then it shows the journal as it was at some moment of that.

use std::path::PathBuf;

use artemis_xml::{AddressBinding, Altered, LARGE_BODY_BYTES, Message, QueueBinding, Writer};
use clap::Args;
use engine::{Engine, EngineConfig, RoutingType};
use journal::salvage::Skipped;

use super::output::Output;
use super::progress::Progress;
use super::{ATTEMPTS, open};
use crate::cli::Failure;
use crate::exit;
use crate::ha::Store;

/// Of what XML cannot say, so many are named one by one.
const NAMED_ALTERED: usize = 20;

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Folder of either side's instance.
    instance: PathBuf,
    /// File to write; without it the export goes to standard output.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
    /// Of a damaged journal, export everything that can be read; say what cannot.
    #[arg(long)]
    salvage: bool,
}

/// Does it; answers with the exit status.
pub(super) fn export(options: &Export) -> Result<u8, Failure> {
    let store = open(&options.instance)?;
    // First of all, so that nobody waits for the journal in vain.
    let output = Output::open(options.output.as_deref(), options.force)?;
    let (engine, skipped) = if options.salvage {
        salvage(&store)?
    } else {
        (read(&store, options)?, Vec::new())
    };
    let written = write(&engine, output)?;
    let place = options.output.as_ref();
    let place = place.map_or_else(String::new, |path| format!(" to {}", path.display()));
    eprintln!("exported{place}: {written}");
    if skipped.is_empty() {
        return Ok(0);
    }
    eprintln!(
        "NOT WHOLE: {} parts of the journal could not be read (named above). Messages in them are missing; messages \
         whose removal was in them are here again.",
        skipped.len()
    );
    Ok(exit::SALVAGED)
}

fn read(store: &Store, options: &Export) -> Result<Engine, Failure> {
    let mut attempt = 1;
    loop {
        let mut progress = Progress::new();
        let mut entries = 0_u64;
        let result = store.read(EngineConfig::new(1), |_| {
            entries += 1;
            progress.at(|| format!("read {entries} journal entries"));
        });
        match result {
            Ok(contents) => {
                if let Some(torn) = contents.history.torn() {
                    eprintln!(
                        "{} ends at byte {} with {} bytes of a write that did not finish and was never acknowledged; they \
                         are not exported",
                        torn.file, torn.at_byte, torn.bytes
                    );
                }
                return Ok(contents.engine);
            }
            // An active that compacts removes files.
            Err(_) if attempt < ATTEMPTS => attempt += 1,
            Err(error) => {
                return Err(Failure::unavailable(format!(
                    "{error}\nNothing was exported. If the journal is damaged, `tandem-broker data export --salvage {}` \
                     exports what is whole and says what is not.",
                    options.instance.display()
                )));
            }
        }
    }
}

/// Reads what is whole; says what is not, and answers with it.
fn salvage(store: &Store) -> Result<(Engine, Vec<String>), Failure> {
    let mut progress = Progress::new();
    let mut entries = 0_u64;
    let salvaged = store.salvage(EngineConfig::new(1), || {
        entries += 1;
        progress.at(|| format!("read {entries} journal entries"));
    });
    let (salvage, engine, refused) = salvaged.map_err(Failure::unavailable)?;
    let shown = |skipped: &Skipped| {
        format!(
            "{}, bytes {} to {}: {}",
            skipped.path.display(),
            skipped.from_byte,
            skipped.to_byte,
            skipped.why
        )
    };
    let mut lost: Vec<String> = salvage.skipped.iter().map(shown).collect();
    lost.extend(refused);
    for line in &lost {
        eprintln!("skipped {line}");
    }
    if let Some(torn) = &salvage.torn {
        eprintln!(
            "not counted, since it was never acknowledged: {}",
            shown(torn)
        );
    }
    eprintln!(
        "read {} entries of {} files",
        salvage.entries, salvage.files
    );
    Ok((engine, lost))
}

/// Writes everything; answers with a summary.
fn write(engine: &Engine, output: Output) -> Result<String, Failure> {
    let mut altered = Vec::new();
    let mut counts = Counts::default();
    let mut writer = Writer::new(output)
        .map_err(|error| Failure::unavailable(format!("the export cannot be written: {error}")))?;
    let result = write_all(engine, &mut writer, &mut counts, &mut altered);
    let output = result.and_then(|()| writer.finish().map_err(Stop::Write));
    let output = output.map_err(|stop| match stop {
        Stop::Write(error) => {
            Failure::unavailable(format!("the export cannot be written: {error}"))
        }
        Stop::Message { id, error } => Failure::unavailable(format!(
            "message {id} of the journal cannot be read: {error}"
        )),
    })?;
    output.finish()?;
    tell_altered(&altered);
    let Counts {
        addresses,
        queues,
        messages,
        body_bytes,
    } = counts;
    Ok(format!(
        "{messages} messages with {body_bytes} bytes of bodies, {queues} queues, {addresses} addresses"
    ))
}

#[derive(Debug, Default)]
struct Counts {
    addresses: u64,
    queues: u64,
    messages: u64,
    body_bytes: u64,
}

enum Stop {
    Write(std::io::Error),
    Message {
        id: i64,
        error: core_protocol::DecodeError,
    },
}

fn write_all(
    engine: &Engine,
    writer: &mut Writer<Output>,
    counts: &mut Counts,
    altered: &mut Vec<Altered>,
) -> Result<(), Stop> {
    let mut progress = Progress::new();
    for (index, address) in engine.recorded_addresses().enumerate() {
        let binding = AddressBinding {
            name: address.name.to_owned(),
            id: i64::try_from(index + 1).unwrap_or(i64::MAX),
            anycast: address.routing_types.anycast,
            multicast: address.routing_types.multicast,
        };
        writer.address(&binding).map_err(Stop::Write)?;
        counts.addresses += 1;
    }
    for queue in engine.recorded_queues() {
        let binding = QueueBinding {
            name: queue.name.to_owned(),
            address: queue.address.to_owned(),
            filter: queue.filter.map(ToOwned::to_owned),
            anycast: queue.routing_type == RoutingType::Anycast,
            id: queue.id,
        };
        writer.queue(&binding).map_err(Stop::Write)?;
        counts.queues += 1;
    }
    for recorded in engine.recorded_messages() {
        let id = recorded.id;
        let message = core_protocol::Message::decode(recorded.block)
            .map_err(|error| Stop::Message { id, error })?;
        let body = message.body();
        counts.messages += 1;
        counts.body_bytes += body.len() as u64;
        let is_large = body.len() >= LARGE_BODY_BYTES || message.property(LARGE_SIZE).is_some();
        let exported = Message {
            id,
            kind: message.kind(),
            priority: message.priority(),
            expiration_ms: message.expiration_ms(),
            timestamp_ms: message.timestamp_ms(),
            user_id: message.user_id(),
            properties: message.properties().collect(),
            queues: recorded
                .queues
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
            body,
            is_large,
        };
        writer.message(&exported).map_err(Stop::Write)?;
        altered.extend(writer.take_altered());
        progress.at(|| format!("exported {} messages", counts.messages));
    }
    Ok(())
}

/// The property by which clients learn the size of a large body.
const LARGE_SIZE: &str = "_AMQ_LARGE_SIZE";

fn tell_altered(altered: &[Altered]) {
    for altered in altered.iter().take(NAMED_ALTERED) {
        match altered {
            Altered::Value { id, property } => eprintln!(
                "property {property:?} of message {id} has characters that XML does not know: Artemis will read U+FFFD \
                 in their place, `tandem-broker data import` the exact value"
            ),
            Altered::Name { name } => eprintln!(
                "the name {name:?} has characters that XML does not know: in the export U+FFFD is in their place"
            ),
        }
    }
    if altered.len() > NAMED_ALTERED {
        eprintln!("(and {} more of these)", altered.len() - NAMED_ALTERED);
    }
}
