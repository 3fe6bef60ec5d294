//! The command line: `create`, `run`, `pair`, `data`.
//!
//! Called by the name `artemis` it behaves the same, since scripts of an instance do that.

mod create;
mod data;
mod files;
mod force;
mod pages;
mod pair;
mod register;
mod show;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit;
use crate::run;

/// A message broker that users of Apache `ActiveMQ` Artemis can use in its place.
#[derive(Debug, Parser)]
#[command(
    name = "tandem-broker",
    version,
    after_help = "Exit status: 0 stopped as asked, 1 wrong command line or configuration, 2 a port, folder or lock is not \
                  to be had, 3 data salvaged in part, 4 import stopped in the middle, 70 no pair record, 71 record of another pair, 72 the store failed, 73 client ports failed."
)]
struct Arguments {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Make a broker instance, with the options of `artemis create` (`create --help` lists them).
    #[command(disable_help_flag = true)]
    Create {
        /// Options and the folder of the instance.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the broker of an instance in the foreground.
    Run {
        /// Folder of the instance.
        #[arg(long, env = "ARTEMIS_INSTANCE", default_value = ".")]
        instance: PathBuf,
    },
    /// Make, show or force the pair record of an instance.
    #[command(subcommand)]
    Pair(pair::PairCommand),
    /// Check, print or export what is in the store of an instance; import into a broker.
    #[command(subcommand)]
    Data(data::DataCommand),
}

/// Reads the command line, does what it says and gives the exit status.
pub(crate) fn main() -> ExitCode {
    main_with(std::env::args_os().collect())
}

fn main_with(arguments: Vec<OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // clap prints help and version to standard output, mistakes to standard error.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    let result = match arguments.command {
        Sub::Create { arguments } => create::create(&arguments),
        Sub::Run { instance } => run::run(&instance).map_err(|error| Failure {
            code: error.code,
            text: error.text,
        }),
        Sub::Pair(command) => pair::run(command),
        Sub::Data(command) => data::run(&command),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(Failure { code, text }) => {
            eprintln!("error: {text}");
            ExitCode::from(code)
        }
    }
}

/// A command that did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit status.
    pub code: u8,
    /// What is wrong and what to do.
    pub text: String,
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "handed to map_err as they are"
)]
impl Failure {
    /// Wrong input.
    pub(crate) fn usage(text: impl ToString) -> Self {
        Self {
            code: exit::USAGE,
            text: text.to_string(),
        }
    }

    /// Something of this machine is not to be had.
    pub(crate) fn unavailable(text: impl ToString) -> Self {
        Self {
            code: exit::UNAVAILABLE,
            text: text.to_string(),
        }
    }
}
