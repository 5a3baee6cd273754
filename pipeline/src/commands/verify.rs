//! `ratdata verify`: proof that an artifact is what its manifest says.

use std::fmt;
use std::path::PathBuf;

use ratdata_console::{grouped, sized};
use ratdata_schemas::{ArtifactError, Checksum, Known, Manifest, ManifestError, manifest_checksum};
use ratdata_tokenize::Share;
use ratdata_tokenize::source::SourceFile;
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::{Failure, Kind};
use crate::inspect::{find_sources, find_tokenizer};
use crate::interrupt;
use crate::stored_artifact::folder_of;
use crate::ui::Ui;
use crate::verify::{
    Compared, Ended, Offence, Portion, Portions, Proof, Retokenize, prove, retokenize, state_of,
};

/// Prove that an artifact is what its manifest says
///
/// Checks sizes and checksums, indexes against bins, spans against rows, documents against the rows
/// of their sources, and every id against the vocabulary; for a pack, also its base. With
/// `--retokenize`, the oracle encodes a random share of the source documents again, and the ids are
/// compared. A text that the oracle refuses cannot be judged by it: such documents are counted, a warning
/// names one, and they need the ids that the engine gives them now. If something is wrong, it prints the first place and ends with status 3. A share
/// always ends with status 0; the run without `--shard` joins the findings of all shares.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The artifact folder, or its address such as `s3://BUCKET/tokens`
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

    /// The seed of the random share
    #[arg(long, allow_negative_numbers = true, default_value_t = 0, value_name = "SEED", value_parser = crate::number::whole)]
    sample: u64,

    /// A folder for `report.json` and for the findings of shares
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Check share I of N (from 0) of the work; a run without this option writes the report
    /// [auto/N: I is the scheduler's, as Slurm or Kubernetes number their tasks]
    #[arg(long, value_name = "I/N", requires = "out")]
    shard: Option<Share>,
}

const EXAMPLES: &str = "\
Examples:
  ratdata verify data/tokens
  ratdata verify data/tokens --retokenize 0.1% --input corpus/ --tokenizer llama
  ratdata verify data/tokens --out data/verified --shard 0/8";

fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent, 100.0));
    match number.parse::<f64>() {
        Ok(share) if share > 0.0 && share / scale <= 1.0 => Ok(share / scale),
        _ => Err("expected a share above 0 up to 1, or a percentage".into()),
    }
}

/// What was proved: the same for the same artifact, whoever looks and when.
#[derive(Debug, Serialize)]
struct Verified {
    /// The checksum of the artifact's manifest.
    manifest: Checksum,
    files: u64,
    bytes: u64,
    ids: u64,
    bases: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    base_missing: bool,
    documents_retokenized: Option<u64>,
    /// Documents whose text the oracle refuses, of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    documents_unjudged: Option<u64>,
}

/// Runs the command.
pub(crate) fn verify(ui: &Ui, args: &VerifyArgs) -> Result<(), Failure> {
    let args = &VerifyArgs { path: folder_of(ui, &args.path)?, ..args.clone() };
    let unreadable =
        |wrong: &ManifestError| Failure::new(Kind::Mismatch, wrong).hinted(wrong.hint());
    let manifest = Manifest::read(&args.path).map_err(|wrong| unreadable(&wrong))?;
    let checksum = manifest_checksum(&args.path).map_err(|wrong| unreadable(&wrong))?;
    let portions = args.out.as_ref().map(|out| Portions::open(out, &described(args, &checksum)));
    let portions = portions.transpose().map_err(|wrong| failed(&wrong))?;
    if let (Some(share), Some(portions)) = (args.shard, &portions) {
        let seen = state(args, &manifest);
        let portion = Portion { seen: seen.clone(), ..look(ui, args, &manifest, share)? };
        if seen != state(args, &manifest) {
            return Err(touched(args));
        }
        portions.record(&portion).map_err(|wrong| failed(&wrong))?;
        if let Some(finding) = portion.finding {
            ui.warn(&finding.offence.to_string());
        }
        ui.note(&format!("share {share} is done; run without `--shard` to make the report"));
        return Ok(());
    }
    let seen = portions.as_ref().and_then(|_| state(args, &manifest));
    let (mut found, missing) = match &portions {
        Some(portions) => portions.known(seen.as_ref()).map_err(|wrong| failed(&wrong))?,
        None => (Vec::new(), vec![Share::WHOLE]),
    };
    for share in missing {
        found.push(look(ui, args, &manifest, share)?);
    }
    if portions.is_some() && seen != state(args, &manifest) {
        return Err(touched(args));
    }
    let whole = Portion::joined(found);
    if let Some(finding) = whole.finding {
        // What is mended is looked at again.
        portions.as_ref().map_or(Ok(()), Portions::forget).map_err(|wrong| failed(&wrong))?;
        return Err(untrue(&finding.offence));
    }
    let Proof { files, bytes, ids, bases, base_missing } = whole.proof;
    let documents = whole.documents;
    let documents_retokenized =
        documents.as_ref().map(|documents| documents.same + documents.unjudged);
    let documents_unjudged = documents.as_ref().map(|documents| documents.unjudged);
    let documents_unjudged = documents_unjudged.filter(|unjudged| *unjudged > 0);
    if let (Some(unjudged), Some(refusal)) =
        (documents_unjudged, documents.and_then(|documents| documents.refusal))
    {
        let of_documents = if unjudged == 1 { "document" } else { "documents" };
        ui.warn(&format!(
            "the oracle cannot judge {} {of_documents}: it refuses the text, as in {refusal}",
            grouped(unjudged)
        ));
    }
    let verified = Verified {
        manifest: checksum,
        files,
        bytes,
        ids,
        bases,
        base_missing,
        documents_retokenized,
        documents_unjudged,
    };
    portions
        .map_or(Ok(()), |portions| portions.finish(&verified))
        .map_err(|wrong| failed(&wrong))?;
    if ids == 0 {
        ui.warn(&format!("{}: the artifact is empty: it holds no token", args.path.display()));
    }
    ui.emit(&verified)
}

/// Returns what decides the findings of a check.
fn described(args: &VerifyArgs, manifest: &Checksum) -> Value {
    json!([manifest, args.retokenize, args.sample, args.input, args.tokenizer])
}

/// Returns what stands for the state of all files that the check reads.
fn state(args: &VerifyArgs, manifest: &Manifest) -> Option<Checksum> {
    let inputs = if args.retokenize.is_some() { args.input.as_slice() } else { &[] };
    state_of(&args.path, manifest, inputs, args.tokenizer.as_deref())
}

fn touched(args: &VerifyArgs) -> Failure {
    let message = format!("{}: its files were changed while they were read", args.path.display());
    Failure::message(Kind::Failed, message)
        .hinted(Some("let what writes them end, then give the same command again"))
}

/// Looks at a share of the artifact, up to the first thing that is not as recorded.
fn look(ui: &Ui, args: &VerifyArgs, manifest: &Manifest, share: Share) -> Result<Portion, Failure> {
    let root = &args.path;
    let mut portion = Portion::new(share);
    // What was named and is not there is told before a long check, and before a tokenizer is looked for.
    let sources = match args.retokenize {
        Some(_) if !args.input.is_empty() => Some(find_sources(ui, &args.input, manifest)?),
        _ => None,
    };
    let mut checks = || -> Result<(), Ended> {
        portion.proof = prove(root, manifest, share)?;
        if let Some(fraction) = args.retokenize {
            let drawn = Drawn { fraction, share, sources: sources.as_deref() };
            portion.documents = Some(compare(ui, args, manifest, &drawn)?);
        }
        Ok(())
    };
    match checks() {
        Ok(()) => Ok(portion),
        Err(Ended::Differs(finding)) => Ok(Portion { finding: Some(finding), ..portion }),
        Err(Ended::Failed(failure)) => Err(failure),
    }
}

/// Which documents are encoded again, and the sources that were named.
struct Drawn<'a> {
    fraction: f64,
    share: Share,
    sources: Option<&'a [SourceFile]>,
}

fn compare(
    ui: &Ui,
    args: &VerifyArgs,
    manifest: &Manifest,
    documents: &Drawn<'_>,
) -> Result<Compared, Ended> {
    let record = Some(&manifest.tokenizer);
    let found = find_tokenizer(ui, args.tokenizer.as_deref(), record, &args.path)?;
    let Some(tokenizer) = found else {
        let message = "no tokenizer was found to encode the documents with";
        return Err(Failure::message(Kind::Usage, message)
            .hinted(Some("name the one that made them with `--tokenizer`"))
            .into());
    };
    let files = match documents.sources {
        Some(sources) => sources.to_vec(),
        None => find_sources(ui, &args.input, manifest)?,
    };
    let check = Retokenize {
        root: &args.path,
        manifest,
        tokenizer: &tokenizer,
        files: &files,
        drawn: documents.fraction,
        seed: args.sample,
        share: documents.share,
        known: &Known::default(),
        interrupted: interrupt::flag(),
    };
    retokenize(&check)
}

fn failed(wrong: &ArtifactError) -> Failure {
    Failure::new(Kind::Failed, wrong).hinted(wrong.hint())
}

fn untrue(offence: &Offence) -> Failure {
    Failure::message(Kind::Mismatch, offence.to_string()).hinted(Some(offence.cause.hint()))
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
        if let Some(unjudged) = self.documents_unjudged {
            write!(f, "\n{} of them could not be judged by the oracle", grouped(unjudged))?;
        }
        if self.base_missing {
            write!(f, "\nthe artifact it was packed from is not there; its rows hold all tokens")?;
        }
        Ok(())
    }
}
