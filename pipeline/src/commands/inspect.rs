//! `ratdata inspect`: what is in an artifact, a bin or a checkpoint.

use std::path::PathBuf;

use clap::ValueEnum;
use ratdata_schemas::manifest::MANIFEST_FILE;
use ratdata_schemas::{BinSet, Dtype, Manifest, RowSet, SplitRecord};
use ratdata_tokenize::tokenizer::Tokenizer;

use crate::failure::{Failure, Kind};
use crate::inspect::{
    Shown, find_text, find_tokenizer, inspect_artifact, inspect_bin, inspect_checkpoint, open_bins,
    rows_failure, show_documents, show_rows,
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

    /// Show N documents or rows as text
    #[arg(long, default_value_t = 0, value_name = "N")]
    decode: usize,

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

const EXAMPLES: &str = "\
Examples:
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
    if args.decode == 0 && args.find.is_none() {
        return Ok(());
    }
    let Some(tokenizer) = tokenizer else {
        let message = "no tokenizer was found with which to show ids as text";
        return Err(Failure::message(Kind::Usage, message)
            .hinted(Some("name the one that made them with `--tokenizer`")));
    };
    for shown in texts(args, manifest.as_ref(), dtype, &tokenizer)? {
        ui.emit_text(&shown)?;
    }
    Ok(())
}

/// Returns the documents, rows or findings that were asked for.
fn texts(
    args: &InspectArgs,
    manifest: Option<&Manifest>,
    dtype: Dtype,
    tokenizer: &Tokenizer,
) -> Result<Vec<Shown>, Failure> {
    let mut shown = Vec::new();
    let Some(manifest) = manifest else {
        let set = BinSet::open_bin(&args.path, dtype)
            .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
        return Ok(of_bins(args, &set, "bin", tokenizer));
    };
    for (name, split) in &manifest.splits {
        if matches!(split, SplitRecord::Shards { .. }) {
            let set = open_bins(&args.path, manifest, name)?;
            shown.extend(of_bins(args, &set, name, tokenizer));
        } else {
            let set = RowSet::open(&args.path, name).map_err(|wrong| rows_failure(&wrong))?;
            shown.extend(show_rows(&set, name, tokenizer, args.decode, args.sample));
        }
    }
    Ok(shown)
}

fn of_bins(args: &InspectArgs, set: &BinSet, split: &str, tokenizer: &Tokenizer) -> Vec<Shown> {
    let mut shown = show_documents(set, split, tokenizer, args.decode, args.sample);
    if let Some(wanted) = &args.find {
        shown.extend(find_text(set, split, tokenizer, wanted));
    }
    shown
}
