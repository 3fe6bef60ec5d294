//! Decision scripts: a list of events, and the story that follows.

use crate::chance::Chance;
use crate::options::{Nature, Options, Setup};
use crate::process::{Behaviour, Place, SIDES, index};
use crate::show::{members, summary};
use crate::world::World;
use pair::{
    Failback, Incarnation, Input, Locks, Mode, Record, Side, Term, Versioned, Wanted, WriteId,
};

/// One script at work.
struct Script {
    world: World,
    saved: Option<Versioned>,
}

impl Script {
    fn new() -> Self {
        let options = Options {
            traced: true,
            ..Options::default()
        };
        let nature = Nature {
            // A script says it when locks are lost.
            keeps_locks: false,
            ..Nature::calm()
        };
        let world = World::new(Chance::none(), nature, options);
        Self { world, saved: None }
    }

    /// Does one line of the script.
    fn command(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let world = &mut self.world;
        match words.as_slice() {
            ["start", side, settings @ ..] => world.start(side.parse().unwrap(), setup(settings)),
            ["kill", side] => on(world, side, World::kill),
            ["stop", side] => on(world, side, World::stop),
            ["freeze", side, time] => {
                on(world, side, |world, id| {
                    world.freeze(id, milliseconds(time));
                });
            }
            ["stall", side, time] => {
                on(world, side, |world, id| world.stall(id, milliseconds(time)));
            }
            ["suspend", side, time] => {
                on(world, side, |world, id| {
                    world.suspend(id, milliseconds(time));
                });
            }
            ["lose", "machine", side] => on(world, side, World::vanish),
            ["twin", side] => {
                let cut = Place {
                    says_cut_ms: u64::MAX,
                    hears_cut_ms: u64::MAX,
                    ..Place::default()
                };
                let sees = Place::default();
                world.twin(side.parse().unwrap(), Setup::default(), cut, sees);
            }
            ["cut" | "heal", ..] => cut(world, &words),
            ["read", side] => on(world, side, |world, id| {
                let text = if world.client_reads(id) {
                    "answers a reader"
                } else {
                    "answers no reader"
                };
                let side = world.peek(id).side;
                world.log(|| format!("{side:<7} {text}"));
            }),
            ["lose", "locks", side] => on(world, side, World::lose_locks),
            ["advance", time] => world.run_until(world.now_ms + milliseconds(time)),
            ["write", side] => on(world, side, World::client_writes),
            ["arbiter", "answers"] => world.arbiter.behaviour = Behaviour::Answers,
            ["arbiter", "away"] => world.arbiter.behaviour = Behaviour::Away,
            ["arbiter", "hangs"] => world.arbiter.behaviour = Behaviour::Hangs,
            ["arbiter", "full"] => world.arbiter.behaviour = Behaviour::Full,
            ["arbiter", "mute", "once"] => world.arbiter.mute_once = true,
            ["locks", "do", "not", "answer"] => world.locks_answer = false,
            ["locks", "answer"] => world.locks_answer = true,
            ["locks", "do", "not", "work"] => world.nature.locks_work = false,
            ["watched"] => world.timers = world.timers.watched(),
            ["hint", side] => on(world, side, |world, id| world.learn(id, Input::RecordHint)),
            // The side's supervisor says that a process has ended.
            ["tell", side, "that", number, "ended"] => {
                let inc = Incarnation([number.parse().unwrap(); 16]);
                on(world, side, |world, id| {
                    world.learn(id, Input::ProcessEnded { inc });
                });
            }
            ["machines", "differ"] => world.nature.same_boot = false,
            ["drain", "takes", time] => world.drain_ms = milliseconds(time),
            ["reading", "ahead", "takes", time] => world.reading_ms = milliseconds(time),
            ["pair", "not", "known"] => world.pair_known = false,
            ["journal", epoch, "fails", side] => {
                on(world, side, |world, id| {
                    world.fail_journal(id, epoch.parse().unwrap());
                });
            }
            ["replication"] => world.options.mode = Mode::Replication,
            ["disk", side, rest @ ..] => disk(world, side.parse().unwrap(), rest),
            ["ports", "taken"] => world.ports_free = false,
            ["ports", "free"] => world.ports_free = true,
            ["store", "has", "data"] => {
                world.store.old_data(Term {
                    epoch: 1,
                    inc: Incarnation([99; 16]),
                });
            }
            ["delete", "term", "file"] => {
                let term = world
                    .arbiter
                    .record
                    .as_ref()
                    .and_then(|newest| newest.record.term());
                world.store.delete(term.unwrap());
            }
            ["want", side, ..] => self.want(side.parse().unwrap(), words.get(2).copied()),
            ["force", side] => force(world, side.parse().unwrap()),
            ["record", rest @ ..] => self.record(rest),
            _ => panic!("`{line}` is no command"),
        }
    }

    fn want(&mut self, to: Side, epoch: Option<&str>) {
        let record = self.world.arbiter.record.clone().unwrap().record;
        let epoch = epoch.map_or(record.epoch, |epoch| epoch.parse().unwrap());
        let wanted = Wanted {
            to,
            epoch,
            id: "by-hand".to_owned(),
        };
        self.world.write_record(record.with_wanted(wanted));
    }

    fn record(&mut self, words: &[&str]) {
        let world = &mut self.world;
        match words {
            ["first"] => world.write_record(Record::first("node", world.options.mode)),
            ["of", pair] => world.write_record(Record::first(pair, Mode::SharedStore)),
            ["lost"] => world.arbiter.record = None,
            ["kept"] => self.saved.clone_from(&world.arbiter.record),
            ["rolled", "back"] => {
                let old = self.saved.clone().unwrap().record;
                world.write_record(old);
            }
            ["locks", "broken"] => {
                let record = world.arbiter.record.clone().unwrap().record;
                world.write_record(Record {
                    locks: Some(Locks::Broken),
                    ..record
                });
            }
            ["touched"] => {
                let mut record = world.arbiter.record.clone().unwrap().record;
                record
                    .foreign
                    .insert("note".to_owned(), "a person's".into());
                world.write_record(record);
            }
            ["shown"] => {
                let newest = world.arbiter.record.clone();
                world.log(|| match newest {
                    Some(newest) => {
                        let (record, version) = (&newest.record, newest.version);
                        format!(
                            "record  {version}: {}, {}",
                            summary(record),
                            members(record)
                        )
                    }
                    None => "record  missing".to_owned(),
                });
            }
            _ => panic!("`record {}` is no command", words.join(" ")),
        }
    }

    /// The story since the last call.
    fn story(&mut self) -> Vec<String> {
        self.world.trace.replace(Vec::new()).unwrap_or_default()
    }
}

/// Cuts the link, or a side off from something; heals what was cut.
fn cut(world: &mut World, words: &[&str]) {
    match words {
        ["cut", "link"] => world.cut_link([true; 2], u64::MAX),
        ["cut", "link", "from", side] => {
            let side: Side = side.parse().unwrap();
            world.cut_link(SIDES.map(|it| it == side), u64::MAX);
        }
        ["heal", "link"] => {
            world.cut_link([true; 2], 0);
            world.dial_soon();
        }
        ["cut", side, "from", "arbiter"] => {
            let home = world.home(side.parse().unwrap());
            home.arbiter = Behaviour::Away;
            home.arbiter_cut_ms = u64::MAX;
        }
        ["cut", side, "from", "store"] => {
            world.home(side.parse().unwrap()).store_cut_ms = u64::MAX;
        }
        ["cut", side] => {
            *world.home(side.parse().unwrap()) = Place {
                arbiter_cut_ms: u64::MAX,
                arbiter: Behaviour::Away,
                store_cut_ms: u64::MAX,
                store_fails: false,
                says_cut_ms: u64::MAX,
                hears_cut_ms: u64::MAX,
            };
        }
        ["heal", side] => {
            *world.home(side.parse().unwrap()) = Place::default();
            world.dial_soon();
        }
        _ => panic!("`{}` is no command", words.join(" ")),
    }
}

/// A person forces a side: with two stores whatever the other one has alone is given up.
fn force(world: &mut World, side: Side) {
    let record = world.arbiter.record.clone().unwrap().record;
    let wid = WriteId {
        inc: Incarnation([98; 16]),
        n: 1,
    };
    if world.replicates() {
        world.ledger.accept_loss();
    }
    let at_ms = 1_000_000 + world.now_ms;
    world.write_record(record.forced(side, "a person", at_ms, wid));
}

/// Something happens to a side's disk, while its process does not run; or is retired from its log.
fn disk(world: &mut World, side: Side, words: &[&str]) {
    match words {
        ["replaced"] => world.replace_disk(index(side)),
        ["restored", "without", lost] => {
            world.restore_disk(index(side), lost.parse().unwrap(), true);
        }
        ["goes", "back", "by", lost] => {
            world.restore_disk(index(side), lost.parse().unwrap(), false);
        }
        ["retires", "its", "log"] => on(world, side.as_str(), World::retire_log),
        ["shown"] => world.show_disk(side),
        _ => panic!("`disk {side} {}` is no command", words.join(" ")),
    }
}

/// Does something with a side's process, if it runs.
fn on(world: &mut World, side: &str, what: impl FnOnce(&mut World, u8)) {
    let side: Side = side.parse().unwrap();
    if let Some(id) = world.newest[index(side)] {
        what(world, id);
    }
}

fn setup(words: &[&str]) -> Setup {
    let mut setup = Setup::default();
    for word in words {
        match *word {
            "managed" => setup.failback = Failback::Managed,
            "no-failback" => setup.allow_failback = false,
            "no-failover" => setup.failover_on_shutdown = false,
            "storage-lock" => setup.storage_lock = true,
            other => panic!("`{other}` is no setting"),
        }
    }
    setup
}

fn milliseconds(text: &str) -> u64 {
    match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => number.parse().unwrap(),
        (None, Some(number)) => number.parse::<u64>().unwrap() * 1_000,
        (None, None) => panic!("`{text}` is no time"),
    }
}

/// The story that a script leads to: each of its lines, and below it what follows.
///
/// # Panics
///
/// If a line is no command, or if the story breaks an invariant.
pub fn transcript(script: &str) -> String {
    let mut running = Script::new();
    let mut out = String::new();
    for line in script.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            out += &format!("{line}\n");
            continue;
        }
        out += &format!("> {line}\n");
        running.command(line);
        for told in running.story() {
            out += &format!("{told}\n");
        }
    }
    assert_eq!(running.world.ledger.violations, Vec::<String>::new());
    out
}
