//! The other tables of a pipeline: `[resources]` and those of `[executor]`, each key with its own line.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;

use ratdata_schemas::layered::nearest;
use serde::Deserialize;
use toml::{Table, Value};

use super::error::PipelineError;
use super::kubernetes_settings::{KubernetesSettings, Volume};
use super::place::place_of;
use super::ray_settings::RaySettings;
use super::settings::SlurmSettings;
use super::step_kind::StepKind;
use crate::number::{self, MOST_THREADS};

/// Keys of `[executor.slurm]`, the last of which holds tables of the same keys.
const SLURM: [&str; 10] =
    ["account", "array", "cpus", "extra", "gres", "mem", "partition", "setup", "time", "kinds"];

/// Keys of `[executor.kubernetes]`, the last of which holds tables of the same keys.
const KUBERNETES: [&str; 9] =
    ["array", "cpus", "gpus", "image", "mem", "namespace", "secret", "volumes", "kinds"];

/// Keys of `[executor.kubernetes.kinds.KIND]`: all Jobs are in one namespace.
const KUBERNETES_KIND: [&str; 7] = ["array", "cpus", "gpus", "image", "mem", "secret", "volumes"];

/// Keys of `[executor.ray]`, the last of which holds tables of the same keys.
const RAY: [&str; 9] =
    ["address", "array", "cpus", "gpus", "mem", "program", "resources", "setup", "kinds"];

/// Keys of `[executor.ray.kinds.KIND]`: all jobs are in one cluster.
const RAY_KIND: [&str; 7] = ["array", "cpus", "gpus", "mem", "program", "resources", "setup"];

/// The tables of executors.
const EXECUTORS: [&str; 3] = ["kubernetes", "ray", "slurm"];

/// `[resources]`: what the steps have together on this machine.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resources {
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) memory_gb: Option<f64>,
}

/// Reads the tables of one pipeline, whose file is named in errors.
#[derive(Clone, Copy)]
pub(crate) struct SectionReader<'a> {
    pub(crate) path: &'a Path,
}

impl SectionReader<'_> {
    /// Reads `[resources]`.
    ///
    /// # Errors
    ///
    /// A key is unknown or its value cannot be read.
    pub(crate) fn resources(self, pipeline: &Table) -> Result<Resources, PipelineError> {
        let keys = ["resources"];
        let Some(table) = self.table(pipeline, &keys)? else { return Ok(Resources::default()) };
        self.known(table, &keys, &["memory_gb", "threads"])?;
        Ok(Resources {
            threads: self.threads(table, &keys)?,
            memory_gb: match self.memory(table, &keys)? {
                Some(0.0) => return Err(self.value(&keys, "memory_gb", MEMORY.into())),
                memory => memory,
            },
        })
    }

    /// Reads `[executor.slurm]`.
    ///
    /// # Errors
    ///
    /// A key or a kind is unknown, or a value cannot be read.
    pub(crate) fn slurm(self, pipeline: &Table) -> Result<SlurmSettings, PipelineError> {
        let Some(table) = self.executor(pipeline, "slurm")? else {
            return Ok(SlurmSettings::default());
        };
        let mut settings = self.settings(table, &["executor", "slurm"], &SLURM)?;
        let known = &SLURM[..SLURM.len() - 1];
        settings.kinds = self.kinds(table, "slurm", |own, keys| self.settings(own, keys, known))?;
        Ok(settings)
    }

    /// Reads `[executor.kubernetes]`.
    ///
    /// # Errors
    ///
    /// As of [`SectionReader::slurm`].
    pub(crate) fn kubernetes(self, pipeline: &Table) -> Result<KubernetesSettings, PipelineError> {
        let Some(table) = self.executor(pipeline, "kubernetes")? else {
            return Ok(KubernetesSettings::default());
        };
        let keys = ["executor", "kubernetes"];
        let mut settings = self.kubernetes_settings(table, &keys, &KUBERNETES)?;
        settings.kinds = self.kinds(table, "kubernetes", |own, keys| {
            self.kubernetes_settings(own, keys, &KUBERNETES_KIND)
        })?;
        Ok(settings)
    }

    /// Reads `[executor.ray]`.
    ///
    /// # Errors
    ///
    /// As of [`SectionReader::slurm`].
    pub(crate) fn ray(self, pipeline: &Table) -> Result<RaySettings, PipelineError> {
        let Some(table) = self.executor(pipeline, "ray")? else {
            return Ok(RaySettings::default());
        };
        let mut settings = self.ray_settings(table, &["executor", "ray"], &RAY)?;
        settings.kinds =
            self.kinds(table, "ray", |own, keys| self.ray_settings(own, keys, &RAY_KIND))?;
        Ok(settings)
    }

    /// Returns the table of one executor.
    fn executor<'t>(
        self,
        pipeline: &'t Table,
        name: &str,
    ) -> Result<Option<&'t Table>, PipelineError> {
        let Some(executor) = self.table(pipeline, &["executor"])? else { return Ok(None) };
        self.known(executor, &["executor"], &EXECUTORS)?;
        self.table(executor, &["executor", name])
    }

    /// Reads the tables of an executor that are for one kind of step each.
    fn kinds<T>(
        self,
        executor: &Table,
        name: &str,
        read: impl Fn(&Table, &[&str]) -> Result<T, PipelineError>,
    ) -> Result<BTreeMap<StepKind, T>, PipelineError> {
        let keys = ["executor", name, "kinds"];
        let Some(table) = self.table(executor, &keys)? else { return Ok(BTreeMap::new()) };
        let kinds: Vec<&str> = StepKind::all().iter().map(|kind| kind.name()).collect();
        self.known(table, &keys, &kinds)?;
        let mut found = BTreeMap::new();
        for &kind in StepKind::all() {
            let keys = ["executor", name, "kinds", kind.name()];
            if let Some(own) = self.table(table, &keys)? {
                found.insert(kind, read(own, &keys)?);
            }
        }
        Ok(found)
    }

    fn ray_settings(
        self,
        table: &Table,
        keys: &[&str],
        known: &[&str],
    ) -> Result<RaySettings, PipelineError> {
        self.known(table, keys, known)?;
        let text = |key| self.read(table, keys, key, "expected a text");
        let count = |key| -> Result<Option<usize>, PipelineError> {
            Ok(self.read(table, keys, key, COUNT)?.map(NonZeroUsize::get))
        };
        let mem: Option<String> = text("mem")?;
        let mem =
            mem.map(|text| number::memory(&text).map_err(|wrong| self.value(keys, "mem", wrong)));
        let resources: BTreeMap<String, Value> =
            self.read(table, keys, "resources", RESOURCES)?.unwrap_or_default();
        let resource = |(name, value): (String, Value)| {
            let found = format!("found {name} = {value}, {RESOURCES}");
            let amount = amount(&value).ok_or_else(|| self.value(keys, "resources", found));
            amount.map(|amount| (name, amount))
        };
        let gpus = table.get("gpus").map(|value| {
            let wrong = || self.value(keys, "gpus", format!("found {value}, {AMOUNT}"));
            amount(value).ok_or_else(wrong)
        });
        Ok(RaySettings {
            address: text("address")?,
            cpus: count("cpus")?,
            gpus: gpus.transpose()?,
            mem: mem.transpose()?,
            resources: resources.into_iter().map(resource).collect::<Result<_, _>>()?,
            array: count("array")?,
            program: text("program")?,
            setup: self.read(table, keys, "setup", "expected a list of texts")?.unwrap_or_default(),
            kinds: BTreeMap::new(),
        })
    }

    fn kubernetes_settings(
        self,
        table: &Table,
        keys: &[&str],
        known: &[&str],
    ) -> Result<KubernetesSettings, PipelineError> {
        self.known(table, keys, known)?;
        let text = |key| self.read(table, keys, key, "expected a text");
        let count = |key| -> Result<Option<usize>, PipelineError> {
            Ok(self.read(table, keys, key, COUNT)?.map(NonZeroUsize::get))
        };
        let volumes: Vec<String> = self.read(table, keys, "volumes", VOLUMES)?.unwrap_or_default();
        let volume = |text: &String| {
            let wrong = || self.value(keys, "volumes", format!("found \"{text}\", {VOLUMES}"));
            Volume::read(text).ok_or_else(wrong)
        };
        Ok(KubernetesSettings {
            image: text("image")?,
            namespace: text("namespace")?,
            cpus: count("cpus")?,
            mem: text("mem")?,
            gpus: count("gpus")?,
            array: count("array")?,
            volumes: volumes.iter().map(volume).collect::<Result<_, _>>()?,
            secret: text("secret")?,
            kinds: BTreeMap::new(),
        })
    }

    fn settings(
        self,
        table: &Table,
        keys: &[&str],
        known: &[&str],
    ) -> Result<SlurmSettings, PipelineError> {
        self.known(table, keys, known)?;
        let text = |key| self.read(table, keys, key, "expected a text");
        let texts = |key| self.read(table, keys, key, "expected a list of texts");
        let count = |key| -> Result<Option<usize>, PipelineError> {
            Ok(self.read(table, keys, key, COUNT)?.map(NonZeroUsize::get))
        };
        Ok(SlurmSettings {
            partition: text("partition")?,
            account: text("account")?,
            time: text("time")?,
            cpus: count("cpus")?,
            mem: text("mem")?,
            gres: text("gres")?,
            extra: texts("extra")?.unwrap_or_default(),
            setup: texts("setup")?.unwrap_or_default(),
            array: count("array")?,
            kinds: BTreeMap::new(),
        })
    }

    /// Reads `memory_gb`, which is no less than nothing.
    pub(crate) fn memory(self, table: &Table, keys: &[&str]) -> Result<Option<f64>, PipelineError> {
        let memory = match table.get("memory_gb") {
            Some(Value::Integer(whole)) => Some(*whole as f64),
            _ => self.read(table, keys, "memory_gb", MEMORY)?,
        };
        match memory {
            Some(memory) if !(memory.is_finite() && memory >= 0.0) => {
                Err(self.value(keys, "memory_gb", MEMORY.into()))
            }
            memory => Ok(memory),
        }
    }

    /// Reads `threads`, of which there is at least one, and no more than a command starts.
    pub(crate) fn threads(
        self,
        table: &Table,
        keys: &[&str],
    ) -> Result<Option<NonZeroUsize>, PipelineError> {
        let threads: Option<NonZeroUsize> = self.read(table, keys, "threads", COUNT)?;
        if let Some(threads) = threads.filter(|threads| threads.get() > MOST_THREADS) {
            let wrong = format!("found {threads}, {COUNT} to {MOST_THREADS}");
            return Err(self.value(keys, "threads", wrong));
        }
        Ok(threads)
    }

    /// Reads the value of a key of the table at `keys`.
    pub(crate) fn read<T: for<'de> Deserialize<'de>>(
        self,
        table: &Table,
        keys: &[&str],
        key: &str,
        expected: &str,
    ) -> Result<Option<T>, PipelineError> {
        let Some(value) = table.get(key) else { return Ok(None) };
        let wrong = |_| self.value(keys, key, format!("found {value}, {expected}"));
        value.clone().try_into().map(Some).map_err(wrong)
    }

    /// Returns the table at `keys`, whose last one `above` may have.
    fn table<'t>(
        self,
        above: &'t Table,
        keys: &[&str],
    ) -> Result<Option<&'t Table>, PipelineError> {
        let Some((key, outer)) = keys.split_last() else { return Ok(None) };
        match above.get(*key) {
            None => Ok(None),
            Some(Value::Table(table)) => Ok(Some(table)),
            Some(other) => Err(self.value(outer, key, format!("found {other}, expected a table"))),
        }
    }

    fn known(self, table: &Table, keys: &[&str], known: &[&str]) -> Result<(), PipelineError> {
        let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) else {
            return Ok(());
        };
        let shown = format!("`[{}]`", keys.join("."));
        Err(unknown(self.path, &[keys, &[key]].concat(), &shown, known))
    }

    pub(crate) fn value(self, keys: &[&str], key: &str, wrong: String) -> PipelineError {
        PipelineError::Value {
            place: place_of(self.path, &[keys, &[key]].concat()),
            table: match keys {
                [] => "the pipeline".into(),
                ["steps", step] => format!("step `{step}`"),
                keys => format!("`[{}]`", keys.join(".")),
            },
            key: key.to_owned(),
            wrong,
        }
    }
}

/// Reads how much of a resource a job needs, which may be a part of one.
fn amount(value: &Value) -> Option<f64> {
    let amount = match value {
        Value::Integer(whole) => *whole as f64,
        Value::Float(amount) => *amount,
        _ => return None,
    };
    (amount.is_finite() && amount > 0.0).then_some(amount)
}

const COUNT: &str = "expected a whole number from 1";
const VOLUMES: &str = "expected a list of texts such as \"CLAIM:/PATH\"";
const AMOUNT: &str = "expected a number above 0, such as 1 or 0.5";
const RESOURCES: &str = "expected names with numbers above 0, such as { nvme = 1 }";
const MEMORY: &str = "expected a number of gigabytes";

/// Tells that nothing reads the last of `keys`, and which key is near.
pub(crate) fn unknown(path: &Path, keys: &[&str], table: &str, known: &[&str]) -> PipelineError {
    let key = keys.last().copied().unwrap_or_default();
    PipelineError::UnknownKey {
        place: place_of(path, keys),
        table: table.to_owned(),
        key: key.to_owned(),
        nearest: nearest(key, known.iter().copied()).map(Into::into),
        known: known.join(", "),
    }
}
