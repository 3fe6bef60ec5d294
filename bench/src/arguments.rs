//! The command line.

use std::path::{PathBuf, absolute};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::broker::Product;
use crate::faults::Kind;

/// Measures our broker and real Artemis in one run.
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

/// The faces of this program.
#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    /// Measure, and print the table.
    Run(RunOptions),
    /// Work on one product's orders from standard input; started by `run`.
    #[command(hide = true)]
    Worker(WorkerOptions),
    /// Play random faults on pairs under load, and account for every message.
    Faults(FaultsOptions),
    /// Play one batch of them on a fresh pair; started by `faults`.
    #[command(hide = true)]
    FaultsBatch(BatchOptions),
}

/// What `run` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunOptions {
    /// Where everything is.
    #[command(flatten)]
    pub(crate) places: Places,
    /// Everything once and shortly, within five minutes.
    #[arg(long)]
    pub(crate) quick: bool,
    /// How often each measurement is done for each product: 1 if quick, else 5.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) runs: Option<u32>,
    /// Measure these groups only; all but `gap-backlog` are in a quick run.
    #[arg(long, num_args = 1.., value_name = "NAME", value_parser = crate::plan::GROUPS)]
    pub(crate) only: Vec<String>,
    /// Write the table to this file, as Markdown.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// A folder on the disk that is measured; the brokers' data is below it while the program runs.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

impl RunOptions {
    /// The same from every working folder: the brokers have others than this program.
    pub(crate) fn with_absolute_paths(&self) -> Result<RunOptions> {
        let mut options = self.clone();
        options.folder = absolute(&self.folder)?;
        options.places = self.places.with_absolute_paths()?;
        Ok(options)
    }
}

/// What a worker is told.
#[derive(Debug, Args)]
pub(crate) struct WorkerOptions {
    /// Where everything is.
    #[command(flatten)]
    pub(crate) places: Places,
    /// Whose broker it runs.
    #[arg(long)]
    pub(crate) product: Product,
    /// The folder it may fill.
    #[arg(long)]
    pub(crate) folder: PathBuf,
}

/// What `faults` is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct FaultsOptions {
    /// Where everything is.
    #[command(flatten)]
    pub(crate) places: Places,
    /// Whose broker.
    #[arg(long, default_value = "tandem")]
    pub(crate) product: Product,
    /// A pair of two stores in place of one over a shared store.
    #[arg(long)]
    pub(crate) replicated: bool,
    /// How many faults are played.
    #[arg(long, default_value_t = 25, value_name = "N")]
    pub(crate) faults: usize,
    /// The seed that the faults follow from: the same list each time. Another one each time if none is given.
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// How many faults meet the same pair.
    #[arg(long, default_value_t = 25, value_name = "N")]
    pub(crate) batch: usize,
    /// Play these kinds only.
    #[arg(long, num_args = 1.., value_name = "KIND")]
    pub(crate) only: Vec<Kind>,
    /// Keep the logs of every batch, not only of those in which something went wrong.
    #[arg(long)]
    pub(crate) keep_logs: bool,
    /// Play nothing: add up these results files and print the tables.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub(crate) report: Vec<PathBuf>,
    /// Where results go, and the brokers' data while the program runs.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}

impl FaultsOptions {
    /// The same from every working folder: the brokers have others than this program.
    pub(crate) fn with_absolute_paths(&self) -> Result<FaultsOptions> {
        let mut options = self.clone();
        options.folder = absolute(&self.folder)?;
        options.places = self.places.with_absolute_paths()?;
        Ok(options)
    }
}

/// What a batch is told.
#[derive(Debug, Args)]
pub(crate) struct BatchOptions {
    /// Where everything is.
    #[command(flatten)]
    pub(crate) places: Places,
    /// Whose broker.
    #[arg(long)]
    pub(crate) product: Product,
    /// A pair of two stores.
    #[arg(long)]
    pub(crate) replicated: bool,
    /// The folder it may fill.
    #[arg(long)]
    pub(crate) folder: PathBuf,
    /// The seed of the list of faults.
    #[arg(long)]
    pub(crate) seed: u64,
    /// Faults of the list that were played already.
    #[arg(long)]
    pub(crate) skip: usize,
    /// How many are played at most.
    #[arg(long)]
    pub(crate) count: usize,
    /// These kinds only.
    #[arg(long)]
    pub(crate) only: Vec<Kind>,
}

/// The programs that are measured, and the client.
#[derive(Debug, Clone, Args)]
pub(crate) struct Places {
    /// The program `tandem-broker`, built for release.
    #[arg(long, value_name = "FILE")]
    pub(crate) broker: PathBuf,
    /// The unpacked distribution of Artemis 2.44.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) artemis_home: PathBuf,
    /// The class path of the JMS client.
    #[arg(long, value_name = "PATHS")]
    pub(crate) class_path: String,
}

impl Places {
    fn with_absolute_paths(&self) -> Result<Places> {
        Ok(Places {
            broker: absolute(&self.broker)?,
            artemis_home: absolute(&self.artemis_home)?,
            class_path: self.class_path.clone(),
        })
    }
}
