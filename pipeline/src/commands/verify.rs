//! `ratdata verify`: proof that an artifact is what its manifest says.

use std::fmt;
use std::path::PathBuf;

use ratdata_schemas::Manifest;
use ratdata_tokenize::hub::resolve_inputs;
use serde::Serialize;

use crate::failure::{Failure, Kind, hub_failure};
use crate::inspect::find_tokenizer;
use crate::interrupt;
use crate::progress::FetchBars;
use crate::quantity::{grouped, sized};
use crate::ui::Ui;
use crate::verify::{Ended, Offence, Proof, Retokenize, prove, retokenize};

/// Prove that an artifact is what its manifest says
///
/// Checks sizes and checksums, indexes against bins, spans against rows, documents against the rows
/// of their sources, and every id against the vocabulary; of a pack its base, too. With `--retokenize`, a random share of the source documents is encoded again by the
/// slow twin and compared. Ends with status 3 and the first offence's place where something is wrong.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The artifact folder
    path: PathBuf,

    /// Encode this share of the documents again, such as `0.1%` or `0.001`
    #[arg(long, value_name = "SHARE", value_parser = share)]
    retokenize: Option<f64>,

    /// Where the source files are [default: FineWeb-Edu `sample-100BT`]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    input: Vec<String>,

    /// The tokenizer that made the ids [default: found by the manifest]
    #[arg(long, value_name = "PATH|HUB_ID|ALIAS")]
    tokenizer: Option<String>,

    /// The seed with which documents are drawn
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    sample: u64,
}

const EXAMPLES: &str = "\
Examples:
  ratdata verify data/tokens
  ratdata verify data/tokens --retokenize 0.1% --input corpus/ --tokenizer llama";

fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
    match number.parse::<f64>() {
        Ok(share) if share > 0.0 && share / scale <= 1.0 => Ok(share / scale),
        _ => Err("expected a share above 0 up to 1, or a percentage".into()),
    }
}

/// What was proved: the same on any machine and at any time, since pipelines keep it.
#[derive(Debug, Serialize)]
struct Verified {
    files: u64,
    bytes: u64,
    ids: u64,
    bases: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    base_missing: bool,
    documents_retokenized: Option<u64>,
}

/// Runs the command.
pub(crate) fn verify(ui: &Ui, args: &VerifyArgs) -> Result<(), Failure> {
    let root = &args.path;
    let manifest = Manifest::read(root)
        .map_err(|wrong| Failure::new(Kind::Untrue, &wrong).hinted(wrong.hint()))?;
    let Proof { files, bytes, ids, bases, base_missing } = prove(root, &manifest).map_err(ended)?;
    let documents_retokenized = match args.retokenize {
        None => None,
        Some(share) => Some(compare(ui, args, &manifest, share)?),
    };
    ui.emit(&Verified { files, bytes, ids, bases, base_missing, documents_retokenized })
}

fn compare(ui: &Ui, args: &VerifyArgs, manifest: &Manifest, share: f64) -> Result<u64, Failure> {
    let record = Some(&manifest.tokenizer);
    let found = find_tokenizer(ui, args.tokenizer.as_deref(), record, &args.path)?;
    let Some(tokenizer) = found else {
        let message = "no tokenizer was found to encode the documents with";
        return Err(Failure::message(Kind::Usage, message)
            .hinted(Some("name the one that made them with `--tokenizer`")));
    };
    let files =
        resolve_inputs(&args.input, &FetchBars::new(ui)).map_err(|wrong| hub_failure(&wrong))?;
    let check = Retokenize {
        root: &args.path,
        manifest,
        tokenizer: &tokenizer,
        files: &files,
        share,
        seed: args.sample,
        interrupted: interrupt::flag(),
    };
    retokenize(&check).map_err(ended)
}

fn ended(ended: Ended) -> Failure {
    match ended {
        Ended::Differs(offence) => untrue(&offence),
        Ended::Failed(failure) => failure,
    }
}

fn untrue(offence: &Offence) -> Failure {
    Failure::message(Kind::Untrue, offence.to_string())
        .hinted(Some("the artifact was changed after it was written; make it again with `--force`"))
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} files ({}), {} ids: all as recorded",
            grouped(self.files),
            sized(self.bytes),
            grouped(self.ids)
        )?;
        match self.bases {
            0 => {}
            1 => write!(f, ", with the artifact it was packed from")?,
            many => write!(f, ", with the {many} artifacts it was packed from")?,
        }
        if let Some(documents) = self.documents_retokenized {
            write!(f, "\n{} documents encoded again: the same ids", grouped(documents))?;
        }
        if self.base_missing {
            write!(f, "\nthe artifact it was packed from is not there; its rows hold all tokens")?;
        }
        Ok(())
    }
}
