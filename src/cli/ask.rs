//! What a second terminal asks of a running pair, and how the answer is shown.

use super::local::{Output, Which};
use super::{Exit, Refusal};
use crate::local::control::{Order, Reply, client};
use crate::local::snapshot::Snapshot;
use crate::local::time::now;
use crate::local::view::View;

fn ask(which: &Which, order: &Order) -> Result<Reply, Refusal> {
    let refused = |error| Refusal::new(Exit::Refused, &error);
    let state = client::find(which.dir.as_deref(), which.name.as_deref()).map_err(refused)?;
    client::ask(&state, order, |text| anstream::println!("{text}")).map_err(refused)
}

pub(super) fn order(which: &Which, order: &Order) -> Result<Exit, Refusal> {
    match ask(which, order)? {
        Reply::Done(text) => {
            anstream::println!("{text}");
            Ok(Exit::Done)
        }
        Reply::Refused(why) => Err(Refusal::new(Exit::Refused, &why)),
        Reply::Late(why) => Err(Refusal::new(Exit::Late, &why)),
        Reply::Status(_) | Reply::Happened(_) => Err(Refusal::new(
            Exit::Refused,
            &"the supervisor is of another version",
        )),
    }
}

pub(super) fn status(which: &Which, output: Output) -> Result<Exit, Refusal> {
    let snapshot = match ask(which, &Order::Status)? {
        Reply::Status(snapshot) => snapshot,
        Reply::Refused(why) | Reply::Done(why) | Reply::Late(why) | Reply::Happened(why) => {
            return Err(Refusal::new(Exit::Refused, &why));
        }
    };
    match output {
        Output::Json => {
            let text = serde_json::to_string_pretty(&snapshot)
                .map_err(|error| Refusal::new(Exit::Refused, &error))?;
            anstream::println!("{text}");
        }
        Output::Table => print_table(&snapshot),
    }
    Ok(Exit::Done)
}

fn print_table(snapshot: &Snapshot) {
    let view = View::new();
    anstream::println!("Pair {} in {}", snapshot.name, snapshot.dir);
    for line in view.sides(snapshot, now()) {
        anstream::println!("{line}");
    }
    for condition in &snapshot.conditions {
        anstream::println!(
            "  {:16} {:8} {}",
            condition.kind,
            condition.status,
            condition.message
        );
    }
    for line in view.between(snapshot, now()) {
        anstream::println!("{line}");
    }
    anstream::println!("  clients          {}", snapshot.url);
}
