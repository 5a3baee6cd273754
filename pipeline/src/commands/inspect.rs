//! `ratdata inspect`: what is in an artifact, a bin or a checkpoint.

use std::path::PathBuf;

use ratdata_schemas::recipe::Recipe;
use ratdata_schemas::{Dtype, MANIFEST_FILE, Manifest, SplitRecord};

use crate::failure::{Failure, Kind};
use crate::inspect::{
    Asked, Subject, find_tokenizer, inspect as look, inspect_checkpoint, missing_tokenizer, texts,
};
use crate::number::{length, whole};
use crate::stored_artifact::folder_of;
use crate::ui::Ui;

/// Look at an artifact, a token bin, or a checkpoint
///
/// Reads everything once, on all processors. Shows lengths, ids, repeated documents, how much is
/// trained on, how much is padding, and warnings.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// An artifact folder or one of its files, an artifact's address such as `s3://BUCKET/tokens`, a headerless .bin, a
    /// pair of row files, or a checkpoint
    path: PathBuf,

    /// Show N documents or rows as text [default: 2 of instruction data, otherwise none]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    decode: Option<usize>,

    /// The seed of that choice
    #[arg(long, allow_negative_numbers = true, default_value_t = 0, value_name = "SEED", value_parser = whole)]
    sample: u64,

    /// Show the first documents or rows whose text contains this
    #[arg(long, value_name = "TEXT")]
    find: Option<String>,

    /// The width of the ids of a headerless .bin
    #[arg(long, value_enum, default_value_t = Dtype::U16)]
    dtype: Dtype,

    /// The row length of `-inputs.bin` and `-labels.bin` without a manifest [default: from the file
    /// name]
    #[arg(long, allow_negative_numbers = true, value_name = "N", value_parser = length)]
    row_len: Option<u32>,

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

/// Runs the command.
pub(crate) fn inspect(ui: &Ui, args: &InspectArgs) -> Result<(), Failure> {
    let path = &folder_of(ui, &args.path)?;
    if !path.exists() {
        return Err(Failure::message(Kind::Failed, format!("{}: not there", path.display())));
    }
    let weights = path.extension().is_some_and(|ending| ending == "safetensors");
    if weights || (path.is_dir() && !path.join(MANIFEST_FILE).is_file()) {
        return ui.emit(&inspect_checkpoint(path)?);
    }
    let subject = Subject::of(path, args.dtype, args.row_len)?;
    let tokenizer =
        find_tokenizer(ui, args.tokenizer.as_deref(), subject.tokenizer(), subject.path())?;
    ui.emit(&look(&subject, tokenizer.as_ref())?)?;
    // A program that reads JSON gets the one object that it asked for.
    let unasked = if !ui.json() && is_instructions(&subject) { SHOWN } else { 0 };
    let count = args.decode.unwrap_or(unasked);
    if count == 0 && args.find.is_none() {
        return Ok(());
    }
    let Some(tokenizer) = tokenizer else {
        let (message, hint) = missing_tokenizer(subject.tokenizer());
        if args.decode.is_none() && args.find.is_none() {
            ui.note(&format!("{message}; {hint}"));
            return Ok(());
        }
        return Err(Failure::message(Kind::Usage, message).hinted(Some(hint)));
    };
    let asked = Asked { count, seed: args.sample, find: args.find.as_deref() };
    for shown in texts(&subject, &tokenizer, asked)? {
        ui.emit_text(&shown)?;
    }
    Ok(())
}

/// Returns whether a subject is instruction data: made by a task, packed of what was, or a pair.
fn is_instructions(subject: &Subject) -> bool {
    let of_a_task = |manifest: &Manifest| matches!(manifest.recipe, Recipe::Sft(_));
    let Some(manifest) = subject.manifest() else {
        return matches!(subject, Subject::Pair { .. });
    };
    let base = manifest.base.as_ref();
    let base = base.and_then(|base| Manifest::read(&subject.path().join(&base.path)).ok());
    of_a_task(manifest)
        || manifest.splits.values().any(|split| matches!(split, SplitRecord::Pairs(_)))
        || base.is_some_and(|base| of_a_task(&base))
}
