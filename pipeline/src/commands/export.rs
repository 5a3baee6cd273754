//! `ratdata export`: an artifact in the layout of another tool.

use std::fmt;
use std::path::{Path, PathBuf};

use ratdata_console::sized;
use ratdata_schemas::{Carried, Manifest, Semantics, SplitRecord, TokenId};
use ratdata_tokenize::tokenizer::Tokenizer;
use serde::Serialize;

use crate::arguments::tokenizer;
use crate::failure::{Failure, Kind};
use crate::inspect::find_tokenizer;
use crate::interrupt;
use crate::library_failures::transcode_failure;
use crate::progress::FetchBars;
use crate::stored_artifact::folder_of;
use crate::stored_output::StoredOutput;
use crate::transcode::{self, ExportJob, ExportLayout, Exported, ExportedFile};
use crate::ui::Ui;

/// Write an artifact in the layout of another tool
///
/// Each split becomes a folder. After a kill or a full disk, the same command continues. Where both
/// layouts have the same bytes, the file is a hard link to the artifact's file, or a copy where the
/// file system has no hard links. `docs/layouts.md` draws each layout.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArgs {
    /// The artifact: the folder that holds `manifest.json`, or its address such as `s3://BUCKET/tokens`
    #[arg(value_name = "ARTIFACT", value_hint = clap::ValueHint::DirPath)]
    artifact: PathBuf,

    /// The layout to write
    #[arg(long, value_enum, value_name = "LAYOUT")]
    to: ExportLayout,

    /// The folder to write into, or a prefix such as `s3://BUCKET/megatron`
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// The split to write [default: all]
    #[arg(long, value_name = "NAME")]
    split: Option<String>,

    /// The id between documents [default: the artifact's EOS]
    #[arg(long, allow_negative_numbers = true, value_name = "ID", value_parser = id)]
    eos: Option<TokenId>,

    /// The tokenizer that decodes JSON lines [default: found by the manifest]
    #[arg(long, value_name = "PATH|HUB_ID|ALIAS")]
    tokenizer: Option<String>,

    /// Copy all bytes, so that the export shares no file with the artifact
    #[arg(long)]
    copy: bool,

    /// Replace existing files
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  ratdata export data/tokens --to megatron --out data/megatron
  ratdata export data/tokens --to jsonl --split val --out data/text --tokenizer llama";

/// Runs the command.
pub(crate) fn export(ui: &Ui, args: &ExportArgs) -> Result<(), Failure> {
    let stored = StoredOutput::of(&args.out, args.force)?;
    let out = stored.as_ref().map_or(&*args.out, StoredOutput::folder);
    let exported = make(ui, args, out)?;
    stored.as_ref().map_or(Ok(()), StoredOutput::send)?;
    // Last of all, so that whoever is killed before gives the same command again.
    exported.finish().map_err(|wrong| transcode_failure(&wrong))?;
    stored.map_or(Ok(()), StoredOutput::end)
}

/// Makes the files in a folder and tells of them.
fn make(ui: &Ui, args: &ExportArgs, out: &Path) -> Result<Exported, Failure> {
    let args = &ExportArgs { artifact: folder_of(ui, &args.artifact)?, ..args.clone() };
    let manifest =
        Manifest::read(&args.artifact).map_err(|wrong| transcode_failure(&wrong.into()))?;
    let splits: Vec<String> = match &args.split {
        Some(split) => vec![split.clone()],
        None => manifest.splits.keys().map(ToString::to_string).collect(),
    };
    let tokenizer = match args.to {
        ExportLayout::Jsonl => Some(own_tokenizer(ui, args, &manifest)?),
        _ => None,
    };
    let job = ExportJob {
        root: &args.artifact,
        manifest: &manifest,
        to: args.to,
        out,
        link: !args.copy,
        force: args.force,
        eos: args.eos.or(manifest.tokenizer.eos),
        tokenizer: tokenizer.as_ref(),
        stop: interrupt::flag(),
    };
    let mut exported =
        transcode::export(&job, &splits).map_err(|wrong| transcode_failure(&wrong))?;
    let files = std::mem::take(&mut exported.files);
    if manifest.splits.values().all(is_empty) {
        ui.warn(&format!(
            "{}: the artifact is empty: it holds no document",
            args.artifact.display()
        ));
    }
    ui.emit(&ExportReport { to: args.to, out: args.out.clone(), splits, files })?;
    Ok(exported)
}

fn is_empty(split: &SplitRecord) -> bool {
    matches!(split, SplitRecord::Shards { shards } if shards.iter().all(|shard| shard.documents == 0))
}

fn id(text: &str) -> Result<TokenId, String> {
    text.parse().map_err(|_| "expected an id of the vocabulary, from 0 on".into())
}

/// Loads the tokenizer of the artifact, and makes sure that it is the one.
fn own_tokenizer(ui: &Ui, args: &ExportArgs, manifest: &Manifest) -> Result<Tokenizer, Failure> {
    let record = &manifest.tokenizer;
    if args.tokenizer.is_none()
        && let Some(near) = find_tokenizer(ui, None, Some(record), &args.artifact)?
    {
        return Ok(near);
    }
    let wanted = args.tokenizer.as_ref().unwrap_or(&record.name);
    let hint = "say where the artifact's tokenizer lies with `--tokenizer`";
    let hint = args.tokenizer.is_none().then_some(hint);
    let found = tokenizer::resolve(wanted, &FetchBars::new(ui)).map_err(|f| f.hinted(hint))?;
    let tokenizer = tokenizer::load(&found).map_err(|failure| failure.hinted(hint))?;
    if record.semantics != Semantics::Unknown && tokenizer.fingerprint() != &record.fingerprint {
        let message = format!(
            "{}: not the tokenizer of {}: fingerprint {:.12}, expected {:.12}",
            found.path.display(),
            args.artifact.display(),
            tokenizer.fingerprint().as_str(),
            record.fingerprint.as_str()
        );
        return Err(Failure::message(Kind::Failed, message));
    }
    Ok(tokenizer)
}

/// What an export has made.
#[derive(Debug, Serialize)]
struct ExportReport {
    to: ExportLayout,
    out: PathBuf,
    splits: Vec<String>,
    files: Vec<ExportedFile>,
}

impl fmt::Display for ExportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (carried, what) in [
            (Some(Carried::Linked), "linked to the artifact's own"),
            (Some(Carried::Copied), "copied by the system"),
            (None, "written"),
        ] {
            let files = self.files.iter().filter(|file| file.carried == carried);
            let (count, bytes) =
                files.fold((0_u64, 0), |(count, bytes), file| (count + 1, bytes + file.bytes));
            if count > 0 {
                writeln!(f, "{count:>6} files {what}, {}", sized(bytes))?;
            }
        }
        write!(f, "{} as {}: {}", self.splits.join(", "), self.to.name(), self.out.display())
    }
}
