//! A process of `ratdata serve`, which ends when it is not needed any more.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use crate::failure::{Failure, Kind};
use crate::interrupt;

/// How often a wait checks for a signal.
const TICK: Duration = Duration::from_millis(100);

/// How long a server may take to end: its own grace, and a little.
const END: Duration = Duration::from_secs(40);

/// A server with a model.
pub(super) struct Server {
    child: Child,
    served: Served,
}

/// What a server prints when it answers.
#[derive(Debug, Deserialize)]
pub(super) struct Served {
    pub(super) name: String,
    pub(super) url: String,
}

impl Server {
    /// Starts `ratdata serve` with `arguments` on a free port, and waits until it answers.
    pub(super) fn start(arguments: &[OsString]) -> Result<Self, Failure> {
        let cannot = |wrong: std::io::Error| {
            Failure::message(Kind::Failed, format!("ratdata serve: cannot start: {wrong}"))
        };
        let program = std::env::current_exe().map_err(cannot)?;
        let mut command = Command::new(program);
        command.arg("serve").args(arguments).args(["--port", "0", "--json"]);
        // Ctrl-C on the terminal is for this program, which ends the server.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(cannot)?;
        let (told, lines) = channel();
        let stdout = child.stdout.take();
        thread::spawn(move || {
            // It reads on to the end, so that the server never waits for this program.
            for line in stdout.into_iter().flat_map(|out| BufReader::new(out).lines()) {
                let Ok(line) = line else { return };
                drop(told.send(line));
            }
        });
        let errors = child.stderr.take().map(|mut stderr| {
            thread::spawn(move || {
                let mut text = Vec::new();
                drop(stderr.read_to_end(&mut text));
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        let mut server = Self { child, served: Served { name: String::new(), url: String::new() } };
        loop {
            interrupt::check()?;
            match lines.recv_timeout(TICK) {
                Ok(line) => {
                    server.served = serde_json::from_str(&line).map_err(|wrong| {
                        Failure::message(Kind::Failed, format!("ratdata serve: {wrong}: {line}"))
                    })?;
                    return Ok(server);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(server.failure(errors)),
            }
        }
    }

    /// Returns the model's name and the server's address.
    pub(super) fn served(&self) -> &Served {
        &self.served
    }

    /// Returns why the server has not started, by its own words.
    fn failure(&mut self, errors: Option<JoinHandle<String>>) -> Failure {
        let status = self.child.wait().ok();
        let said = errors.and_then(|thread| thread.join().ok()).unwrap_or_default();
        let said = said.find("error: ").map_or(said.as_str(), |at| &said[at + 7..]).trim();
        let kind = match status.and_then(|status| status.code()) {
            Some(2) => Kind::Usage,
            _ => Kind::Failed,
        };
        let message = if said.is_empty() { "ratdata serve: did not start" } else { said };
        Failure::message(kind, message)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < END {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(TICK / 2);
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
