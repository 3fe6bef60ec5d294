//! One running program: its output in a file, signals by its own pid, waits with a bound.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait_for;

/// How much of each log is shown when a test fails.
const TAIL_LINES: usize = 40;

/// A program that a test started. Killed when it goes out of scope; if the test is failing, the end of its output is
/// printed.
pub(crate) struct Running {
    name: String,
    child: Child,
    output: PathBuf,
    /// Length of the output file when this run began: several runs of one broker share a file.
    begin: usize,
}

impl Running {
    /// Starts a program with its output appended to `folder/NAME.out`.
    pub(crate) fn start(name: &str, command: &mut Command, folder: &Path) -> Running {
        let output = folder.join(format!("{name}.out"));
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&output)
            .expect("the log file");
        let begin = usize::try_from(file.metadata().expect("the log file").len()).expect("short");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("the log file"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Running {
            name: name.to_owned(),
            child,
            output,
            begin,
        }
    }

    /// The process' number.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process number")
    }

    /// What this run has printed so far.
    pub(crate) fn text(&self) -> String {
        let bytes = fs::read(&self.output).expect("the log file");
        String::from_utf8_lossy(&bytes[self.begin..]).into_owned()
    }

    /// Waits until this run has printed `words`; fails at once if the program ends before.
    pub(crate) fn wait_for_text(&mut self, words: &str, limit: Duration) {
        let what = format!("{words:?} in the output of {}", self.name);
        wait_for(&what, limit, || {
            let ended = self.child.try_wait().expect("our own child");
            if self.text().contains(words) {
                return Some(());
            }
            assert!(
                ended.is_none(),
                "{} ended ({ended:?}) without saying {words:?}",
                self.name
            );
            None
        });
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("our own child, not yet waited for");
    }

    /// `kill -9`, then waits until the process is gone.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait(Duration::from_secs(10));
    }

    /// Waits for the program to end by itself.
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait_for(&what, limit, || {
            self.child.try_wait().expect("our own child")
        })
    }

    /// Whether the program still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }

    /// The path of the program that this process is executing now.
    pub(crate) fn executable(&self) -> PathBuf {
        fs::read_link(format!("/proc/{}/exe", self.pid())).expect("a running process")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            print_tail(&self.output);
        }
        // Both fail only if the program has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end, for at most `limit`, and returns what it said.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Output {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
    // The pipes are emptied by threads, so that a talkative program does not block on them.
    let stdout = drain(child.stdout.take().expect("piped"));
    let stderr = drain(child.stderr.take().expect("piped"));
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process number"));
    let started = std::time::Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            break status;
        }
        if started.elapsed() > limit {
            kill(pid, Signal::SIGKILL).expect("our own child");
            child.wait().expect("our own child");
            panic!("{shown} took longer than {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Output {
        status,
        stdout: stdout.join().expect("reads only"),
        stderr: stderr.join().expect("reads only"),
    }
}

fn drain(mut from: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).expect("a pipe");
        all
    })
}

/// Whether no process of this number runs; one that has ended and waits to be collected counts as gone.
pub(crate) fn is_gone(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| Some(stat.rsplit_once(") ")?.1.starts_with('Z')))
        .unwrap_or(true)
}

/// Prints the end of a log.
pub(crate) fn print_tail(path: &Path) {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    println!("---- the end of {}", path.display());
    for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
        println!("{line}");
    }
}
