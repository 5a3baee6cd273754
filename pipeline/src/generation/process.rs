//! The trainer's process: it runs the model, and knows ids and no text.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ratdata_schemas::{GenerationAsk, GenerationEvent, GenerationRequest};
use ratdata_serve::ModelLink;

use super::settings::Settings;
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::trainer::Trainer;
use crate::ui::Ui;

/// How often a wait for an event checks for a signal.
const TICK: Duration = Duration::from_millis(100);

/// How long a process may take to end after its last event.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What requests must fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModelBounds {
    /// How many tokens a prompt and its continuation have together, at most.
    pub(crate) longest: usize,
    /// The ids are below this number.
    pub(crate) vocab_size: usize,
}

/// A process with a model. It ends when this is dropped.
pub(crate) struct ModelProcess {
    program: PathBuf,
    child: Child,
    asks: Option<BufWriter<ChildStdin>>,
    events: Receiver<String>,
    errors: Option<JoinHandle<String>>,
}

impl ModelProcess {
    /// Starts the process. It loads the model while this program does other work.
    pub(crate) fn start(ui: &Ui, settings: &Settings) -> Result<Self, Failure> {
        Self::start_with(ui, settings, |_| {})
    }

    /// Starts the process so that Ctrl-C on the terminal does not reach it: this program ends it.
    pub(crate) fn start_apart(ui: &Ui, settings: &Settings) -> Result<Self, Failure> {
        Self::start_with(ui, settings, |command| {
            command.process_group(0);
        })
    }

    fn start_with(
        ui: &Ui,
        settings: &Settings,
        set_up: impl FnOnce(&mut Command),
    ) -> Result<Self, Failure> {
        let program = Trainer::find(ui)?.path(ui)?;
        let mut command = Command::new(&program);
        command.arg("generate").arg(&settings.run);
        command.args(["--batch", &settings.batch.to_string(), "--device", &settings.device]);
        if settings.grows {
            command.arg("--grow");
        }
        set_up(&mut command);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |wrong: std::io::Error| {
            let message = format!("{}: cannot start: {wrong}", program.display());
            Failure::message(Kind::Failed, message)
        };
        let mut child = piped.spawn().map_err(failed)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let asks = child.stdin.take().map(BufWriter::new);
        let (sender, events) = channel();
        // From here on an early end stops the process.
        let mut process = Self { program: program.clone(), child, asks, events, errors: None };
        let read = move || {
            let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines());
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        };
        let gather = move || {
            let mut text = Vec::new();
            // What was read before an error is all there is.
            drop(stderr.map(|mut stderr| stderr.read_to_end(&mut text)));
            String::from_utf8_lossy(&text).into_owned()
        };
        thread::Builder::new().spawn(read).map_err(failed)?;
        process.errors = Some(thread::Builder::new().spawn(gather).map_err(failed)?);
        Ok(process)
    }

    /// Waits until the model is loaded, and returns how many tokens a sequence has at most.
    pub(super) fn ready(&mut self) -> Result<usize, Failure> {
        Ok(self.bounds()?.longest)
    }

    /// Waits until the model is loaded, and returns what requests must fit.
    pub(crate) fn bounds(&mut self) -> Result<ModelBounds, Failure> {
        loop {
            if let GenerationEvent::Ready { longest, vocab_size } = self.next()? {
                return Ok(ModelBounds { longest, vocab_size });
            }
        }
    }

    /// Gives the way to the process away; what is left is to end it.
    pub(crate) fn link(&mut self) -> ModelLink {
        let events = std::mem::replace(&mut self.events, channel().1);
        let asks: Box<dyn Write + Send> = match self.asks.take() {
            Some(asks) => Box::new(asks),
            None => Box::new(std::io::sink()),
        };
        ModelLink { asks, events }
    }

    /// Sends a request.
    pub(super) fn ask(&mut self, request: GenerationRequest) -> Result<(), Failure> {
        self.send(&GenerationAsk::Generate(request))
    }

    /// Ends a request.
    pub(super) fn cancel(&mut self, id: u64) -> Result<(), Failure> {
        self.send(&GenerationAsk::Cancel { id })
    }

    fn send(&mut self, ask: &GenerationAsk) -> Result<(), Failure> {
        let sent = self.asks.as_mut().is_some_and(|asks| {
            let written = serde_json::to_writer(&mut *asks, ask).map_err(std::io::Error::from);
            written.and_then(|()| asks.write_all(b"\n")).and_then(|()| asks.flush()).is_ok()
        });
        if sent { Ok(()) } else { Err(self.failure()) }
    }

    /// Waits for the next event, and for the user's wish to stop.
    pub(super) fn next(&mut self) -> Result<GenerationEvent, Failure> {
        loop {
            interrupt::check()?;
            match self.events.recv_timeout(TICK) {
                Ok(line) => {
                    return serde_json::from_str(&line).map_err(|wrong| {
                        let program = self.program.display();
                        let message =
                            format!("{program}: found `{line}`, expected an event: {wrong}");
                        let hint = "build `ratdata` and `ratdata-train` from one version";
                        Failure::message(Kind::Failed, message).hinted(Some(hint))
                    });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(self.failure()),
            }
        }
    }

    /// Waits for the end of a process that has closed its stdout, or whose words nobody understands.
    fn ended(&mut self) -> Option<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < LAST_WORDS {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(TICK / 10);
        }
        drop(self.child.kill());
        self.child.wait().ok()
    }

    /// Returns why the process has ended, by its own words.
    pub(crate) fn failure(&mut self) -> Failure {
        self.asks = None;
        let status = self.ended();
        let text = self.errors.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if let Err(interrupted) = interrupt::check() {
            return interrupted;
        }
        failure_of(&self.program, status, &text)
    }
}

impl Drop for ModelProcess {
    fn drop(&mut self) {
        // It has ended already, or nobody needs it: neither is an error.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Makes a failure of a process's exit status and of what it printed.
fn failure_of(program: &Path, status: Option<ExitStatus>, text: &str) -> Failure {
    let kind = match status.and_then(|status| status.code()) {
        Some(2) => Kind::Usage,
        Some(130) => Kind::Interrupted,
        _ => Kind::Failed,
    };
    let line = |label: &str| text.lines().find_map(|line| line.strip_prefix(label));
    if let Some(message) = line("error: ") {
        return Failure::message(kind, message).hinted(line("hint: "));
    }
    let ended = status.map_or_else(|| "ended".to_owned(), |status| status.to_string());
    let said = text.lines().last().unwrap_or("it printed no reason");
    Failure::message(kind, format!("{}: {ended}: {said}", program.display()))
        .hinted(Some("where memory is short, a smaller `--batch` needs less"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn the_words_of_the_process_are_the_failure() {
        let status = |code: i32| Some(ExitStatus::from_raw(code << 8));
        let text = "error: x: no run and no checkpoint\nhint: name a run\n";

        let told = failure_of(Path::new("t"), status(2), text);
        let killed = failure_of(Path::new("t"), Some(ExitStatus::from_raw(9)), "");

        assert_eq!((told.text(), told.status()), ("x: no run and no checkpoint", 2));
        assert_eq!(told.hints(), ["name a run"]);
        assert!(killed.text().contains("signal: 9") && killed.status() == 1, "{}", killed.text());
    }
}
