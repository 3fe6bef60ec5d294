//! `pair force`: a person says that the active is dead, and the side of an instance takes over.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use arbiter::{
    ForceError, ForceOrder, Forced, ForcedKind, Register, Said, Seen, SideFiles, force, person,
};
use clap::Args;
use pair::{Incarnation, Role, Side};
use status_client::Page;

use super::Failure;
use super::pages::Pages;
use super::pair::say;
use super::register;
use crate::ha::Store;
use crate::instance::{ArbiterAt, Instance};

/// How long a broker that runs may take until it serves: it reads the whole journal, and a million messages
/// take seven seconds.
const SERVE_LIMIT: Duration = Duration::from_secs(30);
/// Pause between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What `pair force` is given.
#[derive(Debug, Args)]
pub(crate) struct Force {
    /// Folder of the instance whose side shall take over.
    instance: PathBuf,
    /// Your word that the active has ended, or will never serve again.
    #[arg(long)]
    holder_is_dead: bool,
    /// In a replicated pair: messages may be lost that only the other side's disk has.
    #[arg(long)]
    accept_data_loss: bool,
    /// Who says so, for the record [default: your user name and host].
    #[arg(long)]
    by: Option<String>,
}

/// Does it; answers with the exit status.
pub(super) fn run(command: Force) -> Result<u8, Failure> {
    let instance = Instance::read(&command.instance).map_err(Failure::usage)?;
    let side = instance.ha.pair_side();
    let other = side.other();
    if !command.holder_is_dead {
        return Err(Failure::usage(format!(
            "nothing was forced: this needs --holder-is-dead, which is your word that the {other} has ended, or hangs \
             and shall not serve again. The {side} then takes over whatever the {other}'s lock says, and the {other} \
             acknowledges nothing more. If the {other} serves, ask for a switchover instead, or stop it"
        )));
    }
    let store =
        Store::open(&instance.ha.journal, journal::Options::default()).map_err(|error| {
            let journal = instance.ha.journal.display();
            Failure::unavailable(format!(
                "cannot open {journal}: {error}: is the store mounted?"
            ))
        })?;
    let arbiter = arbiter(&instance, &store)?;
    let sides = register::sides(&instance);
    let pages = Pages::of(&instance)?;
    let order = ForceOrder {
        side,
        mode: instance.ha.mode,
        accepts_data_loss: command.accept_data_loss,
        by: command.by.unwrap_or_else(person),
        at_unix_ms: crate::core::unix_ms(),
        writer: Incarnation(crate::random::bytes().map_err(Failure::unavailable)?),
        new_pair: crate::random::uuid().map_err(Failure::unavailable)?,
    };
    let newest_epoch = store.newest_epoch().map_err(Failure::unavailable)?;
    let forced = force(arbiter.as_ref(), store.dir(), &order, || Seen {
        own: pages.own().map(|page| said(&page)),
        other: pages.other(&sides).map(|page| said(&page)),
        newest_epoch,
    })
    .map_err(not_forced)?;
    for line in what_was_written(&forced, side, &order.by) {
        say(&line);
    }
    until_it_serves(&instance, &sides, &pages, &forced)
}

/// The arbiter's folder; made again only inside a store that is there and has data, so that no second record comes
/// into being beside one on a disk that is not mounted.
fn arbiter(instance: &Instance, store: &Store) -> Result<Box<dyn Register>, Failure> {
    let ArbiterAt::Folder(folder) = &instance.ha.arbiter else {
        return register::open(instance);
    };
    if !folder.exists() && folder.starts_with(store.dir()) {
        if !store.has_data().map_err(Failure::unavailable)? {
            let arbiter = folder.display().to_string();
            return Err(not_forced(ForceError::NothingHere { arbiter }));
        }
        std::fs::create_dir(folder).map_err(|error| {
            Failure::unavailable(format!("cannot create {}: {error}", folder.display()))
        })?;
    }
    register::open(instance).map_err(|Failure { text, .. }| {
        Failure::unavailable(format!(
            "{text}: is it mounted? If this folder was lost, make an empty one and ask again: its record is then made \
             anew from the store"
        ))
    })
}

fn said(page: &Page) -> Said {
    Said {
        pair: page.node_id.clone(),
        role: page.role(),
        epoch: page.epoch,
        active_heard: page.active_heard,
    }
}

fn not_forced(error: ForceError) -> Failure {
    match &error {
        ForceError::Unclear { .. } => Failure::unavailable(error),
        ForceError::Read(_) | ForceError::Store(_) | ForceError::Record(_) => {
            Failure::unavailable(format!("nothing was forced: {error}"))
        }
        ForceError::AlreadyActive { .. }
        | ForceError::ActiveHeard { .. }
        | ForceError::OtherLives { .. }
        | ForceError::HolderWrote { .. }
        | ForceError::Changed { .. }
        | ForceError::DataLoss { .. }
        | ForceError::NeverActive { .. }
        | ForceError::NothingHere { .. }
        | ForceError::Contended => Failure::usage(format!("nothing was forced: {error}")),
    }
}

fn what_was_written(forced: &Forced, side: Side, by: &str) -> Vec<String> {
    let Forced {
        epoch,
        pair,
        replaced,
        kind,
    } = forced;
    let mut lines = match kind {
        ForcedKind::Usual => Vec::new(),
        ForcedKind::Again => {
            return vec![format!(
                "The {side} was forced before, in epoch {epoch}; it has not taken over yet."
            )];
        }
        ForcedKind::Remade => vec![format!(
            "There was no pair record: made it again from the store and the node ID that a running broker knows ({pair})."
        )],
        ForcedKind::RemadeWithNewPair => vec![format!(
            "There was no pair record: made it again from the store. No broker answered to tell the node ID, so it is a \
             new one ({pair}); a broker that still runs from before must be started again."
        )],
        ForcedKind::RolledBack { epoch } => vec![format!(
            "The pair record was an old copy, of epoch {epoch}: raised it above every epoch that the store knows."
        )],
    };
    let replaced = replaced.as_ref().map_or_else(String::new, |holder| {
        format!("; the {}'s term is over", holder.side)
    });
    lines.push(format!(
        "The {side} is forced in epoch {epoch} by {by}{replaced}."
    ));
    lines
}

/// Waits for a broker that runs; one that does not takes over when it is started.
fn until_it_serves(
    instance: &Instance,
    sides: &SideFiles,
    pages: &Pages,
    forced: &Forced,
) -> Result<u8, Failure> {
    let side = instance.ha.pair_side();
    let runs = || pages.own().is_some() || sides.is_alive(side).unwrap_or(false);
    if !runs() {
        say(&format!(
            "It takes over as soon as it is started: {}/bin/artemis run",
            instance.dir.display()
        ));
        return Ok(0);
    }
    say(&format!("Waiting until the {side} serves …"));
    let start = Instant::now();
    let mut doing = "does not answer on its HTTP port".to_owned();
    while start.elapsed() < SERVE_LIMIT {
        if let Some(page) = pages.own() {
            if page.role() == Some(Role::Serving) && page.epoch > forced.epoch {
                say(&format!("The {side} serves in epoch {}.", page.epoch));
                return Ok(0);
            }
            doing = format!("is {}: {}", page.role, page.why);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err(Failure::unavailable(format!(
        "the record is written, but the {side} does not serve after {} s: it {doing}. Its log says more; if its \
         process hangs, end it and start it again",
        SERVE_LIMIT.as_secs()
    )))
}
