//! The pipeline file: layered TOML, checked key by key, so that each mistake has a line.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::ops::Index;
use std::path::{Path, PathBuf};

use ratdata_schemas::PlainName;
use ratdata_schemas::layered::{nearest, overlay, parse_set, read_embedded, read_layers};
use serde_json::{Map, Value};
use toml::Table;

use super::arguments::{BadValue, arguments, check};
use super::embedded::{embedded, embedded_names};
use super::error::PipelineError;
use super::kubernetes_settings::KubernetesSettings;
use super::outputs;
use super::place::place_of;
use super::ray_settings::RaySettings;
use super::sections::{SectionReader, unknown};
use super::settings::SlurmSettings;
use super::step::{Step, StepId, reference, texts};
use super::step_key::{Key, Role};
use super::step_kind::{StepKind, key as keys};

/// Keys that every step takes, whatever its kind.
const OF_ALL: [&str; 4] = ["kind", "memory_gb", "publish", "threads"];

/// What names a step's own folder in the words of a program.
const OUT: &str = "out";

/// A pipeline as it was written, checked and with its layers joined.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    pub(crate) path: PathBuf,
    /// What tells it from all others: its name where it is compiled in, else its whole path.
    pub(crate) identity: PathBuf,
    /// The folder that paths are relative to, and that steps run in.
    pub(crate) base: PathBuf,
    /// Where results are kept, unless the user says where.
    pub(crate) store: PathBuf,
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) memory_gb: Option<f64>,
    pub(crate) slurm: SlurmSettings,
    pub(crate) kubernetes: KubernetesSettings,
    pub(crate) ray: RaySettings,
    pub(crate) steps: Vec<Step>,
    /// All layers as one table, as a run keeps it.
    pub(crate) resolved: Table,
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
        // A folder that happens to have the name hides no pipeline.
        let built_in = embedded(&path.to_string_lossy()).filter(|_| !path.is_file());
        let mut table = match built_in {
            Some(text) => read_embedded(&path.to_string_lossy(), text, &embedded)?,
            None if !path.exists() => {
                let known = embedded_names();
                return Err(PipelineError::NoPipeline { path: path.to_owned(), known });
            }
            None => read_layers(path, &embedded)?,
        };
        // Only `--set` can name a step that no file has.
        let written = (!sets.is_empty()).then(|| names_of(&table));
        for set in sets {
            overlay(&mut table, parse_set(set)?);
        }
        let top = ["executor", "resources", "steps", "store"];
        if let Some(key) = table.keys().find(|key| !top.contains(&key.as_str())) {
            return Err(unknown(path, &[key], "the pipeline", &top));
        }
        let sections = SectionReader { path };
        let reader = StepReader::new(path, ours);
        let resources = sections.resources(&table)?;
        let slurm = sections.slurm(&table)?;
        let kubernetes = sections.kubernetes(&table)?;
        let ray = sections.ray(&table)?;
        let store: Option<PathBuf> = sections.read(&table, &[], "store", "expected a path")?;
        let tables = steps_of(path, &table)?;
        if let Some(written) = &written
            && let Some((name, _)) = tables
                .iter()
                .find(|(name, step)| !written.contains(**name) && !step.contains_key("kind"))
        {
            return Err(no_step(path, name, written.iter().map(String::as_str)));
        }
        let io = |source| PipelineError::Io { path: path.to_owned(), source };
        let folder = path.parent().filter(|_| built_in.is_none()).unwrap_or(Path::new(""));
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let base = folder.canonicalize().map_err(io)?;
        let identity = if built_in.is_some() { None } else { path.canonicalize().ok() };
        let steps = reader.read(&tables)?;
        outputs::check(path, &base, &steps)?;
        Ok(Self {
            path: path.to_owned(),
            identity: identity.unwrap_or_else(|| path.to_owned()),
            store: base.join(store.unwrap_or_else(|| PathBuf::from(".ratdata/store"))),
            base,
            threads: resources.threads,
            memory_gb: resources.memory_gb,
            slurm,
            kubernetes,
            ray,
            steps,
            resolved: table,
        })
    }

    /// Returns the number of the step called `name`.
    pub(crate) fn step(&self, name: &str) -> Result<StepId, PipelineError> {
        let found = self.steps.binary_search_by(|step| step.name.as_str().cmp(name));
        found.map(StepId).map_err(|_| {
            no_step(&self.path, name, self.steps.iter().map(|step| step.name.as_str()))
        })
    }
}

impl Index<StepId> for Pipeline {
    type Output = Step;

    fn index(&self, StepId(number): StepId) -> &Step {
        &self.steps[number]
    }
}

/// Reads the steps of one pipeline.
struct StepReader<'a> {
    path: &'a Path,
    ours: clap::Command,
    /// Command lines that were found good; steps that differ in their inputs alone share one.
    good: HashSet<Vec<String>>,
}

impl<'a> StepReader<'a> {
    fn new(path: &'a Path, ours: clap::Command) -> Self {
        Self { path, ours, good: HashSet::new() }
    }

    fn read(mut self, tables: &BTreeMap<&str, &Table>) -> Result<Vec<Step>, PipelineError> {
        let mut steps = Vec::with_capacity(tables.len());
        for (name, table) in tables {
            steps.push(self.step(name, table)?);
        }
        let numbers: HashMap<&str, StepId> =
            tables.keys().copied().zip((0..).map(StepId)).collect();
        for step in &mut steps {
            step.inputs = self.inputs(step, &numbers)?;
        }
        Ok(steps)
    }

    fn step(&mut self, name: &str, table: &Table) -> Result<Step, PipelineError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name == OUT || !name.chars().all(plain) {
            let wrong = "expected letters, digits, `-` and `_`, and another name than `out`";
            return Err(self.value(name, "", wrong.into()));
        }
        // Logs, scripts and links are called after the step.
        PlainName::new(name).map_err(|wrong| self.value(name, "", wrong.to_string()))?;
        let kind = self.kind(name, table)?;
        let (mut config, mut knobs) = (Map::new(), Map::new());
        for (key, given) in table.iter().filter(|(key, _)| !OF_ALL.contains(&key.as_str())) {
            let Some(found) = kind.key(key) else {
                let own = kind.keys().iter().map(|key| key.name);
                let known: Vec<&str> = own.chain(OF_ALL).collect();
                let shown = format!("step `{name}` of kind `{kind}`");
                return Err(unknown(self.path, &["steps", name, key], &shown, &known));
            };
            let given = serde_json::to_value(given)
                .map_err(|wrong| self.value(name, key, wrong.to_string()))?;
            if found.role == Role::Speed { &mut knobs } else { &mut config }
                .insert(key.clone(), given);
        }
        self.check(name, kind, &config, &knobs)?;
        let (sections, keys) = (SectionReader { path: self.path }, ["steps", name]);
        Ok(Step {
            name: name.to_owned(),
            kind,
            config,
            knobs,
            threads: sections.threads(table, &keys)?,
            memory_gb: sections.memory(table, &keys)?.unwrap_or(0.0),
            publish: sections.read(table, &keys, "publish", "expected a path")?,
            inputs: Vec::new(),
        })
    }

    /// Returns the kind that a step says it is of.
    fn kind(&self, name: &str, table: &Table) -> Result<StepKind, PipelineError> {
        let known = || StepKind::all().iter().map(|kind| kind.name());
        let place = || place_of(self.path, &["steps", name, "kind"]);
        let Some(wanted) = table.get("kind") else {
            let known = known().collect::<Vec<_>>().join(", ");
            return Err(PipelineError::NoKind { place: place(), step: name.to_owned(), known });
        };
        let Some(wanted) = wanted.as_str() else {
            return Err(self.value(name, "kind", format!("found {wanted}, expected a text")));
        };
        StepKind::all().iter().copied().find(|kind| kind.name() == wanted).ok_or_else(|| {
            PipelineError::UnknownKind {
                place: place(),
                step: name.to_owned(),
                kind: wanted.to_owned(),
                nearest: nearest(wanted, known()).map(Into::into),
                known: known().collect::<Vec<_>>().join(", "),
            }
        })
    }

    /// Reads the values as the command line would.
    fn check(
        &mut self,
        name: &str,
        kind: StepKind,
        config: &Map<String, Value>,
        knobs: &Map<String, Value>,
    ) -> Result<(), PipelineError> {
        let wrong = |bad: BadValue| self.value(name, &bad.key, bad.wrong);
        // Any path will do for one, so steps over many files are read once.
        let path = |key: &Key| key.role.is_path() && !key.role.has_names();
        let mut all = Map::new();
        for (key, value) in config.iter().chain(knobs) {
            if kind == StepKind::Command && !fits(key, value) {
                let expected = if key == keys::ENV { "a table" } else { "a list" };
                let found = format!("found {value}, expected {expected} of texts");
                return Err(wrong(BadValue::new(key, found)));
            }
            let found = kind.key(key);
            if let (Some(Role::Task), Value::String(text)) = (found.map(|key| key.role), value)
                && !Role::Task.is_name(text)
            {
                return Err(PipelineError::UnknownName {
                    place: place_of(self.path, &["steps", name, key]),
                    step: name.to_owned(),
                    key: key.clone(),
                    name: text.clone(),
                    nearest: Role::Task.nearest(text).map(Into::into),
                });
            }
            let value = match value {
                Value::String(_) if found.is_some_and(path) => Value::from("x"),
                value => value.clone(),
            };
            all.insert(key.clone(), value);
        }
        let arguments = arguments(kind, &all, &|text| text.to_owned()).map_err(wrong)?;
        if !self.good.contains(&arguments) {
            check(kind, &self.ours, &arguments).map_err(wrong)?;
            self.good.insert(arguments);
        }
        Ok(())
    }

    fn inputs(
        &self,
        step: &Step,
        numbers: &HashMap<&str, StepId>,
    ) -> Result<Vec<StepId>, PipelineError> {
        let mut found = BTreeSet::new();
        let (mut missing, mut outside) = (None, None);
        texts(&step.config, &mut |key, text| {
            let Some((_, wanted, after)) = reference(text) else { return };
            if !after.is_empty() && outputs::inside(Path::new(&after[1..])).is_none() {
                outside = outside.or(Some((key, text)));
            }
            match numbers.get(wanted) {
                Some(number) => drop(found.insert(*number)),
                None if wanted == OUT && step.kind == StepKind::Command => {}
                None => missing = missing.or(Some((key, wanted))),
            }
        });
        if let Some((key, text)) = outside {
            let wrong = format!("found `{text}`, expected a path in the step's own folder");
            return Err(self.value(&step.name, key, wrong));
        }
        match missing {
            None => Ok(found.into_iter().collect()),
            Some((key, wanted)) => Err(PipelineError::UnknownStep {
                place: place_of(self.path, &["steps", &step.name, key]),
                step: step.name.clone(),
                wanted: wanted.to_owned(),
                nearest: nearest(wanted, numbers.keys().copied()).map(Into::into),
                known: some_of(numbers.keys().copied().collect::<BTreeSet<_>>().into_iter()),
            }),
        }
    }

    fn value(&self, step: &str, key: &str, wrong: String) -> PipelineError {
        PipelineError::Value {
            place: place_of(self.path, &["steps", step, key]),
            table: format!("step `{step}`"),
            key: if key.is_empty() { step } else { key }.to_owned(),
            wrong,
        }
    }
}

/// Returns whether a value is what a key of a `command` step holds: `env` a table, all others a list,
/// of texts or, in `env`, of plain values.
fn fits(key: &str, value: &Value) -> bool {
    match (key, value) {
        (keys::ENV, Value::Object(values)) => {
            values.values().all(|value| !value.is_array() && !value.is_object())
        }
        (keys::ENV, _) => false,
        (_, Value::Array(values)) => values.iter().all(Value::is_string),
        _ => false,
    }
}

/// Returns the steps' tables by name, without copies: there may be a great many.
fn steps_of<'a>(
    path: &Path,
    table: &'a Table,
) -> Result<BTreeMap<&'a str, &'a Table>, PipelineError> {
    let wrong = |keys: &[&str], table: &str, found: &toml::Value| PipelineError::Value {
        place: place_of(path, keys),
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

/// Returns the names of a pipeline's steps, whatever they are.
fn names_of(table: &Table) -> BTreeSet<String> {
    let steps = table.get("steps").and_then(toml::Value::as_table);
    steps.into_iter().flat_map(Table::keys).cloned().collect()
}

/// Tells that no step is called `wanted`, and which are.
fn no_step<'a>(
    path: &Path,
    wanted: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> PipelineError {
    PipelineError::NoStep {
        path: path.to_owned(),
        wanted: wanted.to_owned(),
        nearest: nearest(wanted, names.clone()).map(Into::into),
        known: some_of(names),
    }
}

/// Lists names, the first of them where there are many.
fn some_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 12;
    let mut names: Vec<&str> = names.take(MOST + 1).collect();
    if names.len() > MOST {
        names[MOST] = "…";
    }
    names.join(", ")
}
