//! `ratdata demo`: the pipeline `tiny`, with its results shown.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use ratdata_console::grouped;
use ratdata_prepare::Prepared;
use ratdata_schemas::{ArtifactError, Dtype, Manifest, SplitRecord, write_bytes};
use serde::Serialize;

use crate::arguments::{PipelineArgs, Program};
use crate::dag::plan::{Plan, Planned};
use crate::executor::local;
use crate::failure::{Failure, Kind};
use crate::inspect::{Subject, find_tokenizer};
use crate::report::{Report, Wanted};
use crate::store::Store;
use crate::summary::BinsSummary;
use crate::trainer::Trainer;
use crate::ui::Ui;

/// Run everything on a small corpus made on the spot
///
/// Runs the pipeline `tiny`: a sample corpus as parquet in FineWeb-Edu's schema, a small tokenizer
/// in Llama's manner, token bins, packed rows, instruction rows, and a tiny RAT model that is trained
/// on the bins, tuned on the rows, and scored by its answers. Next to that, the corpus is filtered,
/// deduplicated, decontaminated and mixed with the instruction rows, with a page about each result.
/// Nothing is fetched, and every run gives the same bytes.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:\n  ratdata demo\n  ratdata demo --out target/demo --json")]
pub(crate) struct DemoArgs {
    /// The folder to work in
    #[arg(long, default_value = "target/demo", value_name = "DIR")]
    out: PathBuf,

    /// Train no model
    #[arg(long)]
    no_train: bool,
}

/// The steps whose results get a name of their own in the demo's folder.
const STEPS: [&str; 13] = [
    "sample",
    "tokens",
    "packed",
    "questions",
    "exam",
    "filtered",
    "unique",
    "clean",
    "mixed",
    "model",
    "tuned",
    "answers",
    "scores",
];

/// How many of them need no trainer: the first ones.
const WITHOUT_TRAINER: usize = 9;

/// The steps that prepare rows, in their order.
const PREPARING: [&str; 3] = ["filtered", "unique", "clean"];

/// Runs the command.
///
/// Under `cargo run` the trainer may have to be built first: the other steps do not wait for it.
pub(crate) fn demo(ui: &Ui, args: &DemoArgs, program: Program) -> Result<(), Failure> {
    // The events of the run are not what the demo's JSON is about.
    let quiet = Ui::new(false, ui.quiet() || ui.json());
    let trainer = if args.no_train { None } else { Some(Trainer::find(&quiet)?) };
    let steps = match &trainer {
        Some(Trainer::Ready(_)) => &STEPS[..],
        _ => &STEPS[..WITHOUT_TRAINER],
    };
    let (mut store, mut plan) = run_steps(&quiet, &args.out, steps, program)?;
    match trainer {
        Some(trainer @ Trainer::Building(_)) => {
            trainer.path(&quiet)?;
            (store, plan) = run_steps(&quiet, &args.out, &STEPS, program)?;
        }
        Some(Trainer::Missing(path)) => {
            let path = path.display();
            ui.warn(&format!("{path}: the trainer is not there, no model is trained"));
        }
        Some(Trainer::Ready(_)) | None => {}
    }
    let report = DemoReport::of(&args.out, &store, &plan)?;
    write_pages(&quiet, &args.out)?;
    ui.emit(&report)
}

/// Writes the pages about the prepared rows and about the mix.
fn write_pages(ui: &Ui, out: &Path) -> Result<(), Failure> {
    let refused = |wrong: ArtifactError| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint());
    for step in PREPARING {
        let folder = out.join(step);
        if let Some(prepared) = Prepared::read(&folder).map_err(refused)? {
            let page = Report::of_prepared(&folder, &prepared)?.page()?;
            write_bytes(&out.join(format!("{step}.html")), page.as_bytes()).map_err(refused)?;
        }
    }
    let folder = out.join("mixed");
    let subject = Subject::of(&folder, Dtype::U16, None)?;
    let named = out.join("sample/tokenizer").display().to_string();
    let tokenizer = find_tokenizer(ui, Some(&named), subject.tokenizer(), subject.path())?;
    let wanted = Wanted {
        path: &folder,
        subject: &subject,
        tokenizer: tokenizer.as_ref(),
        samples: 4,
        seed: 0,
        runs: &[],
    };
    let page = Report::of(&wanted)?.page()?;
    write_bytes(&out.join("mixed.html"), page.as_bytes()).map_err(refused)
}

/// Runs some steps of the pipeline `tiny`, with their results in the demo's folder.
fn run_steps(
    ui: &Ui,
    out: &Path,
    steps: &[&str],
    program: Program,
) -> Result<(Store, Plan), Failure> {
    let out = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    let publish = |step: &&str| {
        let path = serde_json::Value::from(out.join(step).display().to_string());
        format!("steps.{step}.publish={path}")
    };
    let pipeline = PipelineArgs {
        steps: steps.iter().map(|&step| step.into()).collect(),
        set: STEPS.iter().map(publish).collect(),
        ..PipelineArgs::at("tiny", Some(out.join("store")))
    };
    let (pipeline, store, plan) = pipeline.plan(ui, program)?;
    local::run_plan(ui, &pipeline, &plan, &store)?;
    Ok((store, plan))
}

/// What the demo has made.
#[derive(Debug, Serialize)]
struct DemoReport {
    out: PathBuf,
    #[serde(flatten)]
    tokens: BinsSummary,
    packed: Option<Rows>,
    questions: Option<Rows>,
    prepared: Vec<RowCounts>,
    mixed: Option<BinsSummary>,
    model: Option<Trained>,
    answers: Option<Answers>,
}

/// One of the answers of the tuned model, and the scores of all.
#[derive(Debug, Serialize)]
struct Answers {
    rows: u64,
    first: String,
    scores: BTreeMap<String, f64>,
}

/// What a step that prepares rows has kept.
#[derive(Debug, Serialize)]
struct RowCounts {
    step: &'static str,
    rows: u64,
    kept: u64,
}

/// Packed rows, and how full they are.
#[derive(Debug, Serialize)]
struct Rows {
    #[serde(rename = "rows")]
    count: u64,
    row_len: u32,
    fill: f64,
}

/// How well the model does on text that it was not trained on, in nats a token.
#[derive(Debug, Serialize)]
struct Trained {
    iterations: u64,
    val_loss: f64,
}

impl DemoReport {
    fn of(out: &Path, store: &Store, plan: &Plan) -> Result<Self, Failure> {
        let object = |name: &str| {
            let found = plan.steps.iter().find(|step: &&Planned| step.name == name);
            found.map(|step| store.object(&step.object))
        };
        let manifest =
            |root: &Path| Manifest::read(root).map_err(|wrong| Failure::new(Kind::Failed, &wrong));
        let rows = |root: Option<PathBuf>| -> Result<Option<Rows>, Failure> {
            root.map(|root| Ok(Rows::of(&manifest(&root)?))).transpose()
        };
        let tokens = object("tokens").unwrap_or_default();
        let kept = |step: &'static str| {
            let prepared = Prepared::read(&object(step)?).ok()??;
            Some(RowCounts { step, rows: prepared.totals.rows, kept: prepared.totals.kept })
        };
        let mixed = object("mixed").map(|root| -> Result<BinsSummary, Failure> {
            Ok(BinsSummary::of(&out.join("mixed"), &manifest(&root)?, None))
        });
        Ok(Self {
            out: out.to_owned(),
            tokens: BinsSummary::of(&out.join("tokens"), &manifest(&tokens)?, None),
            packed: rows(object("packed"))?,
            questions: rows(object("questions"))?,
            prepared: PREPARING.into_iter().filter_map(kept).collect(),
            mixed: mixed.transpose()?,
            model: object("model").and_then(|root| Trained::read(&root.join("metrics.jsonl"))),
            answers: object("answers").zip(object("scores")).and_then(Answers::read),
        })
    }
}

impl Rows {
    fn of(manifest: &Manifest) -> Self {
        let packs = manifest.splits.values().filter_map(|split| match split {
            SplitRecord::Pack(pack) => Some(pack),
            _ => None,
        });
        let (mut rows, mut tokens, mut room, mut row_len) = (0, 0, 0, 0);
        for pack in packs {
            rows += pack.rows;
            tokens += pack.tokens;
            room += pack.rows * u64::from(pack.row_len);
            row_len = pack.row_len;
        }
        Self {
            count: rows,
            row_len,
            fill: if room == 0 { 1.0 } else { tokens as f64 / room as f64 },
        }
    }
}

impl Answers {
    /// Reads the first prediction, and the scores.
    fn read((answers, scores): (PathBuf, PathBuf)) -> Option<Self> {
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        let predictions = fs::read_to_string(answers.join("exam.jsonl")).ok()?;
        let first = value(predictions.lines().next()?)?.get("pred")?.as_str()?.to_owned();
        let scores = value(&fs::read_to_string(scores.join("scores.json")).ok()?)?;
        let file = scores.get(0)?;
        let means = file.get("scores")?.as_object()?;
        let means = means.iter().filter_map(|(name, mean)| Some((name.clone(), mean.as_f64()?)));
        Some(Self { rows: file.get("rows")?.as_u64()?, first, scores: means.collect() })
    }
}

impl Trained {
    /// Reads the last validation from a run's metrics.
    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let mut validated = lines.filter_map(|line: serde_json::Value| {
            let val_loss = line.get("val_loss")?.as_f64()?;
            Some(Self { iterations: line.get("iteration")?.as_u64()?, val_loss })
        });
        validated.next_back()
    }
}

impl fmt::Display for DemoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = |rows: &Rows| {
            let (count, len) = (grouped(rows.count), rows.row_len);
            format!("{count} rows of {len} tokens, {:.2}% full", rows.fill * 100.0)
        };
        let path = |step: &str| self.out.join(step);
        writeln!(f, "{}\n", self.tokens)?;
        writeln!(f, "sample     {}", path("sample").display())?;
        writeln!(f, "tokens     {}", path("tokens").display())?;
        if let Some(packed) = &self.packed {
            writeln!(f, "packed     {}  {}", path("packed").display(), rows(packed))?;
        }
        if let Some(questions) = &self.questions {
            writeln!(f, "questions  {}  {}", path("questions").display(), rows(questions))?;
        }
        for RowCounts { step, rows, kept } in &self.prepared {
            let (path, rows, kept) = (path(step), grouped(*rows), grouped(*kept));
            writeln!(
                f,
                "{step:<10} {}  {kept} of {rows} rows, {}.html",
                path.display(),
                path.display()
            )?;
        }
        if let Some(mixed) = &self.mixed {
            let (path, tokens) = (path("mixed"), grouped(mixed.tokens()));
            writeln!(f, "mixed      {}  {tokens} tokens, {}.html", path.display(), path.display())?;
        }
        if let Some(model) = &self.model {
            let (path, Trained { iterations, val_loss }) = (path("model"), model);
            let place = path.display();
            writeln!(
                f,
                "model      {place}  {val_loss:.2} nats a token after {iterations} iterations"
            )?;
            writeln!(f, "its curve  {}", path.join("loss.svg").display())?;
        }
        if let Some(Answers { rows, first, scores }) = &self.answers {
            let first = first.trim();
            writeln!(f, "answers    {}  {rows}, the first `{first}`", path("answers").display())?;
            let scores: Vec<String> =
                scores.iter().map(|(name, mean)| format!("{name} {mean:.2}")).collect();
            writeln!(f, "scores     {}  {}", path("scores").display(), scores.join(", "))?;
        }
        let bin = path("tokens").join("shards/demo-train-000_00000.bin");
        write!(f, "read them  np.memmap(\"{}\", dtype=np.uint16)", bin.display())
    }
}
