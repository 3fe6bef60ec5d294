//! The command line: what can be asked, and the exit status of each end.

mod ask;
mod cluster;
mod crds;
mod local;
mod render;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Keeps a message broker available with exactly two brokers.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, after_help = EXIT_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Exit statuses, for the help and for scripts.
const EXIT_HELP: &str = "Exit status: 0 done, 1 the manifest is wrong or the request was refused, 2 the command \
line is wrong, 3 this machine lacks something (a free port, a writable folder, the broker program), 4 the brokers \
kept ending, 5 the demo lost a message or a step did not happen in its time, 6 the switchover, or the \
forced promotion, was asked for and has not happened in its time, 75 the controller heard nothing of the API server, 130 the demo was interrupted.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a pair on this machine: no cluster needed.
    #[command(subcommand, after_help = EXIT_HELP)]
    Local(local::Local),
    /// Run the operator: the pairs of a cluster. In a pod with its service account, or where KUBECONFIG says.
    Controller(cluster::Controller),
    /// Move the active role of a pair in a cluster, and wait for it.
    #[command(after_help = EXIT_HELP)]
    Switchover(cluster::Order),
    /// Let the other side of a pair in a cluster take over because the active is dead, by your word.
    ///
    /// For what the pair cannot decide by itself. Over a shared store nothing acknowledged is lost, even if the active
    /// still lives: its term is fenced before anything is read. Refused while the pair's status says that it serves.
    #[command(after_help = EXIT_HELP)]
    Force(cluster::Force),
    /// Print the custom resource definitions of this version, for `kubectl apply --server-side -f -`.
    Crds,
    /// Print every object that is applied for a pair, with no cluster.
    ///
    /// The passwords that the manifest does not give are made anew each time, unless the file has the Secret
    /// NAME-credentials of an earlier run. What only a cluster knows is left out: owner references, and the first record in
    /// the Lease, which the operator writes.
    Render(render::Render),
}

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// As asked.
    Done = 0,
    /// The manifest is wrong, or the request was refused.
    Refused = 1,
    /// This machine lacks something.
    Unavailable = 3,
    /// The brokers kept ending.
    GaveUp = 4,
    /// The demo lost a message, or a step did not happen in its time.
    DemoFailed = 5,
    /// The switchover, or the forced promotion, was asked for and has not happened in its time.
    Late = 6,
    /// The controller heard nothing of the API server, and wants to be started again.
    Silence = 75,
    /// Ctrl-C during the demo.
    Interrupted = 130,
}

/// A command that was not carried out.
#[derive(Debug)]
struct Refusal {
    exit: Exit,
    text: String,
}

impl Refusal {
    fn new(exit: Exit, text: &impl ToString) -> Self {
        Self {
            exit,
            text: text.to_string(),
        }
    }
}

/// Reads the command line, does what it says, gives the exit status.
pub(crate) fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let result = match command {
        Command::Local(command) => local::main(command),
        Command::Controller(controller) => cluster::controller(controller),
        Command::Switchover(order) => cluster::switchover(order),
        Command::Force(force) => cluster::force(force),
        Command::Crds => crds::main(),
        Command::Render(command) => render::main(command),
    };
    let exit = result.unwrap_or_else(|Refusal { exit, text }| {
        anstream::eprintln!("error: {text}");
        exit
    });
    ExitCode::from(exit as u8)
}
