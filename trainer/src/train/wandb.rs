//! Weights & Biases: a process of the user's Python, which reads the metrics of the run.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::error::TrainError;
use super::metrics::{METRICS_FILE, MetricsLine};
use crate::experiment::{TrainingConfig, WandbMode};

/// The program that feeds `wandb`.
const BRIDGE: &str = include_str!("../../../scripts/wandb_bridge.py");

/// How long the trainer waits for the last lines to be taken; the process ends by itself later.
const END: Duration = Duration::from_mins(1);

/// How often it looks.
const TICK: Duration = Duration::from_millis(50);

/// The process that feeds `wandb`. When this is dropped, it is told that the run has ended.
#[derive(Debug)]
pub(super) struct Wandb {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Wandb {
    /// Starts the process where the experiment wants it. It sends what the metrics get from now on.
    ///
    /// # Errors
    /// Returns [`TrainError::Wandb`] where there is no such Python, it has no `wandb`, or `wandb` refuses.
    pub(super) fn start(out: &Path, training: &TrainingConfig) -> Result<Option<Self>, TrainError> {
        let Some(mode) = training.wandb else { return Ok(None) };
        let python = training.wandb_python.clone().unwrap_or_else(|| PathBuf::from("python3"));
        let failed = |reason: String| TrainError::Wandb { python: python.clone(), reason };
        let offset = std::fs::metadata(out.join(METRICS_FILE)).map_or(0, |file| file.len());
        let mode = match mode {
            WandbMode::Offline => "offline",
            WandbMode::Online => "online",
        };
        let mut command = Command::new(&python);
        command.args(["-c", BRIDGE]).arg(out).args(["--mode", mode, "--follow", "--offset"]);
        // Ctrl-C on the terminal is for this program, which tells the process in its time.
        command.arg(offset.to_string()).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|wrong| failed(wrong.to_string()))?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // Nobody reads what it says later, and it must not wait for a reader.
        let errors = stderr.map(|mut stderr| {
            thread::spawn(move || {
                let mut text = String::new();
                drop(stderr.read_to_string(&mut text));
                text
            })
        });
        let mut wandb = Self { child, stdin };
        let mut stdout = stdout.map(BufReader::new);
        let mut line = String::new();
        if let Some(stdout) = &mut stdout {
            while line.trim() != "ready" {
                line.clear();
                if stdout.read_line(&mut line).unwrap_or(0) == 0 {
                    wandb.stdin = None;
                    drop(wandb.child.wait());
                    let said = errors.and_then(|thread| thread.join().ok()).unwrap_or_default();
                    let last = said.lines().rev().find(|line| !line.trim().is_empty());
                    return Err(failed(last.unwrap_or("it ended without a word").to_owned()));
                }
            }
        }
        thread::spawn(move || {
            stdout.map(|mut rest| std::io::copy(&mut rest, &mut std::io::sink()))
        });
        Ok(Some(wandb))
    }

    /// Tells the result of the run.
    pub(super) fn finish(mut self, last_val: Option<MetricsLine>) {
        if let (Some(stdin), Some(line)) = (&mut self.stdin, last_val) {
            let told = json!({"val_loss": line.val_loss, "val_perplexity": line.val_perplexity});
            // A process that has gone takes nothing, and the run is done without it.
            drop(writeln!(stdin, "{told}"));
        }
    }
}

impl Drop for Wandb {
    fn drop(&mut self) {
        self.stdin = None;
        let begun = Instant::now();
        while begun.elapsed() < END && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(TICK);
        }
    }
}
