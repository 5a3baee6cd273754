//! `ratdata-train generate`: the process that `ratdata generate` starts. It reads requests from stdin
//! and writes what is generated to stdout, both as JSON lines of ids.

use std::io::{self, BufRead, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use clap::Parser;
use ratdata_console::interrupt;
use ratdata_schemas::{EndReason, GenerationAsk, GenerationEvent};
use ratdata_train::device::{DeviceChoice, Hardware};
use ratdata_train::generate::{Batcher, GenerateError, load_run};

use super::device_panics;
use super::failure::Failure;

/// How often a process without requests checks for a signal.
const TICK: Duration = Duration::from_millis(50);

/// Generate ids for requests on stdin
///
/// `ratdata generate` starts this process: it has the tokenizer, and this one the model.
#[derive(Debug, Parser)]
#[command(name = "ratdata-train generate", version, max_term_width = 100)]
pub(crate) struct GenerateArgs {
    /// The folder of a run, or of one of its checkpoints
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// How many requests are generated at a time
    #[arg(long, value_name = "N", default_value = "8")]
    batch: NonZeroUsize,

    /// Where to compute: `auto`, `cpu`, `cuda[:N]` or `wgpu[:N]`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,

    /// Allow sequences that are longer than in training
    #[arg(long)]
    grow: bool,
}

/// Generates until stdin is closed and every request is done.
pub(crate) fn generate(args: &GenerateArgs) -> Result<(), Failure> {
    interrupt::watch();
    let device = args.device.resolve()?;
    let hardware = Hardware::of(&device);
    let work = || -> Result<(), GenerateError> {
        let trained = load_run(&args.run, &device, hardware)?;
        serve(Batcher::new(trained, args.batch.get(), args.grow))
    };
    Ok(device_panics::on(hardware, work)??)
}

fn serve(mut batcher: Batcher) -> Result<(), GenerateError> {
    let asked = read_asks();
    write(&[batcher.ready()])?;
    loop {
        if batcher.is_idle() {
            match asked.recv_timeout(TICK) {
                Ok(ask) => take(&mut batcher, ask?)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        while let Ok(ask) = asked.try_recv() {
            take(&mut batcher, ask?)?;
        }
        if interrupt::asked() {
            return Err(GenerateError::Interrupted);
        }
        let events = batcher.round();
        write(&events)?;
    }
}

fn take(batcher: &mut Batcher, ask: GenerationAsk) -> Result<(), GenerateError> {
    match ask {
        GenerationAsk::Generate(request) => {
            let id = request.id;
            let Err(refusal) = batcher.ask(request) else { return Ok(()) };
            let (reason, hint) = (refusal.reason, refusal.hint.map(str::to_owned));
            write(&[GenerationEvent::Refused { id, reason, hint }])
        }
        GenerationAsk::Cancel { id } if batcher.cancel(id) => {
            write(&[GenerationEvent::Ended { id, why: EndReason::Cancelled }])
        }
        // It has ended in the meantime.
        GenerationAsk::Cancel { .. } => Ok(()),
    }
}

/// Reads stdin on a thread of its own, so that the model does not wait for it.
fn read_asks() -> Receiver<Result<GenerationAsk, GenerateError>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for (number, line) in (1..).zip(io::stdin().lock().lines()) {
            let ask = line.map_err(GenerateError::Stdin).and_then(|line| {
                serde_json::from_str(&line).map_err(|wrong| GenerateError::Line {
                    line: number,
                    reason: wrong.to_string(),
                })
            });
            let wrong = ask.is_err();
            if sender.send(ask).is_err() || wrong {
                return;
            }
        }
    });
    receiver
}

fn write(events: &[GenerationEvent]) -> Result<(), GenerateError> {
    let mut out = io::stdout().lock();
    for event in events {
        serde_json::to_writer(&mut out, event)
            .map_err(io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(GenerateError::Stdout)?;
    }
    out.flush().map_err(GenerateError::Stdout)
}
