//! Gives a test a Kubernetes of its own, and the images it asks for.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cluster::image::{self, Image};
use cluster::run_folder::RunFolder;
use cluster::{Cluster, Settings, isolation};

use super::namespace::{inside, start_again, this_program};
use super::programs;

/// What is said of the cluster when a test in it fails.
const SAID: [&[&str]; 3] = [
    &[
        "get",
        "nodes,pods,brokerpairs",
        "--all-namespaces",
        "--output",
        "wide",
    ],
    &[
        "get",
        "events",
        "--all-namespaces",
        "--sort-by",
        ".metadata.creationTimestamp",
    ],
    &["get", "leases", "--all-namespaces", "--output", "yaml"],
];

/// Runs `test` with a cluster whose nodes have these images, for at most `limit`. `name` is the test's path in this program.
pub(crate) fn in_own_cluster(
    name: &str,
    images: &[fn() -> Image],
    limit: Duration,
    test: impl FnOnce(&mut Cluster),
) {
    let Some(folder) = inside(name) else {
        let folder = RunFolder::create().expect("a folder for the cluster");
        let command: Command = isolation::isolated(this_program());
        start_again(command, name, folder.path(), limit);
        folder.remove().expect("all that the cluster left");
        return;
    };
    let images = write(images, &folder);
    let settings = Settings {
        programs: programs::kubernetes(),
        folder,
    };
    let mut cluster = Cluster::start(settings, &images).unwrap_or_else(|error| panic!("{error:#}"));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| test(&mut cluster)));
    if let Err(reason) = outcome {
        explain(&mut cluster);
        panic::resume_unwind(reason as Box<dyn Any + Send>);
    }
    cluster.check().unwrap_or_else(|error| panic!("{error:#}"));
}

fn write(images: &[fn() -> Image], folder: &Path) -> Vec<PathBuf> {
    let written = images.iter().map(|make| image::write(&make(), folder));
    written
        .map(|image| image.unwrap_or_else(|error| panic!("{error:#}")))
        .collect()
}

/// Prints how the cluster stands. Whatever of it cannot be had is said in its place.
fn explain(cluster: &mut Cluster) {
    if let Err(error) = cluster.check() {
        println!("{error:#}");
    }
    for words in SAID {
        println!("---- kubectl {}", words.join(" "));
        match cluster.kubectl_says(words, "") {
            Ok(said) => println!("{}{}", said.output, said.errors),
            Err(error) => println!("{error:#}"),
        }
    }
    for (pod, end) in cluster.ends_of_pod_logs() {
        println!("---- the end of what {pod} printed\n{end}");
    }
}

/// An image with programs of this machine that look at a network.
pub(crate) fn tools() -> Image {
    Image::new("tandem.test/tools:1", &["/usr/bin/getent"])
        .program(Path::new("/usr/bin/getent"), "/usr/bin/getent")
        .unwrap_or_else(|error| panic!("{error:#}"))
}
