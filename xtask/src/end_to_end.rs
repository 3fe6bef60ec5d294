//! Builds the programs and the end-to-end tests, then runs the tests one at a time, each in a process of its own and
//! with an end in sight. (Each gives itself a network of its own: `tests/support`.)

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bench;
use crate::demo::target_folder;
use crate::run::{cargo, command, describe, last_lines, output, run, seconds};
use crate::tally::Tally;

/// The tests have shorter bounds of their own; this one is for a test that is stuck outside them.
const LONGEST_TEST: Duration = Duration::from_mins(15);
const LONGEST_TEST_FULL: Duration = Duration::from_hours(1);

/// How much of a failed test's output is shown.
const SHOWN_LINES: usize = 150;

/// A line of a test's output that begins like this is a measurement worth showing when the test passes, too.
const MEASURED: &str = "measured: ";

/// The names of tests that need a cluster begin like this.
const ON_KUBERNETES: &str = "kubernetes";

/// What the tests are told.
struct Environment<'a> {
    full: bool,
    class_path: String,
    /// The folder of Kubernetes' programs.
    kubernetes: Option<&'a Path>,
}

/// One test program and one test in it.
struct Test {
    program: PathBuf,
    target: String,
    name: String,
}

/// Builds and runs all end-to-end tests.
///
/// Those on Kubernetes are run if its programs are in `kubernetes`.
pub(crate) fn run_all(tally: &mut Tally, full: bool, kubernetes: Option<&Path>) {
    let mut tests = Vec::new();
    let mut class_path = String::new();
    let built = tally.step("end-to-end tests: build", || {
        run(cargo().args([
            "build",
            "--locked",
            "--package",
            "tandem",
            "--package",
            "tandem-broker",
            "--package",
            "bench",
            "--package",
            "cluster",
            "--bins",
        ]))?;
        class_path = bench::client()?;
        tests = build_tests()?;
        Ok(())
    });
    if !built {
        return;
    }
    if kubernetes.is_none() {
        tests.retain(|test| !test.name.starts_with(ON_KUBERNETES));
    }
    println!("\n== end-to-end tests: {}", tests.len());
    let environment = Environment {
        full,
        class_path,
        kubernetes,
    };
    for (index, test) in tests.iter().enumerate() {
        let full_name = format!("{}::{}", test.target, test.name);
        print!("[{}/{}] {full_name} ... ", index + 1, tests.len());
        let _ = std::io::stdout().flush();
        let start = Instant::now();
        match run_one(test, &environment) {
            Ok(measured) => {
                println!("ok, {}", seconds(start.elapsed()));
                for line in measured {
                    println!("      {line}");
                }
                tally.add(1, []);
            }
            Err(error) => {
                println!("FAILED, {}\n{error:#}", seconds(start.elapsed()));
                tally.fail(full_name);
            }
        }
    }
}

/// Compiles the test programs and asks each for its tests.
fn build_tests() -> Result<Vec<Test>> {
    let mut build = cargo();
    build.args([
        "test",
        "--locked",
        "--package",
        "tandem",
        "--features",
        "e2e",
        "--test",
        "e2e",
        "--no-run",
        "--message-format",
        "json-render-diagnostics",
    ]);
    println!("$ {}", describe(&build));
    // The compiler's messages are on standard error; standard output holds one JSON value per line.
    let finished = build.stderr(std::process::Stdio::inherit()).output()?;
    if !finished.status.success() {
        bail!("the end-to-end tests do not build: see above");
    }
    let mut tests = Vec::new();
    for line in String::from_utf8_lossy(&finished.stdout).lines() {
        let message: serde_json::Value =
            serde_json::from_str(line).context("cargo prints no JSON")?;
        let target = &message["target"];
        let is_test = target["kind"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|kind| kind == "test"));
        if let (true, Some(program), Some(name)) = (
            is_test,
            message["executable"].as_str(),
            target["name"].as_str(),
        ) {
            tests.extend(list(Path::new(program), name)?);
        }
    }
    if tests.is_empty() {
        bail!("cargo built no end-to-end test");
    }
    tests.sort_by(|a, b| (&a.target, &a.name).cmp(&(&b.target, &b.name)));
    Ok(tests)
}

fn list(program: &Path, target: &str) -> Result<Vec<Test>> {
    let listing = output(command(program).args(["--list", "--format", "terse"]))?;
    Ok(listing
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(|name| Test {
            program: program.to_owned(),
            target: target.to_owned(),
            name: name.to_owned(),
        })
        .collect())
}

/// Runs one test with its output in a file; returns its measurements.
fn run_one(test: &Test, environment: &Environment) -> Result<Vec<String>> {
    let folder = target_folder().join("e2e");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!(
        "{}-{}.out",
        test.target,
        test.name.replace("::", "-")
    ));
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut program = command(&test.program);
    program
        .args(["--exact", &test.name, "--nocapture"])
        .stdout(file.try_clone()?)
        .stderr(file)
        // Where a test failed is in its message; the way there is noise.
        .env("RUST_BACKTRACE", "0")
        .env("TANDEM_BENCH_CLASS_PATH", &environment.class_path);
    if let Some(programs) = environment.kubernetes {
        program.env("TANDEM_KUBERNETES", programs);
    }
    if environment.full {
        program.env("TANDEM_TEST_FULL", "1");
    }
    let limit = if environment.full {
        LONGEST_TEST_FULL
    } else {
        LONGEST_TEST
    };
    let ended = wait(spawn(&mut program)?, limit)?;
    let said = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
    match ended {
        Some(status) if status.success() => Ok(said
            .lines()
            .filter(|line| line.starts_with(MEASURED))
            .map(str::to_owned)
            .collect()),
        Some(status) => {
            bail!(
                "{}\n(ended with {status}; all of it: {})",
                last_lines(&said, SHOWN_LINES),
                path.display()
            )
        }
        None => bail!(
            "{}\n(ended after {}; all of it: {})",
            last_lines(&said, SHOWN_LINES),
            seconds(limit),
            path.display()
        ),
    }
}

fn spawn(program: &mut Command) -> Result<Child> {
    program
        .spawn()
        .with_context(|| format!("cannot start {}", describe(program)))
}

/// Waits until the program has ended, or ends it. The test's own namespace ends with it, and everything in there.
fn wait(mut child: Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(50));
    }
}
