//! The trainer's program: where it is, how `cargo run` builds it where it is missing, and what it
//! says of a run.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Deserialize;

use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::ui::Ui;

/// The program, which is in the folder of this one.
const PROGRAM: &str = "ratdata-train";

/// What the build is about to take, for people: docs/design/build-time.md has the figures.
const BUILD_TIME: &str = "about 200 crates, 2 to 5 minutes on two cores";

/// How often a wait for the build looks whether it has ended.
const TICK: Duration = Duration::from_millis(100);

/// How often a wait prints a line where no line can be redrawn.
const PLAIN_EVERY: Duration = Duration::from_secs(30);

/// What there is of the trainer.
pub(crate) enum Trainer {
    /// The program is there.
    Ready(PathBuf),
    /// `cargo` builds it in the background.
    Building(Build),
    /// It is not there, and this program was not started by `cargo run`, which could build it.
    Missing(PathBuf),
}

impl Trainer {
    /// Looks for the program; under `cargo run` its build begins where it is missing.
    pub(crate) fn find(ui: &Ui) -> Result<Self, Failure> {
        let own = env::current_exe().map_err(|wrong| {
            Failure::message(Kind::Failed, format!("cannot tell where this program is: {wrong}"))
        })?;
        let path = own.with_file_name(format!("{PROGRAM}{}", env::consts::EXE_SUFFIX));
        if path.is_file() {
            return Ok(Self::Ready(path));
        }
        match (env::var_os("CARGO"), env::var_os("CARGO_MANIFEST_DIR")) {
            (Some(cargo), Some(manifest)) => {
                Ok(Self::Building(Build::begin(ui, &cargo, Path::new(&manifest), path)?))
            }
            _ => Ok(Self::Missing(path)),
        }
    }

    /// Returns the program's path, once it is built.
    pub(crate) fn path(self, ui: &Ui) -> Result<PathBuf, Failure> {
        match self {
            Self::Ready(path) => Ok(path),
            Self::Building(build) => build.wait(ui),
            Self::Missing(path) => {
                let message = format!("{}: the trainer is not there", path.display());
                Err(Failure::message(Kind::Failed, message).hinted(Some(
                    "build it with `cargo build --release -p ratdata-train`, and keep both programs in one folder",
                )))
            }
        }
    }
}

/// Where a sequence that a run draws lies on disk, as the trainer says it.
#[derive(Debug, Deserialize)]
pub(crate) struct Drawn {
    /// The artifact or the bin.
    pub(crate) path: PathBuf,
    pub(crate) split: String,
    /// The sequence's number in the split.
    pub(crate) row: u64,
    /// Where it begins in the stream of tokens; rows of pairs have no such place.
    pub(crate) first_token: Option<u64>,
}

/// Asks the trainer what a run drew in an iteration; `run` is the run's folder.
pub(crate) fn draws(ui: &Ui, run: &Path, iteration: u64) -> Result<Vec<Drawn>, Failure> {
    let program = Trainer::find(ui)?.path(ui)?;
    let iteration = iteration.to_string();
    let output = Command::new(&program)
        .arg(run.join("resolved.toml"))
        .args(["--device", "cpu", "--json", "--quiet", "--draws", &iteration])
        .output()
        .map_err(|wrong| {
            Failure::message(Kind::Failed, format!("{}: cannot start: {wrong}", program.display()))
        })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().trim_start_matches("error: ").to_owned();
        let kind = if output.status.code() == Some(2) { Kind::Usage } else { Kind::Failed };
        return Err(Failure::message(kind, said));
    }
    serde_json::from_slice(&output.stdout).map_err(|wrong| {
        Failure::message(Kind::Failed, format!("the trainer said no JSON: {wrong}"))
    })
}

/// A build of the trainer in the background; it is stopped when nobody waits for it any more.
pub(crate) struct Build {
    path: PathBuf,
    cargo: Child,
    begun: Instant,
    output: Arc<Output>,
}

/// What cargo has printed so far.
#[derive(Default)]
struct Output {
    crates: AtomicU32,
    text: Mutex<String>,
}

impl Build {
    /// Starts the build in the profile and the target folder of this program.
    fn begin(ui: &Ui, cargo: &OsString, manifest: &Path, path: PathBuf) -> Result<Self, Failure> {
        ui.note(&format!("building the trainer, once: {BUILD_TIME}"));
        let folder = |levels: usize| path.ancestors().nth(levels).unwrap_or(Path::new("."));
        let profile = folder(1).file_name().and_then(|name| name.to_str()).unwrap_or("debug");
        let profile = if profile == "debug" { "dev" } else { profile };
        let mut cargo = Command::new(cargo)
            .args(["build", "-p", PROGRAM, "--profile", profile, "--target-dir"])
            .arg(folder(2))
            .current_dir(manifest)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|wrong| {
                Failure::message(Kind::Failed, format!("cargo: cannot start: {wrong}"))
            })?;
        let stderr = cargo.stderr.take();
        // From here on an early end stops cargo.
        let build = Self { path, cargo, begun: Instant::now(), output: Arc::default() };
        if let Some(stderr) = stderr {
            let output = build.output.clone();
            let gather = move || output.gather(stderr);
            thread::Builder::new().spawn(gather).map_err(|wrong| Self::failed(&wrong))?;
        }
        Ok(build)
    }

    /// Waits for the end of the build, shows how far it is, and returns the program's path.
    fn wait(mut self, ui: &Ui) -> Result<PathBuf, Failure> {
        let bar = ProgressBar::new_spinner();
        if !ui.live() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let mut last_line = Instant::now();
        let status = loop {
            interrupt::check()?;
            if let Some(status) = self.cargo.try_wait().map_err(|wrong| Self::failed(&wrong))? {
                break status;
            }
            let crates = self.output.crates.load(Ordering::Relaxed);
            let seconds = self.begun.elapsed().as_secs();
            let line =
                format!("building the trainer: {crates} crates in {seconds} s, of {BUILD_TIME}");
            if !ui.live() && last_line.elapsed() >= PLAIN_EVERY {
                ui.note(&line);
                last_line = Instant::now();
            }
            bar.set_message(line);
            bar.tick();
            thread::sleep(TICK);
        };
        bar.finish_and_clear();
        self.ended(status)
    }

    fn ended(&self, status: ExitStatus) -> Result<PathBuf, Failure> {
        if status.success() && self.path.is_file() {
            return Ok(self.path.clone());
        }
        let text = self.output.text.lock().map(|text| text.clone()).unwrap_or_default();
        Err(Self::failed(&format!("{status}\n{}", text.trim_end())))
    }

    fn failed(wrong: &dyn std::fmt::Display) -> Failure {
        Failure::message(Kind::Failed, format!("building the trainer failed: {wrong}"))
            .hinted(Some("`ratdata demo --no-train` does without it"))
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        // It has ended already, or nobody needs it: neither is an error.
        drop(self.cargo.kill());
        drop(self.cargo.wait());
    }
}

impl Output {
    /// Counts the crates that cargo names, and keeps what else it prints.
    fn gather(&self, stderr: impl Read) {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if line.trim_start().starts_with("Compiling ") {
                self.crates.fetch_add(1, Ordering::Relaxed);
            } else if let Ok(mut text) = self.text.lock() {
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_counted_and_errors_are_kept() {
        let output = Output::default();
        output.gather(
            &b"   Compiling burn v0.22.1\n   Compiling ratdata-train v0.1.0\nerror: no\n"[..],
        );
        assert_eq!(output.crates.load(Ordering::Relaxed), 2);
        assert_eq!(*output.text.lock().unwrap(), "error: no\n");
    }
}
