//! `data`: what is in the store, for those who look after it, and the way out of it and into it.
//!
//! `check`, `print` and `export` only read. They may run while the pair serves; then they see the journal
//! as it was at some moment of that. `import` is a client of a broker that serves.

mod batch;
mod export;
mod import;
mod output;
mod progress;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use engine::EngineConfig;
use journal::{Entry, Options};

use super::Failure;
use crate::ha::{Contents, Store};
use crate::instance::Instance;
use export::Export;
use import::Import;

/// What can be done with the data of an instance.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Read the whole journal, and say what is in it or which file is damaged at which byte.
    Check {
        /// Folder of either side's instance.
        instance: PathBuf,
    },
    /// Print the files of the journal and its entries.
    Print {
        /// Folder of either side's instance.
        instance: PathBuf,
        /// Only entries of this epoch.
        #[arg(long)]
        epoch: Option<u64>,
        /// Only entries of this kind, such as message-added.
        #[arg(long)]
        kind: Option<String>,
        /// At most so many entries.
        #[arg(long, default_value_t = 1000)]
        limit: u64,
    },
    /// Write addresses, queues and messages in the XML of `artemis data exp`.
    ///
    /// Exit status 3: --salvage found parts that cannot be read.
    Export(Export),
    /// Send what `data export` or `artemis data exp` wrote to a broker that serves.
    ///
    /// Exit status 4: the import stopped in the middle; what is said then tells how to go on.
    Import(Import),
}

/// How often the journal is read again when a file has gone meanwhile: an active that compacts removes files.
const ATTEMPTS: usize = 3;

/// Does it; answers with the exit status.
pub(crate) fn run(command: &DataCommand) -> Result<u8, Failure> {
    match command {
        DataCommand::Export(options) => return export::export(options),
        DataCommand::Import(options) => return import::import(options),
        DataCommand::Check { instance } => {
            let store = open(instance)?;
            let contents = read(&store, &mut |_| {})?;
            say(&summary(&contents));
        }
        DataCommand::Print {
            instance,
            epoch,
            kind,
            limit,
        } => {
            let store = open(instance)?;
            let mut lines = Vec::new();
            let mut matching = 0;
            let contents = read(&store, &mut |entry| {
                let name = kind_name(entry.kind);
                if epoch.is_some_and(|epoch| epoch != entry.position.epoch)
                    || kind.as_ref().is_some_and(|kind| *kind != name)
                {
                    return;
                }
                matching += 1;
                if matching <= *limit {
                    let (position, bytes) = (entry.position, entry.payload.len());
                    lines.push(format!("{position} {name} {bytes} bytes"));
                }
            })?;
            for file in contents.history.files() {
                say(&format!("{} {} bytes", file.file, file.length_bytes));
            }
            for line in &lines {
                say(line);
            }
            if matching > *limit {
                say(&format!(
                    "({} more entries; --limit shows more)",
                    matching - limit
                ));
            }
            say(&summary(&contents));
        }
    }
    Ok(0)
}

fn open(instance: &Path) -> Result<Store, Failure> {
    let instance = Instance::read(instance).map_err(Failure::usage)?;
    let journal = &instance.ha.journal;
    Store::open(journal, Options::default()).map_err(|error| {
        Failure::unavailable(format!("cannot open {}: {error}", journal.display()))
    })
}

fn read(store: &Store, visit: &mut dyn FnMut(&Entry)) -> Result<Contents, Failure> {
    // A first look without the visitor, so that what is printed is printed once.
    let mut attempt = 1;
    loop {
        match store.read(EngineConfig::new(1), |_| {}) {
            Ok(_) => break,
            Err(_) if attempt < ATTEMPTS => attempt += 1,
            Err(error) => {
                return Err(Failure::unavailable(format!(
                    "{error}\nIf this is damage, `tandem-broker data export --salvage` saves what is whole."
                )));
            }
        }
    }
    store
        .read(EngineConfig::new(1), visit)
        .map_err(Failure::unavailable)
}

fn kind_name(kind: u8) -> &'static str {
    if kind == crate::ha::TERM_START {
        return "term-start";
    }
    engine::record_name(kind).unwrap_or("unknown")
}

fn summary(contents: &Contents) -> String {
    let Contents {
        history,
        engine,
        entries,
    } = contents;
    let files = history.files();
    let bytes: u64 = files.iter().map(|file| file.length_bytes).sum();
    let mut lines = vec![format!(
        "{entries} entries in {} files of {bytes} bytes, all whole; about {} bytes of that are alive",
        files.len(),
        engine.live_bytes()
    )];
    lines.extend(engine.stats().queues.iter().map(|queue| {
        format!(
            "queue {} of address {}: {} messages",
            queue.name, queue.address, queue.message_count
        )
    }));
    lines.extend(history.torn().map(|torn| {
        format!(
            "{} ends at byte {} with {} bytes of a write that did not finish and was never acknowledged; they do not \
             count",
            torn.file, torn.at_byte, torn.bytes
        )
    }));
    let retired = history.retired().iter();
    lines.extend(retired.map(|file| format!("{file} is retired and will be removed")));
    let leftovers = history.leftovers().iter();
    lines.extend(
        leftovers.map(|file| format!("{file} belongs to no term that ever served; it is not read")),
    );
    lines.join("\n")
}

#[expect(clippy::print_stdout, reason = "what a person asked to see")]
fn say(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use journal::{Directory, Record, Seal, Storage, TermId, Writer, seal};
    use std::sync::Arc;

    /// A store with one term that wrote its start and an address.
    fn written(dir: &Path) -> PathBuf {
        let storage: Arc<dyn Storage> = Arc::new(Directory::open(dir).unwrap());
        let term = TermId {
            epoch: 1,
            incarnation: [7; 16],
        };
        let files = Vec::new();
        seal::write(storage.as_ref(), &Seal { term, files }).unwrap();
        let writer = Writer::start(storage, term, Options::default(), |_| {}).unwrap();
        let record = |kind, payload: &'static [u8]| Record {
            kind,
            payload: payload.into(),
        };
        let start = record(crate::ha::TERM_START, b"");
        // An address "a" for anycast queues.
        let address = record(1, &[1, 1, b'a', 1]);
        writer.append(vec![start]).unwrap();
        writer.sync_barrier().unwrap();
        writer.append(vec![address.clone()]).unwrap();
        writer.sync_barrier().unwrap();
        writer.append(vec![address]).unwrap();
        writer.close().unwrap();
        dir.join(format!("journal.{term}.0000000001"))
    }

    #[test]
    fn what_is_whole_is_counted_and_shown() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let store = Store::open(dir.path(), Options::default()).unwrap();
        let mut kinds = Vec::new();
        let contents = read(&store, &mut |entry| kinds.push(kind_name(entry.kind))).unwrap();
        assert_eq!(kinds, ["term-start", "address-created", "address-created"]);
        assert!(summary(&contents).starts_with("3 entries in 1 files of "));
    }

    #[test]
    fn damage_is_told_with_file_and_byte() {
        let dir = tempfile::tempdir().unwrap();
        let segment = written(dir.path());
        let mut bytes = std::fs::read(&segment).unwrap();
        // The payload of the first entry of the second batch, which a later batch follows.
        bytes[2 * 4096 + 24 + 28] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
        let store = Store::open(dir.path(), Options::default()).unwrap();
        let Err(failure) = read(&store, &mut |_| {}) else {
            panic!("the damage is not seen");
        };
        let name = segment.file_name().unwrap().to_str().unwrap();
        assert!(failure.text.contains(name), "{}", failure.text);
        assert!(
            failure.text.contains("is damaged at byte 8216"),
            "{}",
            failure.text
        );
    }
}
