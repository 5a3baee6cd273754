//! `ratdata generate`: text from a trained model.

use std::io::Read;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use ratdata_schemas::Sampling;

use crate::arguments::DecodingArgs;
use crate::failure::{Failure, Kind};
use crate::generation::{
    Prompt, PromptSet, Settings, Target, Words, answer, check_run, continue_texts, tokenizer_of,
};
use crate::number::{jobs, whole};
use crate::ui::Ui;

/// Generate text with a trained model
///
/// RUN is the folder of a training run or of one of its checkpoints. `--prompt` continues a text and
/// prints the continuation as it comes. `--input` takes a test split that `sft` made, or JSON lines of
/// `{"prompt": "…", "answers": ["…"]}`, and writes a file of predictions for `score`, one line a
/// prompt and in their order. Without `--temperature` the most likely token is taken, and the bytes are
/// the same for every `--batch`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GenerateArgs {
    /// The folder of a training run, or of one of its checkpoints
    #[arg(value_name = "DIR")]
    run: PathBuf,

    /// A text to continue; `-` reads it from stdin
    #[arg(long, value_name = "TEXT", conflicts_with = "input")]
    prompt: Vec<String>,

    /// Prompts: an artifact of `sft`, or a file of JSON lines
    #[arg(long, value_name = "PATH")]
    input: Option<PathBuf>,

    /// The split of the artifact
    #[arg(long, value_name = "NAME", default_value = "test")]
    split: String,

    /// The folder that gets the predictions [default: stdout]
    #[arg(long, value_name = "DIR", requires = "input")]
    out: Option<PathBuf>,

    /// What the file of predictions is called [default: the task, or the file of JSON lines]
    #[arg(long, value_name = "NAME", requires = "out")]
    name: Option<ratdata_schemas::PlainName>,

    /// How many prompts of the input are taken, from the first on [default: all]
    #[arg(long, allow_negative_numbers = true, value_name = "N", requires = "input", value_parser = jobs)]
    limit: Option<NonZeroUsize>,

    /// How many tokens are generated, at most [default: as the task says, or up to 128 as there is room]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = jobs)]
    max_new: Option<NonZeroUsize>,

    /// What logits are divided by before a token is drawn; 0 takes the most likely one
    #[arg(long, allow_negative_numbers = true, value_name = "T", default_value_t = 0.0, value_parser = temperature)]
    temperature: f64,

    /// Draw from the K most likely tokens; 0 draws from all
    #[arg(long, allow_negative_numbers = true, value_name = "K", default_value_t = 0)]
    top_k: usize,

    /// Draw from the fewest tokens that have this probability together
    #[arg(long, allow_negative_numbers = true, value_name = "P", default_value_t = 1.0, value_parser = probability)]
    top_p: f64,

    /// Divide the positive logits of generated tokens by this, and multiply the negative ones
    #[arg(long, allow_negative_numbers = true, value_name = "R", default_value_t = 1.0, value_parser = penalty)]
    repetition_penalty: f64,

    /// The seed of the draws
    #[arg(long, allow_negative_numbers = true, value_name = "SEED", default_value_t = 0, value_parser = whole)]
    seed: u64,

    /// End a text before this one, which may be given several times
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    stop: Vec<String>,

    /// How many texts are drawn for each prompt
    #[arg(long, allow_negative_numbers = true, value_name = "N", default_value = "1", conflicts_with = "input", value_parser = jobs)]
    num_return: NonZeroUsize,

    #[command(flatten)]
    decoding: DecodingArgs,

    /// The tokenizer that made the ids [default: found by the manifest of the input or of the run's data]
    #[arg(long, value_name = "PATH|HUB_ID|ALIAS")]
    tokenizer: Option<String>,

    /// Replace predictions that are there already
    #[arg(long, requires = "out")]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  ratdata generate runs/tiny-rat --prompt \"Once upon a time\"
  ratdata generate runs/tiny-rat --prompt - --temperature 0.8 --num-return 3 < story.txt
  ratdata generate runs/sft/rat-xl --input data/sft/qmsum-4096 --out predictions";

fn temperature(text: &str) -> Result<f64, String> {
    number(text, |value| value >= 0.0, "0 or a positive number")
}

fn probability(text: &str) -> Result<f64, String> {
    number(text, |value| value > 0.0 && value <= 1.0, "a number above 0 and up to 1")
}

fn penalty(text: &str) -> Result<f64, String> {
    number(text, |value| value > 0.0, "a positive number")
}

fn number(text: &str, fits: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && fits(value) => Ok(value),
        _ => Err(format!("found `{text}`, expected {expected}")),
    }
}

/// Runs the command.
pub(crate) fn generate(ui: &Ui, args: &GenerateArgs) -> Result<(), Failure> {
    if args.num_return.get() > 1 && args.temperature == 0.0 {
        let message = format!(
            "`--num-return {}`: without `--temperature` all texts are the same",
            args.num_return
        );
        return Err(Failure::message(Kind::Usage, message).hinted(Some("add `--temperature 0.8`")));
    }
    check_run(&args.run)?;
    let settings = args.settings();
    let Some(input) = &args.input else {
        let prompts = given_prompts(args)?;
        let tokenizer = tokenizer_of(ui, &args.run, args.tokenizer.as_deref(), None)?;
        return continue_texts(ui, &settings, &prompts, args.num_return.get(), &tokenizer);
    };
    let mut set = PromptSet::read(input, &args.split)?;
    if let Some(limit) = args.limit {
        set.prompts.truncate(limit.get());
    }
    let of_input = set.tokenizer.clone().map(|record| (record, input.clone()));
    let tokenizer = tokenizer_of(ui, &args.run, args.tokenizer.as_deref(), of_input)?;
    let name = args.name.as_ref().map_or_else(|| set.name.clone(), ToString::to_string);
    let target = args.out.as_deref().map(|out| Target { out, name: &name, force: args.force });
    answer(ui, &settings, &set, &tokenizer, target)
}

impl GenerateArgs {
    fn settings(&self) -> Settings {
        Settings {
            run: self.run.clone(),
            max_new: self.max_new.map(NonZeroUsize::get),
            sampling: Sampling {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                repetition_penalty: self.repetition_penalty,
                seed: self.seed,
                stream: 0,
            },
            stops: self.stop.clone(),
            batch: self.decoding.batch.get(),
            device: self.decoding.device.clone(),
            grows: self.decoding.grow,
        }
    }
}

/// Returns the prompts of the command line.
fn given_prompts(args: &GenerateArgs) -> Result<Vec<Prompt>, Failure> {
    let mut prompts = Vec::new();
    for (number, given) in (1..).zip(&args.prompt) {
        let text = if given == "-" { stdin()? } else { given.clone() };
        let place = format!("prompt {number}");
        if text.is_empty() {
            let message = format!("{place}: the prompt is empty");
            let hint = "a model continues a text: give it at least one token";
            return Err(Failure::message(Kind::Usage, message).hinted(Some(hint)));
        }
        prompts.push(Prompt { words: Words::Text(text), facts: serde_json::Map::new(), place });
    }
    if prompts.is_empty() {
        let hint = "`--prompt TEXT`, `--prompt -` for stdin, or `--input PATH`";
        return Err(Failure::message(Kind::Usage, "no prompt was given").hinted(Some(hint)));
    }
    Ok(prompts)
}

/// Reads stdin, without the line end that an editor or `echo` adds.
fn stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(|wrong| Failure::message(Kind::Failed, format!("stdin: cannot read: {wrong}")))?;
    if text.ends_with('\n') {
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
    }
    Ok(text)
}
