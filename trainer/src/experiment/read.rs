//! From a name, a file and `--set` to an experiment: layers, unknown keys, values that do not fit.

use std::cell::Cell;
use std::ops::RangeInclusive;
use std::path::Path;

use ratdata_console::{EXPERIMENTS, experiment, experiment_name};
use ratdata_schemas::layered::{LayerError, Layered, nearest, overlay, parse_set};
use ratdata_schemas::{PathError, RelativePath};
use schemars::schema_for;
use serde_json::Value as Schema;
use thiserror::Error;
use toml::{Table, Value};

use super::Experiment;
use super::provenance::Provenance;
use crate::model::ModelConfigError;

/// The file that names a project's experiment when the command line names none.
pub const PROJECT_FILE: &str = "ratdata.toml";

/// Why an experiment was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// A layer cannot be read, or `--set` is none.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// There is no such file, and no experiment of this name.
    #[error("{name}: no such file, and no experiment of this name")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The name that was meant, perhaps.
        nearest: Option<&'static str>,
    },
    /// A key is none that there is.
    #[error("{provenance}: unknown key `{key}`{}", shown(.nearest.as_deref()))]
    Key {
        /// The line, the name, or the `--set` that has it.
        provenance: String,
        /// The key, with the tables above it.
        key: String,
        /// The key that was meant, perhaps.
        nearest: Option<String>,
    },
    /// A value has another type than its key takes, or is missing.
    #[error("{provenance}: {reason}")]
    Value {
        /// The line, the name, or the `--set` that has it.
        provenance: String,
        /// What is wrong.
        reason: String,
    },
    /// The model's numbers do not fit one another.
    #[error("{provenance}: {source}")]
    Model {
        /// The line, the name, or the `--set` that has it.
        provenance: String,
        /// Which of them.
        source: ModelConfigError,
    },
    /// The micro-batches do not fill the batch.
    #[error(
        "{provenance}: `training.global_batch` is {global}, expected a multiple of `training.micro_batch`, {micro}"
    )]
    Batches {
        /// The line, the name, or the `--set` that has it.
        provenance: String,
        /// Sequences in an iteration.
        global: usize,
        /// Sequences that go through the model together.
        micro: usize,
    },
    /// Nothing ends the run.
    #[error(
        "{provenance}: none of `training.iterations`, `training.tokens`, `training.epochs` is given"
    )]
    Endless {
        /// The line, the name, or the `--set` that has it.
        provenance: String,
    },
}

fn shown(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |key| format!(", expected `{key}` perhaps"))
}

impl ExperimentError {
    /// Returns what the user can do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { nearest: Some(name), .. } => Some(format!("did you mean `{name}`?")),
            Self::Unknown { nearest: None, .. } => {
                Some("`ratdata train` without a name lists the experiments".to_owned())
            }
            Self::Model { source, .. } => source.hint().map(str::to_owned),
            Self::Endless { .. } => Some("add `--set training.iterations=N`".to_owned()),
            Self::Key { .. } => Some("docs/training.md lists the keys".to_owned()),
            Self::Layer(_) | Self::Value { .. } | Self::Batches { .. } => None,
        }
    }
}

/// An experiment and what it is called.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedExperiment {
    /// Its name, after which a run's folder is called.
    pub name: RelativePath,
    /// The experiment.
    pub experiment: Experiment,
}

/// Lists the experiments that are compiled in and can be run.
pub fn names() -> impl Iterator<Item = &'static str> {
    EXPERIMENTS.iter().filter(|(_, text)| text.contains("mixers")).map(|(name, _)| *name).chain(
        EXPERIMENTS.iter().filter(|(name, _)| name.starts_with("sft/")).map(|(name, _)| *name),
    )
}

/// Finds an experiment: a TOML file, or the name of one that is compiled in; `--set` lies on top.
///
/// # Errors
/// Returns [`ExperimentError`] where there is none, a key is unknown or a value does not fit.
pub fn find(wanted: &str, sets: &[String]) -> Result<NamedExperiment, ExperimentError> {
    let name = experiment_name(wanted).to_owned();
    let layers = if Path::new(wanted).is_file() {
        // A file on disk extends files in its folder, or one that is compiled in, by its name without
        // `.toml`; from there on all are compiled in.
        let inside = Cell::new(false);
        Layered::read(Path::new(wanted), &|name| {
            let found =
                experiment(name).filter(|_| inside.get() || Path::new(name).extension().is_none());
            inside.set(inside.get() || found.is_some());
            found
        })?
    } else if let Some(text) = experiment(wanted) {
        Layered::read_embedded(wanted, text, &experiment)?
    } else if Path::new(wanted).exists() {
        // A folder or a device, which says so when it is read.
        Layered::read(Path::new(wanted), &experiment)?
    } else {
        let nearest = nearest(&name, names());
        return Err(ExperimentError::Unknown { name: wanted.to_owned(), nearest });
    };
    let Layered { mut table, files } = layers;
    for set in sets {
        overlay(&mut table, parse_set(set)?);
    }
    let provenance = Provenance { name: wanted, files, sets };
    let schema = schema_for!(Experiment);
    if let Some((key, nearest)) = unknown_key(&table, schema.as_value(), schema.as_value(), "") {
        return Err(ExperimentError::Key { provenance: provenance.of(&key), key, nearest });
    }
    let experiment: Experiment = table.try_into().map_err(|wrong: toml::de::Error| {
        let text = wrong.to_string();
        // Below its message, the error of a table names the key.
        let key = text.trim_end().rsplit_once("\nin `").and_then(|(_, key)| key.strip_suffix('`'));
        let reason = key.map_or_else(
            || wrong.message().to_owned(),
            |key| format!("`{key}`: {}", wrong.message()),
        );
        ExperimentError::Value { provenance: provenance.of(key.unwrap_or_default()), reason }
    })?;
    experiment.check(&provenance)?;
    let reason = |wrong: PathError| format!("a run is called after its experiment: {wrong}");
    let name = run_name(&name).map_err(|wrong| ExperimentError::Value {
        provenance: provenance.of(""),
        reason: reason(wrong),
    })?;
    Ok(NamedExperiment { name, experiment })
}

/// A file anywhere gives its stem; a compiled-in name keeps its folder.
fn run_name(name: &str) -> Result<RelativePath, PathError> {
    let stem = Path::new(name).file_name().and_then(|stem| stem.to_str());
    RelativePath::new(if experiment(name).is_some() { name } else { stem.unwrap_or(name) })
}

impl Experiment {
    fn check(&self, provenance: &Provenance<'_>) -> Result<(), ExperimentError> {
        self.model.validate().map_err(|source| {
            let key = format!("model.{}", source.key());
            ExperimentError::Model { provenance: provenance.of(&key), source }
        })?;
        let training = &self.training;
        let (global, micro) = (training.global_batch.get(), training.micro_batch.get());
        let bounded = [
            ("training.global_batch", global, MOST_SEQUENCES),
            ("data.prefetch", self.data.prefetch.get(), MOST_PREFETCHED),
        ];
        for (key, found, most) in bounded {
            if found > most {
                let reason = format!("`{key}` is {found}, expected at most {most}");
                return Err(ExperimentError::Value { provenance: provenance.of(key), reason });
            }
        }
        if !global.is_multiple_of(micro) {
            let provenance = provenance.of("training.global_batch");
            return Err(ExperimentError::Batches { provenance, global, micro });
        }
        if training.iterations.is_none() && training.tokens.is_none() && training.epochs.is_none() {
            return Err(ExperimentError::Endless { provenance: provenance.of("training") });
        }
        let optimizer = &self.optimizer;
        let positive = [
            ("training.epochs", training.epochs.unwrap_or(1.0)),
            ("training.peak_tflops", training.peak_tflops),
            ("optimizer.max_norm", optimizer.max_norm),
            ("optimizer.eps", f64::from(optimizer.eps)),
            ("schedule.peak", self.schedule.peak),
        ];
        for (key, found) in positive {
            if !(found.is_finite() && found > 0.0) {
                let reason = format!("`{key}` is {found}, expected a positive number");
                return Err(ExperimentError::Value { provenance: provenance.of(key), reason });
            }
        }
        let floor = self.schedule.floor;
        let ranges = [
            ("schedule.warmup", self.schedule.warmup, 0.0..=1.0, "a part from 0 to 1"),
            ("schedule.floor", floor, 0.0..=f64::MAX, "0 or a positive number"),
            ("optimizer.beta_1", f64::from(optimizer.beta_1), BETAS, "0 or more and less than 1"),
            ("optimizer.beta_2", f64::from(optimizer.beta_2), BETAS, "0 or more and less than 1"),
            (
                "optimizer.weight_decay",
                f64::from(optimizer.weight_decay),
                0.0..=f64::MAX,
                "0 or a positive number",
            ),
        ];
        for (key, found, range, expected) in ranges {
            if !range.contains(&found) {
                let reason = format!("`{key}` is {found}, expected {expected}");
                return Err(ExperimentError::Value { provenance: provenance.of(key), reason });
            }
        }
        Ok(())
    }
}

/// The most sequences of an iteration, and batches prepared ahead: room is made for all of them.
const MOST_SEQUENCES: usize = 1 << 24;
const MOST_PREFETCHED: usize = 1 << 10;

/// What the decay of a moment may be: with 1 it would never take a gradient in.
const BETAS: RangeInclusive<f64> = 0.0..=1.0 - f64::EPSILON;

/// Returns the first key of a table that its schema does not know, and the nearest that it does.
fn unknown_key(
    table: &Table,
    schema: &Schema,
    root: &Schema,
    above: &str,
) -> Option<(String, Option<String>)> {
    let schema = followed(schema, root);
    let known = schema["properties"].as_object();
    for (key, value) in table {
        let inner = match known.and_then(|known| known.get(key)) {
            Some(inner) => inner,
            None if schema["additionalProperties"].is_object() => &schema["additionalProperties"],
            None => {
                let words = known.into_iter().flat_map(|known| known.keys().map(String::as_str));
                let nearest = nearest(key, words).map(|word| format!("{above}{word}"));
                return Some((format!("{above}{key}"), nearest));
            }
        };
        if let Value::Table(below) = value
            && let Some(found) = unknown_key(below, inner, root, &format!("{above}{key}."))
        {
            return Some(found);
        }
    }
    None
}

/// Follows a schema's reference to its definition.
fn followed<'a>(schema: &'a Schema, root: &'a Schema) -> &'a Schema {
    let name = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"));
    name.map_or(schema, |name| &root["$defs"][name])
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn refused(name: &str, sets: &[&str]) -> ExperimentError {
        find(name, &sets.iter().map(|&set| set.to_owned()).collect::<Vec<_>>()).unwrap_err()
    }

    #[test]
    fn every_experiment_is_whole() {
        let all: Vec<&str> = names().collect();
        assert_eq!(all.len(), 15);
        for name in all {
            let found = find(name, &[]).unwrap();
            assert_eq!(found.name.as_str(), name);
        }
    }

    #[test]
    fn the_papers_models_have_the_papers_size() {
        for (name, params) in [("fineweb_edu/rat-xl", 1.28e9), ("fineweb_edu/attention-xl", 1.27e9)]
        {
            let found = find(name, &[]).unwrap().experiment;
            let relative = found.model.num_params() as f64 / params;
            assert!((0.98..1.02).contains(&relative), "{name}: {}", found.model.num_params());
            assert_eq!(found.training.global_batch.get(), 512);
        }
    }

    #[test]
    fn the_recipes_have_the_numbers_of_the_reference() {
        for kind in ["attention", "rnn", "rat"] {
            let name = format!("fineweb_edu/{kind}-xl");
            let found = find(&name, &[]).unwrap().experiment;
            let batch_tokens = 512 * found.model.seq_len.get() as u64;
            let training = &found.training;
            assert_eq!(training.tokens.map(|tokens| tokens / batch_tokens), Some(52_452), "{name}");
            assert_eq!(training.validation_sequences.map(NonZeroU64::get), Some(128_000), "{name}");

            let tuning = find(&format!("sft/{kind}-xl"), &[]).unwrap().experiment.training;
            assert_eq!((tuning.log_every.get(), tuning.global_batch.get()), (20, 128), "{name}");
            assert_eq!(tuning.validate_every.map(NonZeroU64::get), Some(20), "{name}");
        }
    }

    #[test]
    fn a_misspelt_key_finds_its_neighbour() {
        let wrong = refused("tiny-rat", &["model.chunk_length=8"]);

        assert_eq!(
            wrong.to_string(),
            "--set model.chunk_length=8: unknown key `model.chunk_length`, \
             expected `model.chunk_len` perhaps"
        );
        let wrong = refused("tiny-rat", &["data.sources.web.weigth=1"]);
        assert!(wrong.to_string().contains("`data.sources.web.weight`"), "{wrong}");
    }

    #[test]
    fn a_misspelt_name_finds_its_neighbour() {
        let wrong = refused("tiny-art", &[]);

        assert_eq!(wrong.hint().unwrap(), "did you mean `tiny-rat`?");
    }

    #[test]
    fn a_sequence_that_is_no_multiple_of_the_chunk_is_refused() {
        let wrong = refused("tiny-rat", &["model.seq_len=100"]);

        assert!(wrong.to_string().contains("`seq_len` is 100"), "{wrong}");
        assert_eq!(wrong.hint().unwrap(), "change `seq_len` or `chunk_len`");
    }

    #[test]
    fn a_value_of_another_type_is_told_with_its_key() {
        let wrong = refused("tiny-rat", &["model.layers=four"]).to_string();

        assert!(wrong.starts_with("--set model.layers=four: `model.layers`: "), "{wrong}");
    }

    #[test]
    fn each_mistake_of_a_file_has_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        for (text, line, says) in [
            ("extends = 'tiny-rat'\n[model]\nlayer = 3\n", 3, "unknown key `model.layer`"),
            ("extends = 'tiny-rat'\n\n[modle]\nlayers = 3\n", 3, "unknown key `modle`"),
            ("extends = 'tiny-rat'\n[model]\nlayers = 'x'\n", 3, "`model.layers`: invalid type"),
            ("extends = 'tiny-rat'\n[model]\nmixers = ['rta']\n", 3, "unknown variant `rta`"),
            ("extends = 'tiny-rat'\nmodel.seq_len = 100\n", 2, "`seq_len` is 100"),
            ("extends = 'tiny-rat'\n[optimizer]\neps = 0.0\n", 3, "`optimizer.eps` is 0"),
            ("extends = 'tiny-rat'\n\n[training]\nglobal_batch = 9\nmicro_batch = 2\n", 4, "is 9"),
            ("extends = 7\n", 1, "`extends` is integer"),
            ("\nextends = 'gone'\n", 2, "`extends` names"),
        ] {
            std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), text.as_bytes())
                .unwrap();

            let wrong = refused(path.to_str().unwrap(), &[]).to_string();

            let place = format!("{}:{line}: ", path.display());
            assert!(wrong.starts_with(&place) && wrong.contains(says), "{text}: {wrong}");
        }
    }

    #[test]
    fn a_number_that_no_memory_holds_is_refused_with_its_key() {
        for (set, found) in [
            (
                "model.vocab_size=4000000000",
                "`vocab_size` is 4000000000, expected at most 16777216",
            ),
            ("model.d_model=1152921504606846976", "`d_model` is 1152921504606846976"),
            ("model.layers=1000000", "`layers` is 1000000"),
            ("model.seq_len=4294967296", "`seq_len` is 4294967296"),
            ("model.ffn_mult=100000", "`ffn_mult` is 100000"),
            ("data.prefetch=1000000000000", "`data.prefetch` is 1000000000000"),
            ("training.global_batch=1099511627776", "`training.global_batch` is 1099511627776"),
        ] {
            let wrong = refused("tiny-rat", &[set]).to_string();

            assert!(wrong.contains(found), "{wrong}");
        }
    }

    #[test]
    fn the_folder_of_a_run_is_no_way_out() {
        assert!(run_name("..").is_err());
        assert_eq!(run_name("a/../../mine").unwrap().as_str(), "mine");
        assert_eq!(run_name("fineweb_edu/rat-xl").unwrap().as_str(), "fineweb_edu/rat-xl");
    }

    #[test]
    fn a_recipe_that_cannot_work_is_refused_with_its_key() {
        for (set, found) in [
            ("optimizer.beta_1=1", "`optimizer.beta_1` is 1, expected 0 or more and less than 1"),
            ("optimizer.beta_2=-0.5", "`optimizer.beta_2` is -0.5"),
            ("optimizer.eps=0", "`optimizer.eps` is 0, expected a positive number"),
            ("optimizer.weight_decay=-1", "`optimizer.weight_decay` is -1"),
            ("schedule.warmup=2", "`schedule.warmup` is 2, expected a part from 0 to 1"),
        ] {
            let wrong = refused("tiny-rat", &[set]).to_string();

            assert!(wrong.contains(found), "{wrong}");
        }
    }

    #[test]
    fn batches_are_whole_micro_batches() {
        let wrong = refused("tiny-rat", &["training.global_batch=9", "training.micro_batch=2"]);

        assert!(matches!(wrong, ExperimentError::Batches { global: 9, micro: 2, .. }), "{wrong}");
    }

    #[test]
    fn a_file_extends_what_is_compiled_in_and_is_called_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.toml");
        let text = "extends = 'tiny-rat'\nmodel.layers = 3\n";
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), text.as_bytes())
            .unwrap();

        let found = find(path.to_str().unwrap(), &["model.window=7".to_owned()]).unwrap();

        assert_eq!(found.name.as_str(), "mine");
        assert_eq!(
            (found.experiment.model.layers.get(), found.experiment.model.window.get()),
            (3, 7)
        );
        assert_eq!(found.experiment.training, find("tiny-rat", &[]).unwrap().experiment.training);
    }

    #[test]
    fn a_file_of_the_checkout_is_the_one_that_is_compiled_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/experiment");
        for name in ["tiny-rat", "fineweb_edu/rnn-xl", "sft/attention-xl"] {
            let path = folder.join(format!("{name}.toml"));

            let found = find(path.to_str().unwrap(), &[]).unwrap();

            assert_eq!(found.experiment, find(name, &[]).unwrap().experiment, "{name}");
        }
    }

    #[test]
    fn what_was_resolved_reads_back_as_itself() {
        let found = find("sft/rat-xl", &[]).unwrap().experiment;

        let text = toml::to_string(&found).unwrap();

        assert_eq!(toml::from_str::<Experiment>(&text).unwrap(), found);
    }
}
