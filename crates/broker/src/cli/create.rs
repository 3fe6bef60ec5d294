//! `create`: makes an instance, and for the first side of a pair the pair's first record.

use std::path::{Path, PathBuf};

use broker_config::create::{CreateOptions, HaOptions, Request, help, instance, parse_args};

use super::Failure;
use super::files::{self, NewFile};
use super::pair::first_record;
use crate::instance::{ArbiterIs, Instance};

/// Does what the words after `create` say; answers with the exit status.
pub(crate) fn create(arguments: &[String]) -> Result<u8, Failure> {
    match parse_args(arguments).map_err(|error| {
        Failure::usage(format!(
            "{error}\n`tandem-broker create --help` lists the options"
        ))
    })? {
        Request::Help => {
            say(help().trim_end());
            Ok(0)
        }
        Request::Create(options) => make(&options),
    }
}

fn make(options: &CreateOptions) -> Result<u8, Failure> {
    let dir = std::path::absolute(&options.directory).map_err(|error| {
        Failure::usage(format!(
            "cannot use the folder '{}': {error}",
            options.directory
        ))
    })?;
    say(&format!("Creating a broker instance at: {}", dir.display()));
    for (flag, reason) in &options.without_effect {
        say(&format!("Without effect: {flag} ({reason})"));
    }
    let salt = crate::random::bytes().map_err(Failure::unavailable)?;
    let made = instance(options, &own_program()?.display().to_string(), &salt);
    let files: Vec<NewFile<'_>> = made
        .files
        .iter()
        .map(|file| NewFile {
            path: Path::new(file.path),
            mode: file.mode,
            content: file.content.as_bytes(),
        })
        .collect();
    let folders: Vec<&Path> = made.folders.iter().map(Path::new).collect();
    files::put(&dir, &files, &folders, options.force).map_err(Failure::unavailable)?;
    if makes_record(options.ha) {
        let read = Instance::read(&dir).map_err(Failure::usage)?;
        say(&first_record(&read)?);
    }
    if matches!(options.ha, HaOptions::Replicated { .. }) {
        own_store(&Instance::read(&dir).map_err(Failure::usage)?)?;
    }
    say("\nYou can now start the broker by executing:\n");
    say(&format!(
        "   \"{}\" run\n",
        dir.join("bin/artemis").display()
    ));
    say("Or you can run the broker in the background using:\n");
    say(&format!(
        "   \"{}\" start",
        dir.join("bin/artemis-service").display()
    ));
    Ok(0)
}

/// The first record is made with the primary; a backup finds it in the shared store. A broker alone is the
/// primary of a pair without a backup.
fn makes_record(ha: HaOptions) -> bool {
    match ha {
        HaOptions::None | HaOptions::SharedStore { backup: false, .. } => true,
        HaOptions::SharedStore { backup: true, .. } | HaOptions::Replicated { .. } => false,
    }
}

/// Each side of a replicated pair has a store of its own.
fn own_store(instance: &Instance) -> Result<(), Failure> {
    let journal = &instance.ha.journal;
    std::fs::create_dir_all(journal).map_err(|error| {
        Failure::unavailable(format!("cannot create {}: {error}", journal.display()))
    })?;
    if instance.ha.arbiter_is == ArbiterIs::Own {
        say(&format!(
            "Before you start the pair, say where its record is: the same line `arbiter=directory:PATH` in {} and in that file of the other broker, then once `tandem-broker pair init {}`.",
            instance.dir.join("etc/tandem.properties").display(),
            instance.dir.display()
        ));
    }
    Ok(())
}

/// The program that the instance's scripts start.
fn own_program() -> Result<PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|error| Failure::unavailable(format!("cannot find this program: {error}")))
}

#[expect(clippy::print_stdout, reason = "what a person asked for")]
fn say(text: &str) {
    println!("{text}");
}
