//! The prompts of the command line: continued, and shown as their tokens come.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ratdata_schemas::{EndReason, GenerationEvent, GenerationRequest};
use ratdata_tokenize::tokenizer::{StoppingText, Tokenizer};
use serde::Serialize;

use super::process::ModelProcess;
use super::prompts::Prompt;
use super::settings::Settings;
use crate::failure::{Failure, Kind};
use crate::ui::Ui;

/// A text that was generated.
#[derive(Debug, Serialize)]
struct Generated {
    /// The number of the prompt, from 0.
    prompt: usize,
    text: String,
    tokens: usize,
    /// Why it ends: `eos`, `length` or `stop`.
    end: &'static str,
}

/// Continues each prompt `copies` times. One text is shown as it comes, several one after the other.
pub(crate) fn continue_texts(
    ui: &Ui,
    settings: &Settings,
    prompts: &[Prompt],
    copies: usize,
    tokenizer: &Tokenizer,
) -> Result<(), Failure> {
    let mut process = ModelProcess::start(ui, settings)?;
    let longest = process.ready()?;
    let total = prompts.len() * copies;
    for (number, prompt) in prompts.iter().enumerate() {
        let ids = prompt.ids(tokenizer)?;
        for copy in 0..copies {
            let id = (number * copies + copy) as u64;
            process.ask(GenerationRequest {
                id,
                prompt: ids.clone(),
                max_new: settings.new_tokens(None, ids.len(), longest),
                ends: tokenizer.eos().into_iter().collect(),
                sampling: settings.sampling(id),
                logprobs: None,
            })?;
        }
    }
    let streams = total == 1 && !ui.json();
    let stops: Arc<[String]> = settings.stops.clone().into();
    let mut texts = vec![StoppingText::new(tokenizer.stream(), stops); total];
    let mut ended = BTreeMap::new();
    let mut shown = 0;
    while shown < total {
        match process.next()? {
            GenerationEvent::Ready { .. }
            | GenerationEvent::PromptLogprobs { .. }
            | GenerationEvent::TokenLogprobs { .. } => {}
            GenerationEvent::Tokens { tokens } => {
                for (id, token) in tokens {
                    let number = usize::try_from(id).unwrap_or(usize::MAX);
                    let Some(text) = texts.get_mut(number) else { continue };
                    let was_stopped = text.is_stopped();
                    let new = text.push(token);
                    if streams {
                        Ui::stream(new)?;
                    }
                    if text.is_stopped() && !was_stopped {
                        process.cancel(id)?;
                    }
                }
            }
            GenerationEvent::Ended { id, why } => {
                ended.insert(id, why);
            }
            GenerationEvent::Refused { id, reason, hint } => {
                let number = usize::try_from(id).unwrap_or(usize::MAX) / copies;
                let place = prompts.get(number).map_or("a prompt", |prompt| &prompt.place);
                let message = format!("{place}: {reason}");
                return Err(Failure::message(Kind::Usage, message).hinted(hint));
            }
        }
        while let Some(&why) = ended.get(&(shown as u64)) {
            let text = &mut texts[shown];
            if streams {
                Ui::stream(&text.rest())?;
                Ui::stream("\n")?;
            } else {
                let end = end_of(text, why);
                let (prompt, whole, tokens) = (shown / copies, text.text(), text.tokens());
                ui.emit(&Generated { prompt, text: whole, tokens, end })?;
            }
            shown += 1;
        }
    }
    Ok(())
}

fn end_of(text: &StoppingText, why: EndReason) -> &'static str {
    match why {
        _ if text.is_stopped() => "stop",
        EndReason::Eos => "eos",
        EndReason::Length => "length",
        EndReason::Cancelled => "cancelled",
    }
}

impl fmt::Display for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
