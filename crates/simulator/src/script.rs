//! Decision scripts: a list of events, and the story that follows.

use crate::chance::Chance;
use crate::show::summary;
use crate::world::{Arbiter, Setup, World};
use pair::{Failback, Incarnation, Locks, Mode, Record, Side, Term, Versioned, Wanted};

/// One script at work.
struct Script {
    world: World,
    saved: Option<Versioned>,
}

impl Script {
    fn new() -> Self {
        let mut world = World::new(Chance::none());
        world.trace = Some(Vec::new());
        Self { world, saved: None }
    }

    /// Does one line of the script.
    fn command(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let world = &mut self.world;
        match words.as_slice() {
            ["start", side, settings @ ..] => world.start(side.parse().unwrap(), setup(settings)),
            ["kill", side] => world.kill(side.parse().unwrap()),
            ["stop", side] => world.stop(side.parse().unwrap()),
            ["freeze", side, time] => world.freeze(side.parse().unwrap(), milliseconds(time)),
            ["lose", "locks", side] => world.lose_locks(side.parse().unwrap()),
            ["advance", time] => world.run_until(world.now_ms + milliseconds(time)),
            ["write", side] => world.client_writes(side.parse().unwrap()),
            ["arbiter", "answers"] => world.arbiter = Arbiter::Answers,
            ["arbiter", "away"] => world.arbiter = Arbiter::Away,
            ["arbiter", "hangs"] => world.arbiter = Arbiter::Hangs,
            ["arbiter", "full"] => world.arbiter = Arbiter::Full,
            ["arbiter", "mute", "once"] => world.mute_once = true,
            ["locks", "do", "not", "answer"] => world.locks_answer = false,
            ["locks", "answer"] => world.locks_answer = true,
            ["locks", "do", "not", "work"] => world.locks_work = false,
            ["machines", "differ"] => world.same_boot = false,
            ["drain", "takes", time] => world.drain_ms = milliseconds(time),
            ["pair", "not", "known"] => world.pair_known = false,
            ["journal", epoch, "fails", side] => {
                world.fail_journal(side.parse().unwrap(), epoch.parse().unwrap());
            }
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
                    .record
                    .as_ref()
                    .and_then(|newest| newest.record.term());
                world.store.delete(term.unwrap());
            }
            ["want", side, ..] => self.want(side.parse().unwrap(), words.get(2).copied()),
            ["record", rest @ ..] => self.record(rest),
            _ => panic!("`{line}` is no command"),
        }
    }

    fn want(&mut self, to: Side, epoch: Option<&str>) {
        let record = self.world.record.clone().unwrap().record;
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
            ["first"] => world.write_record(Record::first("node", Mode::SharedStore)),
            ["of", pair] => world.write_record(Record::first(pair, Mode::SharedStore)),
            ["lost"] => world.record = None,
            ["kept"] => self.saved.clone_from(&world.record),
            ["rolled", "back"] => {
                let old = self.saved.clone().unwrap().record;
                world.write_record(old);
            }
            ["locks", "broken"] => {
                let record = world.record.clone().unwrap().record;
                world.write_record(Record {
                    locks: Some(Locks::Broken),
                    ..record
                });
            }
            ["touched"] => {
                let mut record = world.record.clone().unwrap().record;
                record
                    .foreign
                    .insert("note".to_owned(), "a person's".into());
                world.write_record(record);
            }
            ["shown"] => {
                let newest = world.record.clone();
                world.log(|| match newest {
                    Some(newest) => {
                        format!("record  {}: {}", newest.version, summary(&newest.record))
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

fn setup(words: &[&str]) -> Setup {
    let mut setup = Setup::default();
    for word in words {
        match *word {
            "managed" => setup.failback = Failback::Managed,
            "no-failback" => setup.allow_failback = false,
            "no-failover" => setup.failover_on_shutdown = false,
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
    assert_eq!(running.world.store.violations, Vec::<String>::new());
    out
}
