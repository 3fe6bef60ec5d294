//! The link between the two brokers of a pair, as their logs show it.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::duo::{Duo, Side};
use crate::support::namespace::in_own_network;
use crate::support::wait_for;

const LIMIT: Duration = Duration::from_mins(2);
/// To find each other, to lose each other: seconds at most.
const LINK_LIMIT: Duration = Duration::from_secs(20);

#[test]
fn two_brokers_are_linked_and_say_why_they_are_not() {
    in_own_network(
        "link::two_brokers_are_linked_and_say_why_they_are_not",
        LIMIT,
        |folder| {
            let mut duo = Duo::create(folder);
            duo.start();
            let up = |side: &str| format!("link to the {side} broker");
            for (side, other) in [(Side::Primary, "backup"), (Side::Backup, "primary")] {
                duo.process(side).wait_for_text(&up(other), LINK_LIMIT);
            }

            // A frozen process keeps its connection open, and is found again when it goes on.
            duo.process(Side::Backup).signal(Signal::SIGSTOP);
            let lost = "is lost: nothing was heard for";
            duo.process(Side::Primary).wait_for_text(lost, LINK_LIMIT);
            duo.process(Side::Backup).signal(Signal::SIGCONT);
            wait_for("the second link", LINK_LIMIT, || {
                let text = duo.process(Side::Primary).text();
                (text.matches(&up("backup")).count() > 2).then_some(())
            });

            duo.kill(Side::Backup);
            duo.process(Side::Primary)
                .wait_for_text("is lost: the other side closed the connection", LINK_LIMIT);

            let wrong = "wrong cluster user or password";
            let passwords = ["clusterPassword", "anotherPassword"];
            let [right, other] = passwords;
            let backup = duo.instance(Side::Backup);
            backup.edit("etc/broker.xml", right, other);
            duo.start_side(Side::Backup);
            for side in [Side::Primary, Side::Backup] {
                duo.process(side).wait_for_text(wrong, LINK_LIMIT);
                let text = duo.process(side).text();
                assert!(
                    !passwords.iter().any(|password| text.contains(password)),
                    "a password is in the log of the {side:?}:\n{text}"
                );
            }
            // Whether there is a link decides nothing yet.
            duo.wait_until_standby(Side::Backup);
            duo.stop(Side::Backup);

            let backup = duo.instance(Side::Backup);
            backup.edit("etc/broker.xml", other, right);
            let properties = backup.file("etc/tandem.properties");
            let before = fs::read_to_string(&properties).unwrap_or_default();
            let tls = "link.tls.certificate=a.pem\nlink.tls.key=a.key\nlink.tls.authority=b.pem\n";
            fs::write(&properties, format!("{before}\n{tls}")).expect("our own file");
            duo.start_side(Side::Backup);
            duo.process(Side::Backup)
                .wait_for_text("this version has no TLS on the link", LINK_LIMIT);
        },
    );
}
