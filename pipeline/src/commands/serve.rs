//! `ratdata serve`: a trained model on HTTP.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ratdata_serve::{ApiKey, Limits, ServeError, ServedModel, Server, Settings as ServerSettings};
use ratdata_tokenize::sft::ChatTemplate;
use ratdata_tokenize::tokenizer::Tokenizer;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::generation::{ModelProcess, Settings, chat_of, check_run, tokenizer_of};
use crate::interrupt;
use crate::number::jobs;
use crate::ui::Ui;

/// Serve a trained model over HTTP
///
/// RUN is the folder of a training run or of one of its checkpoints. The server answers as OpenAI's
/// completions and chat completions do, whole or streamed, and has what lm-evaluation-harness needs:
/// log-probabilities of prompts and the tokenizer. docs/serving.md has every path and field. It listens on
/// this machine alone unless `--host` says otherwise. Ctrl-C ends it after the answers that are being
/// made; a second one ends it at once.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// The folder of a training run, or of one of its checkpoints
    #[arg(value_name = "DIR")]
    run: PathBuf,

    /// The address to listen on; 0.0.0.0 is every address of this machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: String,

    /// The port to listen on; 0 takes a free one, which is printed
    #[arg(long, allow_negative_numbers = true, value_name = "PORT", default_value_t = 8000)]
    port: u16,

    /// The model's name in answers [default: the name of the run's folder]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// The environment variable with a key that requests must have
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,

    /// A Jinja template for chat [default: that of the data the run was tuned on, or the tokenizer's]
    #[arg(long, value_name = "FILE")]
    chat_template: Option<PathBuf>,

    /// How many answers the model works on at a time
    #[arg(long, allow_negative_numbers = true, value_name = "N", default_value = "8", value_parser = jobs)]
    batch: NonZeroUsize,

    /// How many tokens a prompt and its answer have together, which may be more than in training
    /// [default: as in training]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = jobs)]
    max_length: Option<NonZeroUsize>,

    /// How many tokens a prompt has, at most [default: as many as there is room for]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = jobs)]
    max_prompt: Option<NonZeroUsize>,

    /// How many bytes a request has, at most
    #[arg(long, allow_negative_numbers = true, value_name = "BYTES", default_value = "16777216", value_parser = jobs)]
    max_body: NonZeroUsize,

    /// How many answers are worked on or wait, at most; a request for more is refused
    #[arg(long, allow_negative_numbers = true, value_name = "N", default_value = "1024", value_parser = jobs)]
    max_queue: NonZeroUsize,

    /// How many connections are open at a time; others wait
    #[arg(long, allow_negative_numbers = true, value_name = "N", default_value = "512", value_parser = jobs)]
    max_connections: NonZeroUsize,

    /// How many seconds an answer may take
    #[arg(long, allow_negative_numbers = true, value_name = "SECONDS", default_value = "600", value_parser = jobs)]
    timeout: NonZeroUsize,

    /// How many seconds a client may take to send a request, or read nothing of its answer
    #[arg(long, allow_negative_numbers = true, value_name = "SECONDS", default_value = "60", value_parser = jobs)]
    client_timeout: NonZeroUsize,

    /// How many seconds answers may take to end after Ctrl-C
    #[arg(long, allow_negative_numbers = true, value_name = "SECONDS", default_value = "30", value_parser = jobs)]
    grace: NonZeroUsize,

    /// Where to compute: `auto`, `cpu`, `cuda[:N]` or `wgpu[:N]`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,

    /// The tokenizer that made the ids [default: found by the manifest of the run's data]
    #[arg(long, value_name = "PATH|HUB_ID|ALIAS")]
    tokenizer: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  ratdata serve runs/tiny-rat
  ratdata serve runs/sft/rat-xl --host 0.0.0.0 --port 80 --api-key-env RATDATA_KEY
  curl localhost:8000/v1/completions -d '{\"prompt\": \"Once upon\", \"max_tokens\": 16}'";

/// What is printed when the server answers.
#[derive(Debug, Serialize)]
struct Served<'a> {
    name: &'a str,
    url: String,
}

impl fmt::Display for Served<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is served at {}", self.name, self.url)
    }
}

/// Runs the command.
pub(crate) fn serve(ui: &Ui, args: &ServeArgs) -> Result<(), Failure> {
    check_run(&args.run)?;
    let key = args.api_key_env.as_deref().map(key_of).transpose()?;
    let tokenizer = tokenizer_of(ui, &args.run, args.tokenizer.as_deref(), None)?;
    let template = args.template(&tokenizer)?;
    // The port first: a model may take minutes to load.
    let server = Server::bind(&args.host, args.port).map_err(|wrong| refused(&wrong))?;
    if key.is_none() && !server.address().ip().is_loopback() {
        ui.warn("everybody who reaches this machine may ask: `--api-key-env NAME` asks for a key");
    }
    let mut process = ModelProcess::start_apart(ui, &args.settings())?;
    let bounds = process.bounds()?;
    if tokenizer.vocab_size() as usize > bounds.vocab_size {
        let (own, model) = (tokenizer.vocab_size(), bounds.vocab_size);
        ui.warn(&format!(
            "the tokenizer has {own} ids and the model {model}: texts with others are refused"
        ));
    }
    let model = ServedModel {
        name: args.name(),
        turn_ends: template.as_ref().map(|found| turn_ends(found, &tokenizer)).unwrap_or_default(),
        template,
        tokenizer,
        longest: args.max_length.map_or(bounds.longest, NonZeroUsize::get),
        vocab_size: bounds.vocab_size,
    };
    let settings = ServerSettings { limits: args.limits(model.longest), key };
    let url = format!("http://{}", server.address());
    ui.emit(&Served { name: &model.name, url })?;
    match server.run(model, process.link(), settings, interrupt::flag()) {
        Ok(()) => {
            ui.note("stopped");
            Ok(())
        }
        Err(ServeError::ModelEnded) => Err(process.failure()),
        Err(wrong) => Err(refused(&wrong)),
    }
}

fn refused(wrong: &ServeError) -> Failure {
    let kind = match wrong {
        ServeError::Host { .. } => Kind::Usage,
        _ => Kind::Failed,
    };
    Failure::new(kind, wrong).hinted(wrong.hint())
}

/// Reads the key that an environment variable has.
fn key_of(name: &str) -> Result<ApiKey, Failure> {
    let refused = |what: &str| {
        let hint = format!("set it: `export {name}=…`");
        Failure::message(Kind::Usage, format!("the environment variable `{name}` {what}"))
            .hinted(Some(hint))
    };
    match std::env::var(name) {
        Ok(key) if key.trim().is_empty() => Err(refused("is empty, expected a key")),
        Ok(key) => Ok(ApiKey::new(key.trim().to_owned())),
        Err(std::env::VarError::NotPresent) => Err(refused("is not set")),
        Err(std::env::VarError::NotUnicode(_)) => Err(refused("is not UTF-8")),
    }
}

/// Returns the special token that closes the assistant's turns, where the template has one.
fn turn_ends(template: &ChatTemplate, tokenizer: &Tokenizer) -> Vec<ratdata_schemas::TokenId> {
    let closing = template.closing().unwrap_or_default();
    let ids = tokenizer.encode(closing.trim_start()).unwrap_or_default();
    ids.first().copied().filter(|&id| tokenizer.is_special(id)).into_iter().collect()
}

impl ServeArgs {
    fn name(&self) -> String {
        let whole = self.run.canonicalize().unwrap_or_else(|_| self.run.clone());
        let of_folder = || whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.name.clone().unwrap_or_else(of_folder)
    }

    fn settings(&self) -> Settings {
        // The server refuses what is longer than it should be.
        let grows = self.max_length.is_some();
        Settings::greedy(&self.run, self.batch.get(), &self.device, grows)
    }

    fn limits(&self, longest: usize) -> Limits {
        let seconds = |number: NonZeroUsize| Duration::from_secs(number.get() as u64);
        Limits {
            body: self.max_body.get(),
            prompt: self.max_prompt.map_or(longest, NonZeroUsize::get),
            rows: self.max_queue.get(),
            connections: self.max_connections.get(),
            answer: seconds(self.timeout),
            client: seconds(self.client_timeout),
            grace: seconds(self.grace),
        }
    }

    /// Returns how conversations are written; none where neither the run nor the tokenizer says.
    fn template(&self, tokenizer: &Tokenizer) -> Result<Option<ChatTemplate>, Failure> {
        let piece = |id| Option::and_then(id, |id| tokenizer.piece(id)).unwrap_or("");
        let (bos, eos) = (piece(tokenizer.bos()), piece(tokenizer.eos()));
        let compile = |source: &str, date| {
            let compiled = ChatTemplate::compile(source, bos, eos, date);
            compiled.map_err(|wrong| Failure::new(Kind::Usage, &wrong).hinted(wrong.hint()))
        };
        let chat = chat_of(&self.run);
        let date = chat.as_ref().and_then(|chat| chat.date).unwrap_or_default();
        if let Some(path) = &self.chat_template {
            let source = std::fs::read_to_string(path).map_err(|wrong| {
                Failure::message(Kind::Usage, format!("{}: cannot read: {wrong}", path.display()))
            })?;
            return compile(&source, date).map(Some);
        }
        if let Some(source) = chat.and_then(|chat| chat.template) {
            return compile(&source, date).map(Some);
        }
        // Most tokenizers have none.
        Ok(ChatTemplate::of_tokenizer(tokenizer.path(), bos, eos, date).ok())
    }
}
