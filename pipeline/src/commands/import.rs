//! `ratdata import`: token bins of another tool become an artifact.

use std::path::PathBuf;

use ratdata_schemas::recipe::ImportLayout;
use ratdata_schemas::{Dtype, PlainName, TokenId};

use crate::arguments::tokenizer;
use crate::failure::Failure;
use crate::interrupt;
use crate::library_failures::transcode_failure;
use crate::progress::FetchBars;
use crate::summary::BinsSummary;
use crate::transcode::{self, Documents, ImportJob};
use crate::ui::Ui;

/// Make an artifact of token bins that another tool wrote
///
/// Reads headers and indexes, copies the ids unchanged, checks every id against the vocabulary, and
/// writes document indexes and a manifest. With `--link`, the artifact shares the files instead of
/// copies. After a kill, the same command starts again. `docs/layouts.md` draws each layout.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImportArgs {
    /// Files, or folders of them; for `megatron` also the common prefix of both files
    #[arg(value_name = "PATH", required = true, num_args = 1..)]
    inputs: Vec<PathBuf>,

    /// The layout of the files
    #[arg(long, value_enum, value_name = "LAYOUT")]
    from: ImportLayout,

    /// The folder that becomes the artifact
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// The width of ids, where no header says it [default: u16]
    #[arg(long, value_enum)]
    dtype: Option<Dtype>,

    /// The tokenizer that made the ids; without one the manifest says `unknown`
    #[arg(long, value_name = "PATH|HUB_ID|ALIAS")]
    tokenizer: Option<String>,

    /// The id between documents, or `none` where each file is one document [default: the
    /// tokenizer's EOS]
    #[arg(long, allow_negative_numbers = true, value_name = "ID|none", value_parser = documents)]
    eos: Option<Documents>,

    /// The split that the files become
    #[arg(long, default_value = "train", value_name = "NAME")]
    split: PlainName,

    /// The prefix of file names [default: the tokenizer's name, or `imported`]
    #[arg(long, value_name = "NAME")]
    name: Option<PlainName>,

    /// Link the files instead of copying them; an edit of such a file also changes the artifact
    #[arg(long)]
    link: bool,

    /// Replace an existing artifact
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  ratdata import fineweb_train_*.bin --from llmc --tokenizer gpt2 --out data/tokens
  ratdata import corpus_text_document --from megatron --out data/tokens
  ratdata import train.bin --from raw --dtype u16 --eos 50256 --out data/tokens";

fn documents(text: &str) -> Result<Documents, String> {
    match text.parse::<TokenId>() {
        Ok(id) => Ok(Documents::Eos(id)),
        Err(_) if text == "none" => Ok(Documents::OneAFile),
        Err(_) => Err("expected an id of the vocabulary, from 0 on, or `none`".into()),
    }
}

/// Runs the command.
pub(crate) fn import(ui: &Ui, args: &ImportArgs) -> Result<(), Failure> {
    let tokenizer = match &args.tokenizer {
        None => None,
        Some(wanted) => {
            let found = tokenizer::resolve(wanted, &FetchBars::new(ui))?;
            Some(tokenizer::load(&found)?.record(&found.name))
        }
    };
    let own = tokenizer.as_ref().and_then(|record| record.eos);
    let documents = args.eos.unwrap_or_else(|| own.map_or(Documents::Unknown, Documents::Eos));
    let called = tokenizer.as_ref().map_or("imported", |record| &record.name);
    let name = args.name.clone().unwrap_or_else(|| PlainName::near(called));
    let job = ImportJob {
        inputs: &args.inputs,
        from: args.from,
        out: &args.out,
        name: &name,
        split: &args.split,
        dtype: args.dtype,
        documents,
        tokenizer,
        link: args.link,
        force: args.force,
        stop: interrupt::flag(),
    };
    let imported = transcode::import(&job).map_err(|wrong| transcode_failure(&wrong))?;
    if !imported.artifact.made {
        ui.note(&format!("{}: already done", args.out.display()));
    }
    ui.emit(&BinsSummary::of(&args.out, &imported.artifact.manifest, None))?;
    imported.finish().map_err(|wrong| transcode_failure(&wrong))
}
