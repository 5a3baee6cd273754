//! The prompts of an input: answered, and written as predictions.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use ratdata_console::grouped;
use ratdata_schemas::{ArtifactError, GenerationEvent, GenerationRequest};
use ratdata_tokenize::tokenizer::{StoppingText, Tokenizer};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::predictions::{Begun, Predictions};
use super::process::ModelProcess;
use super::progress::Counts;
use super::prompts::{Prompt, PromptSet};
use super::settings::Settings;
use crate::failure::{Failure, Kind};
use crate::progress_line::ProgressLine;
use crate::ui::Ui;

/// How many more requests the process has than it can work on: a row that is done leaves its slot to
/// one that is there already.
const AHEAD: usize = 8;

/// A folder that gets a file of predictions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) out: &'a Path,
    /// The file is `NAME.jsonl`.
    pub(crate) name: &'a str,
    /// Whether predictions of another run, input or options are replaced.
    pub(crate) force: bool,
}

/// What was made.
#[derive(Debug, Serialize)]
struct Answered {
    predictions: PathBuf,
    rows: usize,
    tokens: u64,
    tokens_per_second: f64,
}

/// Answers the prompts of an input, into a folder or to stdout.
pub(crate) fn answer(
    ui: &Ui,
    settings: &Settings,
    set: &PromptSet,
    tokenizer: &Tokenizer,
    target: Option<Target<'_>>,
) -> Result<(), Failure> {
    let Some(target) = target else {
        let mut sink = Sink::Stdout { next: 0, waiting: BTreeMap::new() };
        return Work { ui, settings, set, tokenizer }.run(&mut sink).map(drop);
    };
    match answers_in(ui, settings, set, tokenizer, target)? {
        (_, None) => Ok(()),
        (predictions, Some(counts)) => {
            let (rows, tokens) = (set.prompts.len(), counts.tokens);
            let tokens_per_second = counts.tokens_per_second();
            ui.emit(&Answered { predictions, rows, tokens, tokens_per_second })
        }
    }
}

/// Answers the prompts of an input into a folder, and returns the file of predictions.
pub(crate) fn predict(
    ui: &Ui,
    settings: &Settings,
    set: &PromptSet,
    tokenizer: &Tokenizer,
    target: Target<'_>,
) -> Result<PathBuf, Failure> {
    answers_in(ui, settings, set, tokenizer, target).map(|(predictions, _)| predictions)
}

/// Answers into a folder; there are no counts where all was done before.
fn answers_in(
    ui: &Ui,
    settings: &Settings,
    set: &PromptSet,
    tokenizer: &Tokenizer,
    target: Target<'_>,
) -> Result<(PathBuf, Option<Counts>), Failure> {
    let out = target.out;
    let mut recipe = settings.recipe(set.max_new)?;
    recipe["input"] = json!([set.checksum, set.split, set.prompts.len()]);
    recipe["tokenizer"] = json!(tokenizer.fingerprint());
    let begun = Predictions::begin(out, target.name, recipe, target.force);
    let mut predictions = match begun.map_err(|wrong| refused(&wrong))? {
        Begun::Done => {
            ui.note(&format!("{}: already done", out.display()));
            return Ok((out.join(format!("{}.jsonl", target.name)), None));
        }
        Begun::Other => {
            let message =
                format!("{}: has predictions of another run, input or options", out.display());
            let hint = "choose another `--out`, or replace them with `--force`";
            return Err(Failure::message(Kind::Failed, message).hinted(Some(hint)));
        }
        Begun::Open(predictions) => predictions,
    };
    if predictions.len() > 0 {
        let (done, all) = (predictions.len(), set.prompts.len());
        ui.note(&format!("{}: resuming with {done} of {all} rows done", out.display()));
    }
    let mut sink = Sink::Folder(&mut predictions);
    let counts = Work { ui, settings, set, tokenizer }.run(&mut sink)?;
    let predictions = predictions.finish().map_err(|wrong| refused(&wrong))?;
    Ok((predictions, Some(counts)))
}

fn refused(wrong: &ArtifactError) -> Failure {
    Failure::new(Kind::Failed, wrong).hinted(wrong.hint())
}

/// Where predictions go.
enum Sink<'a> {
    /// A folder, in which rows that are done are kept.
    Folder(&'a mut Predictions),
    /// Stdout, in the order of the rows.
    Stdout { next: usize, waiting: BTreeMap<usize, String> },
}

impl Sink<'_> {
    fn has(&self, row: usize) -> bool {
        matches!(self, Self::Folder(predictions) if predictions.has(row))
    }

    fn add(&mut self, row: usize, line: String) -> Result<(), Failure> {
        match self {
            Self::Folder(predictions) => {
                predictions.add(row, line).map_err(|wrong| refused(&wrong))
            }
            Self::Stdout { next, waiting } => {
                waiting.insert(row, line);
                while let Some(line) = waiting.remove(next) {
                    Ui::print(&line)?;
                    *next += 1;
                }
                Ok(())
            }
        }
    }
}

/// The rows that are answered.
struct Work<'a> {
    ui: &'a Ui,
    settings: &'a Settings,
    set: &'a PromptSet,
    tokenizer: &'a Tokenizer,
}

impl Work<'_> {
    /// Answers the rows that the sink does not have.
    fn run(&self, sink: &mut Sink<'_>) -> Result<Counts, Failure> {
        let all = self.set.prompts.len();
        let mut left: Vec<usize> = (0..all).filter(|&row| !sink.has(row)).rev().collect();
        let mut counts =
            Counts { all, before: all - left.len(), done: 0, tokens: 0, begun: Instant::now() };
        if left.is_empty() {
            return Ok(counts);
        }
        let mut process = ModelProcess::start(self.ui, self.settings)?;
        let longest = process.ready()?;
        counts.begun = Instant::now();
        let mut line = ProgressLine::new(self.ui, "rows");
        let stops: Arc<[String]> = self.settings.stops.clone().into();
        let mut texts: BTreeMap<u64, StoppingText> = BTreeMap::new();
        while !(left.is_empty() && texts.is_empty()) {
            while texts.len() < self.settings.batch + AHEAD
                && let Some(row) = left.pop()
            {
                process.ask(self.request(row, longest)?)?;
                texts.insert(row as u64, StoppingText::new(self.tokenizer.stream(), stops.clone()));
            }
            match process.next()? {
                GenerationEvent::Ready { .. }
                | GenerationEvent::PromptLogprobs { .. }
                | GenerationEvent::TokenLogprobs { .. } => {}
                GenerationEvent::Tokens { tokens } => {
                    counts.tokens += tokens.len() as u64;
                    for (id, token) in tokens {
                        let Some(text) = texts.get_mut(&id) else { continue };
                        let was_stopped = text.is_stopped();
                        text.push(token);
                        if text.is_stopped() && !was_stopped {
                            process.cancel(id)?;
                        }
                    }
                }
                GenerationEvent::Ended { id, .. } => {
                    let Some((row, prompt)) = self.row(id) else { continue };
                    let Some(text) = texts.remove(&id) else { continue };
                    sink.add(row, line_of(prompt, &text.text()))?;
                    counts.done += 1;
                }
                GenerationEvent::Refused { id, reason, hint } => {
                    let place = self.row(id).map_or("a row", |(_, prompt)| &prompt.place);
                    let message = format!("{place}: {reason}");
                    return Err(Failure::message(Kind::Failed, message).hinted(hint));
                }
            }
            line.show(&counts.reached(), || counts.words());
        }
        line.end();
        Ok(counts)
    }

    fn row(&self, id: u64) -> Option<(usize, &Prompt)> {
        let row = usize::try_from(id).ok()?;
        Some((row, self.set.prompts.get(row)?))
    }

    fn request(&self, row: usize, longest: usize) -> Result<GenerationRequest, Failure> {
        let id = row as u64;
        let prompt = self.set.prompts[row].ids(self.tokenizer)?;
        Ok(GenerationRequest {
            id,
            max_new: self.settings.new_tokens(self.set.max_new, prompt.len(), longest),
            prompt,
            ends: self.tokenizer.eos().into_iter().collect(),
            sampling: self.settings.sampling(id),
            logprobs: None,
        })
    }
}

/// Returns a prediction with what is known of its row.
fn line_of(prompt: &Prompt, text: &str) -> String {
    let mut line = Map::from_iter([("pred".to_owned(), json!(text))]);
    line.extend(prompt.facts.clone().into_iter().filter(|(key, _)| key != "pred"));
    Value::Object(line).to_string()
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { predictions, rows, tokens, tokens_per_second } = self;
        let (rows, tokens) = (grouped(*rows as u64), grouped(*tokens));
        let path = predictions.display();
        write!(f, "{path}\n{rows} rows, {tokens} tokens, {tokens_per_second:.0} tokens/s")
    }
}
