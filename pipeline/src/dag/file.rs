//! The pipeline file: layered TOML, checked key by key, so that each mistake has a line.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use ratdata_schemas::layered::{nearest, overlay, parse_set, read_embedded, read_layers};
use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Table;

use super::error::PipelineError;
use super::kinds::{self, Kind};
use super::place::Place;
use super::settings::SlurmSettings;

/// Keys that every step takes, whatever its kind.
const OF_ALL: [&str; 4] = ["kind", "memory_gb", "publish", "threads"];

/// The pipelines that are compiled in.
const EMBEDDED: [(&str, &str); 3] = [
    ("fineweb_edu", include_str!("../../../configs/pipeline/fineweb_edu.toml")),
    ("sft_narrativeqa", include_str!("../../../configs/pipeline/sft_narrativeqa.toml")),
    ("tiny", include_str!("../../../configs/pipeline/tiny.toml")),
];

/// What names a step's own folder in the words of a program.
const OUT: &str = "out";

/// Returns the text of the pipeline called `name` that is compiled in.
pub(crate) fn embedded(name: &str) -> Option<&'static str> {
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// A pipeline as it was written, checked and with its layers joined.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    pub(crate) path: PathBuf,
    /// The folder that paths are relative to, and that steps run in.
    pub(crate) base: PathBuf,
    /// Where results are kept, unless the user says where.
    pub(crate) store: PathBuf,
    pub(crate) threads: Option<usize>,
    pub(crate) memory_gb: Option<f64>,
    pub(crate) slurm: SlurmSettings,
    pub(crate) steps: Vec<Step>,
    /// All layers as one table, as a run keeps it.
    pub(crate) resolved: Table,
}

/// One step, by name.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) kind: std::sync::Arc<Kind>,
    /// What decides the bytes.
    pub(crate) config: Map<String, Value>,
    /// What does not.
    pub(crate) knobs: Map<String, Value>,
    pub(crate) threads: Option<usize>,
    pub(crate) memory_gb: f64,
    /// Where a link to the result is put.
    pub(crate) publish: Option<PathBuf>,
    /// Numbers of the steps it takes, ascending.
    pub(crate) inputs: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Executor {
    #[serde(default)]
    slurm: SlurmSettings,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resources {
    threads: Option<usize>,
    memory_gb: Option<f64>,
}

impl Pipeline {
    /// Reads a pipeline, what it extends, and the values of `--set` on top; `ours` are the commands
    /// that steps can be.
    ///
    /// # Errors
    ///
    /// See [`PipelineError`]; the first mistake in the order of the steps' names.
    pub(crate) fn read(
        path: &Path,
        sets: &[String],
        ours: clap::Command,
    ) -> Result<Self, PipelineError> {
        let built_in = embedded(&path.to_string_lossy()).filter(|_| !path.exists());
        let mut table = match built_in {
            Some(text) => read_embedded(&path.to_string_lossy(), text, &embedded)?,
            None if !path.exists() => {
                let known: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
                let known = known.join(", ");
                return Err(PipelineError::NoPipeline { path: path.to_owned(), known });
            }
            None => read_layers(path, &embedded)?,
        };
        for set in sets {
            overlay(&mut table, parse_set(set)?);
        }
        let top = ["executor", "resources", "steps", "store"];
        if let Some(key) = table.keys().find(|key| !top.contains(&key.as_str())) {
            return Err(unknown(path, &[key], "the pipeline", &top));
        }
        check_settings(path, &table, &ours)?;
        let resources: Resources = section(path, &table, "resources")?.unwrap_or_default();
        let executor: Option<Executor> = section(path, &table, "executor")?;
        let store: Option<PathBuf> = section(path, &table, "store")?;
        let tables = steps_of(path, &table)?;
        let io = |source| PipelineError::Io { path: path.to_owned(), source };
        let folder = path.parent().filter(|_| built_in.is_none()).unwrap_or(Path::new(""));
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let base = folder.canonicalize().map_err(io)?;
        let slurm = executor.map(|executor| executor.slurm).unwrap_or_default();
        Ok(Self {
            path: path.to_owned(),
            store: base.join(store.unwrap_or_else(|| PathBuf::from(".ratdata/store"))),
            base,
            threads: resources.threads,
            memory_gb: resources.memory_gb,
            slurm,
            steps: StepReader::new(path, ours).read(&tables)?,
            resolved: table,
        })
    }

    /// Returns the number of the step called `name`.
    pub(crate) fn step(&self, name: &str) -> Result<usize, PipelineError> {
        self.steps.binary_search_by(|step| step.name.as_str().cmp(name)).map_err(|_| {
            let names = self.steps.iter().map(|step| step.name.as_str());
            PipelineError::NoStep {
                path: self.path.clone(),
                wanted: name.to_owned(),
                nearest: nearest(name, names).map(Into::into),
            }
        })
    }
}

/// Reads the steps of one pipeline.
struct StepReader<'a> {
    path: &'a Path,
    kinds: Vec<std::sync::Arc<Kind>>,
    ours: clap::Command,
    /// Command lines that were found good; steps that differ in their inputs alone share one.
    good: HashSet<Vec<String>>,
}

impl<'a> StepReader<'a> {
    fn new(path: &'a Path, ours: clap::Command) -> Self {
        let kinds = kinds::all(&ours).into_iter().map(std::sync::Arc::new).collect();
        Self { path, kinds, ours, good: HashSet::new() }
    }

    fn read(mut self, tables: &BTreeMap<&str, &Table>) -> Result<Vec<Step>, PipelineError> {
        let mut steps = Vec::with_capacity(tables.len());
        for (name, table) in tables {
            steps.push(self.step(name, table)?);
        }
        let numbers: HashMap<&str, usize> = tables.keys().copied().zip(0..).collect();
        for step in &mut steps {
            step.inputs = self.inputs(step, &numbers)?;
        }
        self.check_outputs(&steps)?;
        Ok(steps)
    }

    fn step(&mut self, name: &str, table: &Table) -> Result<Step, PipelineError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name == OUT || !name.chars().all(plain) {
            let wrong = "expected letters, digits, `-` and `_`, and another name than `out`";
            return Err(self.value(name, "", wrong.into()));
        }
        let wanted = table.get("kind").and_then(toml::Value::as_str).unwrap_or_default();
        let Some(kind) = self.kinds.iter().find(|known| known.name == wanted).cloned() else {
            let known: Vec<&str> = self.kinds.iter().map(|kind| kind.name).collect();
            return Err(PipelineError::UnknownKind {
                place: Place::of(self.path, &["steps", name, "kind"]),
                step: name.to_owned(),
                kind: wanted.to_owned(),
                nearest: nearest(wanted, known.iter().copied()).map(Into::into),
                known: known.join(", "),
            });
        };
        let (mut config, mut knobs) = (Map::new(), Map::new());
        for (key, given) in table.iter().filter(|(key, _)| !OF_ALL.contains(&key.as_str())) {
            let Some(found) = kind.key(key) else {
                let own = kind.keys.iter().map(|key| key.name.as_str());
                let known: Vec<&str> = own.chain(OF_ALL).collect();
                let shown = format!("step `{name}` of kind `{}`", kind.name);
                return Err(unknown(self.path, &["steps", name, key], &shown, &known));
            };
            let given = serde_json::to_value(given)
                .map_err(|wrong| self.value(name, key, wrong.to_string()))?;
            if found.is_knob() { &mut knobs } else { &mut config }.insert(key.clone(), given);
        }
        self.check(name, &kind, &config, &knobs)?;
        Ok(Step {
            name: name.to_owned(),
            kind,
            config,
            knobs,
            threads: self.of_all(name, table, "threads", "expected a whole number")?,
            memory_gb: match table.get("memory_gb") {
                Some(toml::Value::Integer(whole)) => *whole as f64,
                _ => self.of_all(name, table, "memory_gb", "expected a number")?.unwrap_or(0.0),
            },
            publish: self.of_all(name, table, "publish", "expected a path")?,
            inputs: Vec::new(),
        })
    }

    /// Reads a key that steps of all kinds take.
    fn of_all<T: for<'de> Deserialize<'de>>(
        &self,
        name: &str,
        table: &Table,
        key: &str,
        expected: &str,
    ) -> Result<Option<T>, PipelineError> {
        let value = table.get(key).cloned().map(toml::Value::try_into).transpose();
        value.map_err(|_| self.value(name, key, expected.into()))
    }

    /// Reads the values as the command line would.
    fn check(
        &mut self,
        name: &str,
        kind: &Kind,
        config: &Map<String, Value>,
        knobs: &Map<String, Value>,
    ) -> Result<(), PipelineError> {
        let wrong = |(key, wrong): kinds::Wrong| self.value(name, &key, wrong);
        // Any path will do for one, so steps over many files are read once.
        let path = |key: &str| kind.key(key).is_some_and(|key| key.path && !key.maybe);
        let mut all = Map::new();
        for (key, value) in config.iter().chain(knobs) {
            let value = match value {
                Value::String(_) if path(key) => Value::from("x"),
                value => value.clone(),
            };
            all.insert(key.clone(), value);
        }
        let arguments = kind.arguments(&all, &|text| text.to_owned()).map_err(wrong)?;
        if !self.good.contains(&arguments) {
            kind.check(&self.ours, &arguments).map_err(wrong)?;
            self.good.insert(arguments);
        }
        Ok(())
    }

    fn inputs(
        &self,
        step: &Step,
        numbers: &HashMap<&str, usize>,
    ) -> Result<Vec<usize>, PipelineError> {
        let mut found = BTreeSet::new();
        let mut missing = None;
        texts(&step.config, &mut |key, text| {
            let Some((_, wanted, _)) = reference(text) else { return };
            match numbers.get(wanted) {
                Some(number) => drop(found.insert(*number)),
                None if wanted == OUT && step.kind.name == kinds::COMMAND => {}
                None => missing = missing.or(Some((key, wanted))),
            }
        });
        match missing {
            None => Ok(found.into_iter().collect()),
            Some((key, wanted)) => Err(PipelineError::UnknownStep {
                place: Place::of(self.path, &["steps", &step.name, key]),
                step: step.name.clone(),
                wanted: wanted.to_owned(),
                nearest: nearest(wanted, numbers.keys().copied()).map(Into::into),
            }),
        }
    }

    fn check_outputs(&self, steps: &[Step]) -> Result<(), PipelineError> {
        let mut seen: HashMap<PathBuf, &str> = HashMap::new();
        for step in steps {
            let mut refuse = |key: &str, output: PathBuf, shown: &str| {
                seen.insert(output, &step.name).map_or(Ok(()), |first| {
                    Err(PipelineError::DuplicateOutput {
                        place: Place::of(self.path, &["steps", &step.name, key]),
                        first: first.to_owned(),
                        second: step.name.clone(),
                        output: shown.to_owned(),
                    })
                })
            };
            if let Some(path) = &step.publish {
                refuse("publish", plain(path), &path.display().to_string())?;
            }
            for output in step.outputs() {
                let shown = format!("@{}/{output}", step.name);
                refuse("outputs", plain(Path::new(&shown)), &shown)?;
            }
        }
        Ok(())
    }

    fn value(&self, step: &str, key: &str, wrong: String) -> PipelineError {
        PipelineError::Value {
            place: Place::of(self.path, &["steps", step, key]),
            table: format!("step `{step}`"),
            key: if key.is_empty() { step } else { key }.to_owned(),
            wrong,
        }
    }
}

impl Step {
    /// Returns the files that a program promises.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = &str> {
        let outputs = self.config.get("outputs").filter(|_| self.kind.name == kinds::COMMAND);
        outputs.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }
}

/// Returns a path without its `.`s, so that `./a/./b` is `a/b`.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// Splits a text that names a step's result, `@STEP/REST` or `KEY=@STEP/REST`, at the name.
pub(crate) fn reference(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = if let Some(rest) = text.strip_prefix('@') {
        ("", rest)
    } else {
        let at = text.find("=@")?;
        (&text[..=at], &text[at + 2..])
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!name.is_empty() && name.chars().all(plain)).then_some((before, name, after))
}

/// Calls `each` with every text of a config and the key it is under.
pub(crate) fn texts<'a>(config: &'a Map<String, Value>, each: &mut dyn FnMut(&'a str, &'a str)) {
    fn walk<'a>(key: &'a str, value: &'a Value, each: &mut dyn FnMut(&'a str, &'a str)) {
        match value {
            Value::String(text) => each(key, text),
            Value::Array(values) => values.iter().for_each(|value| walk(key, value, each)),
            Value::Object(values) => values.values().for_each(|value| walk(key, value, each)),
            _ => {}
        }
    }
    config.iter().for_each(|(key, value)| walk(key, value, each));
}

/// Returns the steps' tables by name, as they lie: there may be a great many.
fn steps_of<'a>(
    path: &Path,
    table: &'a Table,
) -> Result<BTreeMap<&'a str, &'a Table>, PipelineError> {
    let wrong = |keys: &[&str], table: &str, found: &toml::Value| PipelineError::Value {
        place: Place::of(path, keys),
        table: table.into(),
        key: keys.last().copied().unwrap_or_default().to_owned(),
        wrong: format!("found {}, expected a table", found.type_str()),
    };
    let Some(steps) = table.get("steps") else { return Ok(BTreeMap::new()) };
    let tables = steps.as_table().ok_or_else(|| wrong(&["steps"], "the pipeline", steps))?;
    let step = |(name, step): (&'a String, &'a toml::Value)| {
        let table = step.as_table().ok_or_else(|| wrong(&["steps", name], "the steps", step))?;
        Ok((name.as_str(), table))
    };
    tables.iter().map(step).collect()
}

/// Checks the names in `[resources]` and `[executor]`, so that each wrong one has its own line.
fn check_settings(path: &Path, table: &Table, ours: &clap::Command) -> Result<(), PipelineError> {
    let kinds = kinds::all(ours);
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    // A kind has no kinds of its own.
    let of_kind = SlurmSettings::KEYS.split_last().map_or(&[][..], |(_, own)| own);
    let mut known: Vec<(Vec<&str>, &[&str])> = vec![
        (vec!["resources"], &["memory_gb", "threads"][..]),
        (vec!["executor"], &["slurm"][..]),
        (vec!["executor", "slurm"], &SlurmSettings::KEYS[..]),
        (vec!["executor", "slurm", "kinds"], &kinds[..]),
    ];
    known.extend(kinds.iter().map(|kind| (vec!["executor", "slurm", "kinds", *kind], of_kind)));
    for (keys, known) in known {
        let mut found = Some(table);
        for key in &keys {
            found = found.and_then(|table| table.get(*key)?.as_table());
        }
        let mut wrong = found.into_iter().flat_map(Table::keys);
        if let Some(key) = wrong.find(|key| !known.contains(&key.as_str())) {
            let shown = format!("`{}`", keys.join("."));
            let place = [&keys[..], &[key.as_str()]].concat();
            return Err(unknown(path, &place, &shown, known));
        }
    }
    Ok(())
}

fn section<T: for<'de> Deserialize<'de>>(
    path: &Path,
    table: &Table,
    key: &str,
) -> Result<Option<T>, PipelineError> {
    table.get(key).cloned().map(toml::Value::try_into).transpose().map_err(|wrong| {
        PipelineError::Value {
            place: Place::of(path, &[key]),
            table: "the pipeline".into(),
            key: key.to_owned(),
            wrong: wrong.to_string().trim().replace('\n', " "),
        }
    })
}

fn unknown(path: &Path, keys: &[&str], table: &str, known: &[&str]) -> PipelineError {
    let key = keys.last().copied().unwrap_or_default();
    PipelineError::UnknownKey {
        place: Place::of(path, keys),
        table: table.to_owned(),
        key: key.to_owned(),
        nearest: nearest(key, known.iter().copied()).map(Into::into),
        known: known.join(", "),
    }
}
