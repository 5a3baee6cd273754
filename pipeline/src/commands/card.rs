//! `ratdata card`: an artifact's page for the hub, and its metadata for search engines.

use std::path::PathBuf;

use ratdata_schemas::{Manifest, ManifestError, write_bytes};
use serde::Serialize;

use crate::card::{About, DatasetCard, Hashes, croissant};
use crate::commands::count::check_place;
use crate::failure::{Failure, Kind};
use crate::ui::Ui;

/// Write an artifact's card for the Hugging Face hub, and Croissant metadata
///
/// Writes `README.md` and `croissant.json` into `--out`. Both are made from the manifest: what the
/// artifact holds, which tokenizer and sources it was made from, and how to read it. Croissant names
/// every file with its SHA-256, so all files are read once. The same artifact and options give the
/// same bytes.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CardArgs {
    /// The artifact folder
    #[arg(value_name = "ARTIFACT", value_hint = clap::ValueHint::DirPath)]
    artifact: PathBuf,

    /// The folder to write into
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    out: PathBuf,

    /// The title of the data set [default: the artifact's name]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,

    /// One sentence that says what the data are
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// The licence, as the hub names it, such as `odc-by`
    #[arg(long, value_name = "ID")]
    license: Option<String>,

    /// Where the data set will be, such as `https://huggingface.co/datasets/OWNER/NAME`
    #[arg(long, value_name = "URL", value_hint = clap::ValueHint::Url)]
    url: Option<String>,

    /// Who made it
    #[arg(long, value_name = "NAME")]
    creator: Option<String>,

    /// The languages of the text, as codes such as `en`
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    language: Vec<String>,

    /// When it was published, such as 2026-11-27
    #[arg(long, value_name = "DATE")]
    published: Option<String>,

    /// Replace other files that are there already
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  ratdata card data/tokens --out data/tokens-card --license odc-by --language en
  ratdata card data/tokens --out card --url https://huggingface.co/datasets/OWNER/NAME";

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    files: [PathBuf; 2],
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [card, metadata] = &self.files;
        write!(f, "{}\n{}", card.display(), metadata.display())
    }
}

/// Runs the command.
pub(crate) fn card(ui: &Ui, args: &CardArgs) -> Result<(), Failure> {
    let unreadable = |wrong: ManifestError| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint());
    let manifest = Manifest::read(&args.artifact).map_err(unreadable)?;
    let about = About {
        title: args.title.clone().unwrap_or_else(|| manifest.name.to_string()),
        description: args.description.clone(),
        license: args.license.clone(),
        url: args.url.clone(),
        creator: args.creator.clone(),
        languages: args.language.clone(),
        published: args.published.clone(),
    };
    let hashes = Hashes::of(&args.artifact, &manifest)?;
    let metadata = serde_json::to_string_pretty(&croissant(&manifest, &about, &hashes))
        .map_err(|wrong| Failure::message(Kind::Failed, wrong.to_string()))?;
    let page = DatasetCard { manifest: &manifest, about: &about }.to_string();
    let files = [args.out.join("README.md"), args.out.join("croissant.json")];
    let texts = [page, metadata + "\n"];
    for (path, text) in files.iter().zip(&texts) {
        check_place(path, text, args.force, "cards")?;
    }
    for (path, text) in files.iter().zip(&texts) {
        write_bytes(path, text.as_bytes()).map_err(|wrong| Failure::new(Kind::Failed, &wrong))?;
    }
    ui.emit(&Written { files })
}
