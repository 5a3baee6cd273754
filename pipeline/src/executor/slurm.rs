//! Hands tasks to a Slurm cluster: a job a step, an array of jobs where a step can be shared.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use ratdata_schemas::{RunEventKind, StagedFile};
use ratdata_tokenize::Share;

use super::command::{quoted, words};
use super::run::{Run, Totals};
use super::shareable::missing;
use crate::dag::plan::PlanIndex;
use crate::dag::settings::SlurmSettings;
use crate::failure::{Failure, Kind};
use crate::library_failures::store_failure;

/// How many tasks an array has where neither the pipeline nor the cluster says less.
const TASKS: usize = 16;

/// Hands the stale steps of a run to the cluster and returns at once.
///
/// A step's job runs `ratdata run PIPELINE STEP`, which finds what is fresh, takes the step's lock,
/// and continues what an earlier attempt left: so a job that is killed and queued again, or
/// handed over twice, redoes only what is missing. A step that can be shared gets an array of such
/// jobs with `--shard` before it. Jobs wait for those of their inputs by `afterok`.
///
/// # Errors
///
/// The cluster's programs are not there, or refuse a job.
pub(crate) fn submit(run: &Run<'_>, arguments: &[String]) -> Result<Totals, Failure> {
    let queue = queue()?;
    // An array makes shares; the job after it makes the result.
    let named = |is_task: bool| -> BTreeMap<&str, u64> {
        let jobs = queue.iter().filter(|job| job.is_task == is_task);
        jobs.map(|job| (job.name.as_str(), job.id)).collect()
    };
    let (queued, arrays) = (named(false), named(true));
    let most = max_array_size()?;
    let mut totals = Totals { submitted: true, ..Totals::default() };
    let mut jobs: BTreeMap<PlanIndex, u64> = BTreeMap::new();
    for (number, planned) in run.plan.indexes().zip(&run.plan.steps) {
        if run.is_fresh(number) {
            run.fresh(number)?;
            totals.fresh += 1;
            continue;
        }
        let name = job_name(&planned.object);
        if let Some(&there) = queued.get(name.as_str()) {
            jobs.insert(number, there);
            continue;
        }
        let settings = run.pipeline.slurm.of_kind(planned.kind);
        let after: Vec<u64> =
            planned.takes.iter().filter_map(|take| jobs.get(take).copied()).collect();
        let command = words(run, planned, &run.pipeline.path, arguments, settings.cpus);
        let words = |share: Option<&str>| -> Vec<String> {
            command.iter().map(|word| quoted(word)).chain(share.map(ToOwned::to_owned)).collect()
        };
        let mut job = Job { run, settings: &settings, name: &name, after, array: None };
        let most = settings.array.unwrap_or(TASKS).min(most);
        let missing = missing(run, number, most);
        let tasks = missing.len();
        let mut array = None;
        if let Some(&there) = arrays.get(name.as_str()) {
            job.after.push(there); // the job after it is gone, as when it was cancelled alone
        } else if let [first, ..] = missing[..] {
            let share = format!("--shard=\"$SLURM_ARRAY_TASK_ID\"/{}", first.count);
            job.array = Some(indexes(&missing));
            let id = job.submit(&planned.name, &words(Some(&share)))?;
            array = Some(id);
            job.array = None;
            job.after = vec![id];
        }
        let id = job.submit(&planned.name, &words(None))?;
        jobs.insert(number, id);
        run.reporter.tell(RunEventKind::StepSubmitted {
            step: planned.name.clone(),
            job: id,
            array,
            tasks: if array.is_some() { tasks } else { 1 },
        })?;
    }
    Ok(totals)
}

/// A job as it is handed over.
struct Job<'a> {
    run: &'a Run<'a>,
    settings: &'a SlurmSettings,
    name: &'a str,
    after: Vec<u64>,
    /// The numbers of an array's tasks, as `sbatch` reads them.
    array: Option<String>,
}

/// Returns the numbers of shares as ranges: `0-2,5`.
fn indexes(shares: &[Share]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for share in shares {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == share.number => *last = share.number,
            _ => ranges.push((share.number, share.number)),
        }
    }
    let shown = |(first, last): (usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.into_iter().map(shown).collect::<Vec<_>>().join(",")
}

impl Job<'_> {
    /// Writes the job's script next to the run's record and hands it over; returns its number.
    fn submit(&self, step: &str, words: &[String]) -> Result<u64, Failure> {
        let folder = &self.run.folder;
        let program = std::env::current_exe().map_err(|wrong| refused("ratdata", &wrong))?;
        let (kind, output) = if self.array.is_some() { ("array", "%A_%a") } else { ("job", "%A") };
        let mut script = String::from("#!/bin/bash\n");
        script.push_str(&self.settings.directives());
        let mut directive = |text: String| script.extend(["#SBATCH ", &text, "\n"]);
        directive(format!("--job-name={}", self.name));
        directive(format!("--output={}/slurm-{step}-{output}.out", folder.display()));
        directive("--requeue".into());
        directive("--kill-on-invalid-dep=yes".into());
        if let Some(tasks) = &self.array {
            directive(format!("--array={tasks}"));
        }
        if !self.after.is_empty() {
            let ids: Vec<String> = self.after.iter().map(ToString::to_string).collect();
            directive(format!("--dependency=afterok:{}", ids.join(":")));
        }
        script.push_str("set -e\n");
        // Paths of the command line are relative to where it was given.
        let here = std::env::current_dir().map_err(|wrong| refused("the folder", &wrong))?;
        script.extend(["cd ", &quoted(&here.display().to_string()), "\n"]);
        for line in &self.settings.setup {
            script.extend([line, "\n"]);
        }
        script.extend(["exec ", &quoted(&program.display().to_string()), " "]);
        script.push_str(&words.join(" "));
        script.push('\n');
        let path = folder.join(format!("slurm-{step}-{kind}.sh"));
        let mut file = StagedFile::create(&path).map_err(store_failure)?;
        file.write(script.as_bytes()).map_err(store_failure)?;
        file.commit().map_err(store_failure)?;
        let text = ask("sbatch", &["--parsable", &path.display().to_string()])?;
        let number = text.trim().split(';').next().unwrap_or_default();
        number.parse().map_err(|_| {
            Failure::message(
                Kind::Failed,
                format!("sbatch: found `{text}`, expected a job's number"),
            )
        })
    }
}

/// A job in the cluster's queue.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) name: String,
    /// Its number, or that of its array.
    pub(crate) id: u64,
    /// Whether it is one task of an array.
    pub(crate) is_task: bool,
    pub(crate) state: String,
    pub(crate) reason: String,
}

/// Returns the jobs of ours in the cluster's queue, as they stand there.
///
/// # Errors
///
/// `squeue` is not there or fails.
pub(crate) fn queue() -> Result<Vec<Queued>, Failure> {
    let text = ask("squeue", &["--noheader", "--array", "--format=%F|%K|%j|%T|%r"])?;
    let job = |line: &str| {
        let mut fields = line.split('|');
        let id = fields.next()?.trim().parse().ok()?;
        let is_task = fields.next()?.trim() != "N/A";
        let name = fields.next()?.trim().to_owned();
        let state = fields.next()?.trim().to_owned();
        let reason = fields.next().unwrap_or_default().trim().to_owned();
        name.starts_with(PREFIX).then_some(Queued { name, id, is_task, state, reason })
    };
    Ok(text.lines().filter_map(job).collect())
}

/// Returns whether this machine has a cluster's queue to ask.
pub(crate) fn is_there() -> bool {
    Command::new("squeue").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Takes jobs out of the queue, and stops those that run.
///
/// # Errors
///
/// `scancel` is not there or fails.
pub(crate) fn cancel(jobs: &[Queued]) -> Result<(), Failure> {
    let ids: BTreeSet<String> = jobs.iter().map(|job| job.id.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    if ids.is_empty() { Ok(()) } else { ask("scancel", &ids).map(drop) }
}

/// What the names of our jobs begin with.
const PREFIX: &str = "ratdata:";

/// Returns the name of the job that makes a result: the same for the same bytes.
pub(crate) fn job_name(object: &str) -> String {
    format!("{PREFIX}{object}")
}

/// Returns the result that a job of ours makes.
pub(crate) fn object_of(job: &str) -> Option<&str> {
    job.strip_prefix(PREFIX)
}

fn max_array_size() -> Result<usize, Failure> {
    let text = ask("scontrol", &["show", "config"])?;
    let size = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "MaxArraySize").then(|| value.trim().parse::<usize>().ok())?
    });
    Ok(size.unwrap_or(1001).saturating_sub(1))
}

/// Runs one of the cluster's programs and returns what it says.
fn ask(program: &str, arguments: &[&str]) -> Result<String, Failure> {
    let output =
        Command::new(program).args(arguments).output().map_err(|wrong| refused(program, &wrong))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::message(Kind::Failed, format!("{program}: {}", said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn refused(program: &str, wrong: &std::io::Error) -> Failure {
    Failure::message(Kind::Failed, format!("{program}: cannot start: {wrong}")).hinted(Some(
        "is this a machine of a Slurm cluster? elsewhere leave `--executor slurm` out",
    ))
}

#[cfg(test)]
mod tests {
    use ratdata_tokenize::Share;

    use super::indexes;

    #[test]
    fn the_tasks_of_an_array_are_told_as_ranges() {
        let shares = |numbers: &[usize]| -> Vec<Share> {
            numbers.iter().map(|&number| Share { number, count: 9 }).collect()
        };

        assert_eq!(indexes(&shares(&[0, 1, 2])), "0-2");
        assert_eq!(indexes(&shares(&[1, 3, 4, 8])), "1,3-4,8");
    }
}
