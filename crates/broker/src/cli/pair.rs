//! `pair init`, `pair show` and `pair force`: the pair record of an instance, for pairs without `tandem`.

use std::path::PathBuf;

use arbiter::Outcome;
use clap::Subcommand;
use pair::Record;

use super::Failure;
use super::force::{self, Force};
use super::register;
use super::show::show;
use crate::ha::Store;
use crate::instance::{ArbiterAt, ArbiterIs, Instance};

/// What can be done with the pair record.
#[derive(Debug, Subcommand)]
pub(crate) enum PairCommand {
    /// Make the pair's first record, for an instance whose store is empty.
    Init {
        /// Folder of either side's instance.
        instance: PathBuf,
    },
    /// Show the record: who is active, since when, and why; and what the two brokers say of themselves.
    Show {
        /// Folder of either side's instance.
        instance: PathBuf,
        /// Print the record as it is stored.
        #[arg(long)]
        json: bool,
    },
    /// Let the side of an instance take over because the active is dead, by your word.
    ///
    /// For what the pair cannot decide by itself: the active hangs and the store's locks are needed (`lock=storage`)
    /// or do not work, the file of its term is gone, or the pair record was lost, which is then made again from the
    /// store; with two stores, that the other one is lost for good. Over a shared store nothing acknowledged is lost, even if the active still lives: its term is fenced
    /// before anything is read. It is refused all the same while the active shows a sign of life; use a switchover
    /// then. The side takes over at once if its broker runs, or else as soon as it is started.
    Force(Force),
}

/// Does it; answers with the exit status.
pub(crate) fn run(command: PairCommand) -> Result<u8, Failure> {
    match command {
        PairCommand::Init { instance } => init(&instance),
        PairCommand::Show { instance, json } => show(&instance, json),
        PairCommand::Force(command) => force::run(command),
    }
}

fn init(instance: &std::path::Path) -> Result<u8, Failure> {
    let instance = Instance::read(instance).map_err(Failure::usage)?;
    let text = first_record(&instance)?;
    say(&text);
    Ok(0)
}

/// Makes the pair's first record unless there is one; a store with data never gets one (rule 7). Answers with
/// what it did.
pub(crate) fn first_record(instance: &Instance) -> Result<String, Failure> {
    let ha = &instance.ha;
    if ha.arbiter_is == ArbiterIs::Own {
        return Err(Failure::usage(format!(
            "this pair has no arbiter, so there is no record to make: first put `arbiter=directory:PATH` into {} and into that file of the other broker",
            instance.dir.join("etc/tandem.properties").display()
        )));
    }
    let place = &ha.arbiter;
    let mut folders = vec![&ha.journal];
    if let ArbiterAt::Folder(folder) = place {
        folders.push(folder);
    }
    for folder in folders {
        std::fs::create_dir_all(folder).map_err(|error| {
            Failure::unavailable(format!("cannot create {}: {error}", folder.display()))
        })?;
    }
    let arbiter = register::open(instance)?;
    if let Some(found) = arbiter.read().map_err(Failure::unavailable)? {
        return Ok(format!(
            "The pair record in {place} stays as it is (node ID {}, epoch {}).",
            found.record.pair, found.record.epoch
        ));
    }
    let store = Store::open(&ha.journal, journal::Options::default()).map_err(|error| {
        Failure::unavailable(format!("cannot open {}: {error}", ha.journal.display()))
    })?;
    if store.has_data().map_err(Failure::unavailable)? {
        return Err(Failure::unavailable(format!(
            "{} holds data but {place} holds no pair record, so this is not a new pair: its record was lost. Make it again with `tandem-broker pair force {} --holder-is-dead`, or move the data away to begin anew",
            ha.journal.display(),
            instance.dir.display()
        )));
    }
    let node_id = crate::random::uuid().map_err(Failure::unavailable)?;
    let made = arbiter.create(&Record::first(&node_id, ha.mode));
    match arbiter.read().map_err(Failure::unavailable)? {
        Some(found) => Ok(format!(
            "Made the pair record in {place} (node ID {}).",
            found.record.pair
        )),
        None => Err(Failure::unavailable(format!(
            "the pair record could not be written to {place}{}",
            why(&made)
        ))),
    }
}

/// What is known of a write that left nothing.
fn why(made: &Outcome) -> String {
    match made {
        Outcome::Refused(error) => format!(": {error}"),
        Outcome::Unknown(error) => format!(": {error}"),
        Outcome::Won { .. } | Outcome::Conflict => String::new(),
    }
}

#[expect(clippy::print_stdout, reason = "what a person asked to see")]
pub(super) fn say(text: &str) {
    println!("{text}");
}
