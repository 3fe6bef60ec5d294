//! Random faults under a JMS load: the program of `cargo xtask faults`, with few of them on a list that is known, and with many.
//!
//! It gives itself a network and counts every message; here only its verdict is asked for, and that it has played everything.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::support::process::run;
use crate::support::{measured, programs};

/// The first six faults of this seed are of six kinds: kill of the standby, a link cut for 3.5 s, a restart of the active, an
/// active frozen for 3.7 s, a reset of the link, a kill of the active.
const USUAL: (u32, u64) = (6, 1921);
/// Four batches.
const FULL: (u32, u64) = (100, 1);

#[test]
fn random_faults_lose_nothing() {
    let faults = programs::rounds(USUAL.0, FULL.0);
    let seed = if faults == USUAL.0 { USUAL.1 } else { FULL.1 };
    let folder = tempfile::Builder::new()
        .prefix("tandem-faults-")
        .tempdir()
        .expect("a temporary folder");
    let mut bench = Command::new(programs::bench());
    bench
        .arg("faults")
        .arg("--broker")
        .arg(programs::tandem_broker())
        .arg("--artemis-home")
        .arg(programs::artemis_home())
        .arg("--class-path")
        .arg(programs::bench_class_path())
        .arg("--folder")
        .arg(folder.path())
        .args(["--faults", &faults.to_string()])
        .args(["--seed", &seed.to_string()]);
    let limit = Duration::from_secs(120 + 30 * u64::from(faults));
    let output = run(&mut bench, limit);
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}\n{}", String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        // Where the logs are is in what it said, if it kept any.
        let kept = folder.keep();
        panic!("it ended with {}; see {}", output.status, kept.display());
    }
    let results = fs::read_dir(folder.path())
        .expect("its folder")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "json"))
        .expect("a results file");
    let text = fs::read_to_string(results).expect("its results");
    let run: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let (mut played, mut acknowledged, mut twice) = (0, 0, 0);
    for batch in run["batches"].as_array().expect("batches") {
        played += batch["faults"].as_array().expect("faults").len();
        let account = &batch["ended"]["account"];
        assert_eq!(account["lost"], 0, "{account}");
        acknowledged += account["acknowledged"].as_u64().expect("a number");
        twice += account["twice"].as_u64().expect("a number");
    }
    assert_eq!(
        u32::try_from(played).expect("few"),
        faults,
        "all were played"
    );
    measured(format_args!(
        "{faults} random faults of seed {seed}: {acknowledged} acknowledged, 0 lost, {twice} received twice, never two actives"
    ));
    for line in said.lines().filter(|line| line.contains("gaps: ")) {
        measured(format_args!("{line}"));
    }
}
