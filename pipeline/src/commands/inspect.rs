//! `ratdata inspect`: what is in an artifact, a bin or a checkpoint.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ratdata_schemas::manifest::MANIFEST_FILE;
use ratdata_schemas::{BinSet, Dtype, Manifest, RowSet, SplitRecord};
use ratdata_tokenize::tokenizer::Tokenizer;

use crate::failure::{Failure, Kind};
use crate::inspect::{
    Shown, find_text, find_tokenizer, inspect_artifact, inspect_bin, inspect_checkpoint,
    missing_tokenizer, open_bins, rows_failure, show_documents, show_rows,
};
use crate::ui::Ui;

/// Look at an artifact, a token bin, or a checkpoint
///
/// One pass over memory maps on all processors: lengths, ids, repeated documents, what is learnt
/// and what is padding, and warnings about what is odd.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// An artifact folder, a headerless .bin, a checkpoint folder or a .safetensors file
    path: PathBuf,

    /// Show N documents or rows as text [default: 2 of instruction data, otherwise none]
    #[arg(long, value_name = "N")]
    decode: Option<usize>,

    /// The seed with which those are drawn
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    sample: u64,

    /// Show the first documents whose text holds this
    #[arg(long, value_name = "TEXT")]
    find: Option<String>,

    /// The width of the ids of a headerless .bin
    #[arg(long, value_enum, default_value_t = Width::U16)]
    dtype: Width,

    /// The tokenizer that made the ids [default: found by the manifest]
    #[arg(long, value_name = "PATH|HUB_ID|ALIAS")]
    tokenizer: Option<String>,
}

/// How many rows of instruction data are shown without being asked for.
const SHOWN: usize = 2;

const EXAMPLES: &str = "\
Examples:
  ratdata inspect data/sft/qmsum-4096
  ratdata inspect data/tokens --decode 2
  ratdata inspect somebody.bin --dtype u16 --tokenizer gpt2 --find 'once upon'";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Width {
    /// Two bytes
    U16,
    /// Four bytes
    U32,
}

/// Runs the command.
pub(crate) fn inspect(ui: &Ui, args: &InspectArgs) -> Result<(), Failure> {
    let path = &args.path;
    if !path.exists() {
        return Err(Failure::message(Kind::Failed, format!("{}: not there", path.display())));
    }
    let artifact = path.join(MANIFEST_FILE).is_file();
    let weights = path.extension().is_some_and(|ending| ending == "safetensors");
    if weights || (path.is_dir() && !artifact) {
        return ui.emit(&inspect_checkpoint(path)?);
    }
    let manifest = if artifact {
        let read = Manifest::read(path);
        Some(read.map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?)
    } else {
        None
    };
    let record = manifest.as_ref().map(|manifest| &manifest.tokenizer);
    let tokenizer = find_tokenizer(ui, args.tokenizer.as_deref(), record, path)?;
    let dtype = match args.dtype {
        Width::U16 => Dtype::U16,
        Width::U32 => Dtype::U32,
    };
    let inspection = match &manifest {
        Some(_) => inspect_artifact(path, tokenizer.as_ref())?,
        None => inspect_bin(path, dtype, tokenizer.as_ref())?,
    };
    ui.emit(&inspection)?;
    let instructions = manifest.as_ref().is_some_and(|manifest| is_instructions(path, manifest));
    // A program that reads JSON gets the one object that it asked for.
    let unasked = if instructions && !ui.json() { SHOWN } else { 0 };
    let decode = args.decode.unwrap_or(unasked);
    if decode == 0 && args.find.is_none() {
        return Ok(());
    }
    let Some(tokenizer) = tokenizer else {
        let (message, hint) = missing_tokenizer(record);
        if args.decode.is_none() && args.find.is_none() {
            ui.note(&format!("{message}; {hint}"));
            return Ok(());
        }
        return Err(Failure::message(Kind::Usage, message).hinted(Some(hint)));
    };
    for shown in texts(args, decode, manifest.as_ref(), dtype, &tokenizer)? {
        ui.emit_text(&shown)?;
    }
    Ok(())
}

/// Returns whether an artifact is instruction data: made by a task, or packed of what was.
fn is_instructions(root: &Path, manifest: &Manifest) -> bool {
    let of_a_task = |manifest: &Manifest| manifest.config.get("task").is_some();
    let base = manifest.base.as_ref().map(|base| Manifest::read(&root.join(&base.path)));
    of_a_task(manifest)
        || manifest.splits.values().any(|split| matches!(split, SplitRecord::Pairs(_)))
        || base.is_some_and(|base| base.is_ok_and(|base| of_a_task(&base)))
}

/// Returns the documents, rows or findings that were asked for.
fn texts(
    args: &InspectArgs,
    decode: usize,
    manifest: Option<&Manifest>,
    dtype: Dtype,
    tokenizer: &Tokenizer,
) -> Result<Vec<Shown>, Failure> {
    let mut shown = Vec::new();
    let Some(manifest) = manifest else {
        let set = BinSet::open_bin(&args.path, dtype)
            .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
        return Ok(of_bins(args, decode, &set, "bin", tokenizer));
    };
    for (name, split) in &manifest.splits {
        if matches!(split, SplitRecord::Shards { .. }) {
            let set = open_bins(&args.path, manifest, name)?;
            shown.extend(of_bins(args, decode, &set, name, tokenizer));
        } else {
            let set = RowSet::open(&args.path, name).map_err(|wrong| rows_failure(&wrong))?;
            shown.extend(show_rows(&set, name, tokenizer, decode, args.sample));
        }
    }
    Ok(shown)
}

fn of_bins(
    args: &InspectArgs,
    decode: usize,
    set: &BinSet,
    split: &str,
    tokenizer: &Tokenizer,
) -> Vec<Shown> {
    let mut shown = show_documents(set, split, tokenizer, decode, args.sample);
    if let Some(wanted) = &args.find {
        shown.extend(find_text(set, split, tokenizer, wanted));
    }
    shown
}
