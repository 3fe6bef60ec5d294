//! The habits of this repository: `cargo xtask demo | check | test | cluster | sim | bench | faults`.
//!
//! Runs other programs and reports; holds no knowledge about brokers. CI calls exactly these commands.

#![expect(
    clippy::print_stdout,
    reason = "a command-line program talks on standard output"
)]

mod bench;
mod check;
mod cluster;
mod demo;
mod downloads;
mod end_to_end;
mod links;
mod preflight;
mod run;
mod sim;
mod sources;
mod tally;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo [ARGUMENTS]        build both programs and run `tandem local demo examples/shared-store.yaml ARGUMENTS`
  check                   formatting, lints, documentation, each crate alone, licences, file sizes, links
  test [OPTIONS]          everything: lints, Rust tests, and real JMS clients against running pairs, on a Kubernetes of two nodes too
                          --quick: formatting, lints and Rust tests alone; needs neither Java nor Maven
                          --full:  the long fault loops too
                          --without-cluster: nothing on Kubernetes, which needs root, Go and containerd
  cluster up|sh|node|down the tests' Kubernetes for people; without a word it says more
  sim [ARGUMENTS]         live through random worlds of a pair: --mode MODE, --seeds N, --from M, --without-marks, --situation NAME; or tell one: --seed S
  bench [ARGUMENTS]       measure our broker beside real Artemis: --quick, --only NAME…, --out FILE
  faults [ARGUMENTS]      play random faults on pairs under load and account for every message:
                          --product tandem|artemis, --faults N, --batch N, --seed S, --only KIND…;
                          --report FILE… adds up what earlier runs found
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((command, rest)) if command == "demo" => demo::demo(rest),
        Some((command, rest)) if command == "bench" => bench::bench(rest),
        Some((command, rest)) if command == "sim" => sim::sim(rest),
        Some((command, rest)) if command == "cluster" => cluster::cluster(rest),
        Some((command, rest)) if command == "faults" => bench::faults(rest),
        Some((command, [])) if command == "check" => Ok(check::check()),
        Some((command, rest)) if command == "test" => {
            test::Wanted::from_arguments(rest).map(test::test)
        }
        Some((command, _)) if command == "help" || command == "--help" || command == "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
