//! How many tasks of an array would have work, where that is known before the step runs.
//!
//! An array with more tasks than that would keep some of them waiting for nothing. The content of an
//! input that is not made or fetched yet is not known; a task without work then ends at once.

use std::path::{Path, PathBuf};

use ratdata_schemas::Manifest;
use ratdata_schemas::recipe::Task;
use ratdata_tokenize::Share;
use ratdata_tokenize::sft;
use ratdata_tokenize::source::{SourceFile, find_inputs};
use serde_json::Value;

use super::run::Run;
use crate::dag::plan::PlanIndex;
use crate::dag::step::{Step, reference};
use crate::dag::step_kind::{Sharing, key};
use crate::verify;

/// Returns the shares of a step that are to be made, of at most `most`: none where it is not shared.
pub(super) fn missing(run: &Run<'_>, step: PlanIndex, most: usize) -> Vec<Share> {
    let task = run.task(step);
    if run.step(step).sharing() == Sharing::Nothing {
        return Vec::new();
    }
    // A task without work would wait in the queue all the same.
    let count = tasks_with_work(run, step).map_or(most, |things| things.min(most));
    if count < 2 {
        return Vec::new();
    }
    Share::all(count).filter(|share| !run.store.is_shared(&task.object, *share)).collect()
}

/// Returns how many tasks could have work of a step, where that is known.
pub(crate) fn tasks_with_work(run: &Run<'_>, number: PlanIndex) -> Option<usize> {
    let step = run.step(number);
    let paths = |key: &str| -> Option<Vec<PathBuf>> {
        let texts = texts(step, key);
        (!texts.is_empty()).then(|| texts.iter().map(|text| path(run, number, text)).collect())?
    };
    match step.sharing() {
        Sharing::InputFiles => files(&paths(key::INPUT)?).map(|files| files.len()),
        Sharing::ArtifactParts if step.config.contains_key(key::RETOKENIZE) => None,
        Sharing::ArtifactParts => {
            let manifest = Manifest::read(paths(key::PATH)?.first()?).ok()?;
            Some(verify::units(&manifest))
        }
        Sharing::TaskRows => {
            let task = match texts(step, key::TASK).first() {
                Some(name) => Task::named(name),
                None => Task::read(paths(key::TASK_FILE)?.first()?),
            };
            let input = if step.config.contains_key(key::INPUT) { paths(key::INPUT) } else { None };
            let wanted = texts(step, key::SPLIT);
            let mut most = 0;
            for (name, split) in &task.ok()?.splits {
                if wanted.is_empty() || wanted.iter().any(|wanted| *name == wanted.as_str()) {
                    let folder = input.as_ref().and_then(|input| input.first());
                    let source =
                        sft::source_of(name.as_str(), split, folder.map(PathBuf::as_path)).ok()?;
                    let source = (!source.contains("://")).then(|| run.pipeline.base.join(source));
                    most = most.max(sft::most_shares(&files(&[source?])?));
                }
            }
            Some(most)
        }
        // How many there are is known when the inputs are counted.
        Sharing::OutputFiles | Sharing::Nothing => None,
    }
}

/// Returns the texts of a key, one or a list.
fn texts(step: &Step, key: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    match step.config.get(key) {
        Some(Value::Array(values)) => values.iter().filter_map(text).collect(),
        Some(value) => text(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Returns the path that a text names; none where nothing is there yet.
fn path(run: &Run<'_>, number: PlanIndex, text: &str) -> Option<PathBuf> {
    let path = match reference(text) {
        Some((_, name, after)) => {
            let mut takes = run.plan[number].takes.iter();
            let take = takes.find(|&&take| run.plan[take].name == name)?;
            let object = run.store.object(&run.plan[*take].object);
            PathBuf::from(format!("{}{after}", object.display()))
        }
        None => run.pipeline.base.join(text),
    };
    let pattern = text.contains(['*', '?', '[']) && !text.contains("://");
    (pattern || path.exists()).then_some(path)
}

fn files(paths: &[impl AsRef<Path>]) -> Option<Vec<SourceFile>> {
    let inputs: Vec<String> =
        paths.iter().map(|path| path.as_ref().display().to_string()).collect();
    find_inputs(&inputs).ok()
}
