//! Decision scripts: what happens, line by line, and what is decided on it.
//!
//! Each `scripts/NAME.txt` gives `scripts/NAME.out`. With `UPDATE_GOLDEN=1` the outputs are written
//! anew; a change of behaviour is then reviewed as a change of text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use pair::{Cause, Member, Side};

use super::rollout::{PodState, Step};
use super::switchover::Fate;
use super::*;
use crate::api::spec::FailbackPolicy;

struct Script {
    rules: Rules,
    memory: Memory,
    seen: Observation,
    now: Timestamp,
    /// A person's request whose fate is followed.
    asked: Option<switchover::Request>,
    out: String,
}

impl Script {
    fn new() -> Self {
        Self {
            rules: Rules {
                paused: false,
                failback: FailbackPolicy::Automatic,
                delay_ms: 0,
                min_stable_ms: 5_000,
                by_hand: "COMMAND",
            },
            memory: Memory::default(),
            seen: Observation {
                processes: BySide::from_fn(|_| Process::Running),
                brokers: BySide::from_fn(|_| Observed::Absent),
                record: Observed::Absent,
            },
            now: Timestamp(0),
            asked: None,
            out: String::new(),
        }
    }

    fn run(mut self, text: &str) -> String {
        for line in text.lines() {
            let line = line.trim_end();
            writeln!(self.out, "{line}").unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["rules", rest @ ..] => self.set_rules(&fields(rest)),
                ["advance", ms] => {
                    self.now = self.now.plus_ms(ms.parse().unwrap());
                    self.decide();
                }
                ["process", side, state, rest @ ..] => {
                    self.set_process(side.parse().unwrap(), state, &fields(rest));
                    self.decide();
                }
                ["record", rest @ ..] => {
                    self.set_record(&fields(rest));
                    self.decide();
                }
                ["switchover", to @ ..] => {
                    self.switch(to.first().map(|side| side.parse().unwrap()));
                }
                ["messages"] => self.messages(),
                ["update", stale @ ..] => self.update(stale),
                ["wake"] => {
                    let decision = decide(&self.rules, &self.memory, &self.seen, self.now);
                    self.now = decision.wake_at.expect("something to wake for");
                    self.decide();
                }
                [side, role, rest @ ..] => {
                    self.set_broker(side.parse().unwrap(), role, &fields(rest));
                    self.decide();
                }
                [other] => panic!("unknown line: {other}"),
            }
        }
        self.out
    }

    fn set_rules(&mut self, fields: &BTreeMap<&str, &str>) {
        for (key, value) in fields {
            match *key {
                "paused" => self.rules.paused = value.parse().unwrap(),
                "failback" => {
                    self.rules.failback = match *value {
                        "Manual" => FailbackPolicy::Manual,
                        "Automatic" => FailbackPolicy::Automatic,
                        other => panic!("unknown policy {other}"),
                    }
                }
                "delay" => self.rules.delay_ms = value.parse().unwrap(),
                "minStable" => self.rules.min_stable_ms = value.parse().unwrap(),
                other => panic!("unknown rule {other}"),
            }
        }
    }

    fn set_process(&mut self, side: Side, state: &str, fields: &BTreeMap<&str, &str>) {
        self.seen.processes[side] = match state {
            "running" => Process::Running,
            "held-down" => Process::HeldDown,
            "ended" => Process::Ended {
                at: self.now,
                ran_ms: fields["ran"].parse().unwrap(),
            },
            other => panic!("unknown state {other}"),
        };
    }

    fn set_record(&mut self, fields: &BTreeMap<&str, &str>) {
        let Some(epoch) = fields.get("epoch") else {
            self.seen.record = Observed::Unknown {
                why: "no answer".to_owned(),
            };
            return;
        };
        let refused = fields
            .get("refused")
            .map(|id| ((*id).to_owned(), "it said so".to_owned()));
        let epoch = epoch.parse().unwrap();
        // A record of the same epoch is of the same change.
        let at = match self.seen.record.known() {
            Some(before) if before.epoch == epoch => before.last.as_ref().map(|last| last.at),
            Some(_) | None => None,
        };
        let last = fields.get("cause").map(|cause| ChangeSeen {
            cause: Cause::from((*cause).to_owned()),
            at: at.unwrap_or(self.now),
            gap_ms: fields.get("gap").map(|ms| ms.parse().unwrap()),
            by: None,
        });
        let wanted = fields.get("wanted").map(|wanted| {
            let (to, id) = wanted.split_once('/').expect("SIDE/ID");
            (to.parse().unwrap(), id.to_owned())
        });
        self.seen.record = Observed::Known(RecordSeen {
            epoch,
            holder: fields.get("holder").map(|side| side.parse().unwrap()),
            in_sync: members(fields.get("in_sync").unwrap_or(&"")),
            wanted,
            refused,
            last,
            update_asked: fields.get("update").map(|epoch| epoch.parse().unwrap()),
        });
    }

    /// What an update does next, with the pods of these sides stale.
    fn update(&mut self, stale: &[&str]) {
        let mut pods = BySide::default();
        for side in stale {
            pods[side.parse().unwrap()] = PodState::Stale;
        }
        let text = match rollout::step(&self.seen, pods) {
            Step::Done => "is done".to_owned(),
            Step::Replace(side) => format!("replaces the pod of the {side}"),
            Step::Move { to, epoch, id } => format!("set wanted to={to} epoch={epoch} id={id}"),
            Step::Wait(why) => format!("waits: {why}"),
        };
        writeln!(self.out, "    update {text}").unwrap();
    }

    /// A person asks for a switchover.
    fn switch(&mut self, to: Option<Side>) {
        match switchover::check(&self.seen, to, self.now) {
            Ok(request) => {
                writeln!(self.out, "    asks {request:?}").unwrap();
                self.asked = Some(request);
            }
            Err(why) => writeln!(self.out, "    asks nothing: {why}").unwrap(),
        }
    }

    fn set_broker(&mut self, side: Side, role: &str, fields: &BTreeMap<&str, &str>) {
        self.seen.brokers[side] = match role {
            "absent" => Observed::Absent,
            "unknown" => Observed::Unknown {
                why: "no answer".to_owned(),
            },
            role => Observed::Known(Broker {
                role: role.parse().expect("a role"),
                settled: !fields.contains_key("unsettled"),
                epoch: fields["epoch"].parse().unwrap(),
                pid: fields.get("pid").map_or(100, |pid| pid.parse().unwrap()),
                member: (*fields.get("inc").unwrap_or(&"")).to_owned(),
                link: match fields.get("link") {
                    Some(&"up") | None => Link::Up,
                    Some(&"down") => Link::Down(None),
                    Some(why) => Link::Down(Some((*why).to_owned())),
                },
                why: "it says so".to_owned(),
            }),
        };
    }

    /// What is said of the pair, in whole sentences.
    fn messages(&mut self) {
        let decision = decide(&self.rules, &self.memory, &self.seen, self.now);
        for condition in &decision.conditions {
            let (kind, message) = (condition.kind, &condition.message);
            writeln!(self.out, "    {kind}: {message}").unwrap();
        }
    }

    fn decide(&mut self) {
        let decision = decide(&self.rules, &self.memory, &self.seen, self.now);
        let again = decide(&self.rules, &self.memory, &self.seen, self.now);
        assert_eq!(decision, again, "the same arguments give the same answer");
        write!(self.out, "  t={}", self.now.0).unwrap();
        for condition in &decision.conditions {
            let (kind, status, reason) = (condition.kind, condition.status, &condition.reason);
            write!(self.out, " {kind}={status}/{reason}").unwrap();
        }
        self.out.push('\n');
        for reason in &decision.reasons {
            writeln!(self.out, "    {reason}").unwrap();
        }
        for action in &decision.actions {
            writeln!(self.out, "    -> {action}").unwrap();
        }
        if let Some(wake_at) = decision.wake_at {
            writeln!(self.out, "    wake at {}", wake_at.0).unwrap();
        }
        if let Some(request) = &self.asked {
            let fate = switchover::fate(request, &self.seen, self.now);
            writeln!(self.out, "    the switchover: {fate:?}").unwrap();
            if !matches!(fate, Fate::Asked | Fate::Taken | Fate::Serving(_)) {
                self.asked = None;
            }
        }
        self.memory = decision.memory;
    }
}

/// `SIDE/INC,SIDE/INC`
fn members(text: &str) -> Vec<Member> {
    let members = text.split(',').filter(|member| !member.is_empty());
    let member = |text: &str| {
        let (side, id) = text.split_once('/').expect("SIDE/INC");
        Member {
            side: side.parse().unwrap(),
            id: id.to_owned(),
        }
    };
    members.map(member).collect()
}

fn fields<'a>(words: &[&'a str]) -> BTreeMap<&'a str, &'a str> {
    words
        .iter()
        .map(|word| word.split_once('=').unwrap_or((word, "")))
        .collect()
}

#[test]
fn scripts_give_their_committed_output() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/policy/scripts");
    let mut names: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    names.sort();
    assert!(
        names.len() >= 3,
        "the scripts are not in {}",
        folder.display()
    );
    for script in names {
        let output = Script::new().run(&std::fs::read_to_string(&script).unwrap());
        let golden = script.with_extension("out");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &output).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(output, expected, "{}", script.display());
    }
}
