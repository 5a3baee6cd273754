//! Writes the stale steps of a run as Jobs of Kubernetes: a Job a step, and an indexed Job where a step can be shared.
//!
//! Nothing is handed over. A Job runs `ratdata run PIPELINE STEP`, with `--shard=auto/N` in an indexed one, as a cluster's
//! jobs do everywhere: it finds what is fresh and continues what an earlier attempt left. Jobs do not wait for each other
//! in Kubernetes, so a script applies them one after the other.

use std::fmt;
use std::path::{Path, PathBuf};

use ratdata_schemas::StagedFile;
use serde::Serialize;
use serde_json::{Value, json};

use super::command::{plain_name, words as words_of_step};
use super::run::{Run, Totals};
use super::shareable::missing;
use super::yaml::yaml;
use crate::dag::kubernetes_settings::KubernetesSettings;
use crate::dag::plan::Planned;
use crate::failure::{Failure, Kind};
use crate::library_failures::store_failure;

/// How many tasks an indexed Job has where the pipeline does not say.
const TASKS: usize = 16;

/// How often a Job is tried: each attempt continues.
const ATTEMPTS: usize = 6;

/// The Jobs that were written.
#[derive(Debug, Serialize)]
pub(crate) struct Written {
    /// The script that applies them.
    script: PathBuf,
    /// The files of the Jobs, in the order in which they are applied.
    jobs: Vec<PathBuf>,
}

/// A file of one Job.
struct Job {
    name: String,
    file: String,
    manifest: Value,
}

/// Writes the Jobs of a run's stale steps, and a script that applies them, into the run's folder.
///
/// # Errors
///
/// The pipeline names no image, or a file cannot be written.
pub(crate) fn write(run: &Run<'_>, arguments: &[String]) -> Result<(Totals, Written), Failure> {
    let mut totals = Totals { submitted: true, ..Totals::default() };
    let folder = run.folder.join("kubernetes");
    let mut jobs = Vec::new();
    for (number, planned) in run.plan.indexes().zip(&run.plan.steps) {
        if run.is_fresh(number) {
            run.fresh(number)?;
            totals.fresh += 1;
            continue;
        }
        let settings = run.pipeline.kubernetes.of_kind(planned.kind);
        let words = words(run, planned, &settings, arguments)?;
        let shares = missing(run, number, settings.array.unwrap_or(TASKS));
        if let Some(first) = shares.first() {
            jobs.push(job(planned, &settings, &words, Some(first.count), jobs.len())?);
        }
        jobs.push(job(planned, &settings, &words, None, jobs.len())?);
    }
    let namespace = run.pipeline.kubernetes.namespace.as_deref();
    let mut files = Vec::new();
    for job in &jobs {
        let path = folder.join(&job.file);
        keep(&path, &yaml(&job.manifest))?;
        files.push(path);
    }
    let script_path = folder.join("apply.sh");
    keep(&script_path, &script(&jobs, namespace))?;
    Ok((totals, Written { script: script_path, jobs: files }))
}

/// Returns the words of the command that makes a step.
fn words(
    run: &Run<'_>,
    planned: &Planned,
    settings: &KubernetesSettings,
    arguments: &[String],
) -> Result<Vec<String>, Failure> {
    let absolute = |path: &Path| {
        std::path::absolute(path)
            .map_err(|wrong| Failure::message(Kind::Failed, format!("{}: {wrong}", path.display())))
    };
    // The name of a pipeline that is compiled in is no path.
    let pipeline = if run.pipeline.path.exists() {
        absolute(&run.pipeline.path)?
    } else {
        run.pipeline.path.clone()
    };
    let words = words_of_step(run, planned, &pipeline, arguments, settings.cpus);
    Ok(std::iter::once("ratdata".to_owned()).chain(words).collect())
}

/// Makes the Job of a step, or of its shares.
fn job(
    planned: &Planned,
    settings: &KubernetesSettings,
    words: &[String],
    shares: Option<usize>,
    before: usize,
) -> Result<Job, Failure> {
    let Some(image) = &settings.image else {
        return Err(Failure::message(Kind::Usage, "`[executor.kubernetes]` names no `image`")
            .hinted(Some("build one with the Dockerfile, and name it as the cluster does")));
    };
    let own = plain_name(&planned.name);
    let ending = if shares.is_some() { "-shares" } else { "" };
    let name = format!("ratdata-{own}-{:.12}{ending}", planned.fingerprint);
    let mut words = words.to_vec();
    words.extend(shares.map(|count| format!("--shard=auto/{count}")));
    let labels = json!({"app.kubernetes.io/name": "ratdata", "ratdata/step": own});
    let here = std::env::current_dir().map_err(|wrong| {
        Failure::message(Kind::Failed, format!("the current folder cannot be read: {wrong}"))
    })?;
    let mounts: Vec<Value> = settings
        .volumes
        .iter()
        .enumerate()
        .map(|(number, volume)| {
            json!({"name": format!("volume-{number}"), "mountPath": volume.path})
        })
        .collect();
    let volumes: Vec<Value> = settings
        .volumes
        .iter()
        .enumerate()
        .map(|(number, volume)| {
            json!({"name": format!("volume-{number}"), "persistentVolumeClaim": {"claimName": volume.claim}})
        })
        .collect();
    let mut container = json!({
        "name": "ratdata",
        "image": image,
        "command": words,
        "workingDir": here.display().to_string(),
        "resources": settings.resources(),
        "volumeMounts": mounts,
    });
    if let Some(secret) = &settings.secret {
        // Credentials of object stores are variables of the environment.
        container["envFrom"] = json!([{"secretRef": {"name": secret}}]);
    }
    let mut spec = json!({
        "backoffLimit": ATTEMPTS * shares.unwrap_or(1),
        "template": {
            "metadata": {"labels": labels},
            "spec": {"restartPolicy": "OnFailure", "containers": [container], "volumes": volumes},
        },
    });
    if let Some(count) = shares {
        spec["completionMode"] = "Indexed".into();
        spec["completions"] = count.into();
        spec["parallelism"] = count.into();
    }
    let mut metadata = json!({"name": name, "labels": labels});
    if let Some(namespace) = &settings.namespace {
        metadata["namespace"] = namespace.as_str().into();
    }
    let manifest =
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec});
    Ok(Job { file: format!("{:02}-{own}{ending}.yaml", before + 1), name, manifest })
}

/// Returns a script that applies each Job when the one before is complete.
fn script(jobs: &[Job], namespace: Option<&str>) -> String {
    let namespace = namespace.map_or_else(String::new, |name| format!(" --namespace={name}"));
    let mut text = format!(
        "#!/bin/sh\n\
         # Applies each Job when the one before it is complete. A Job that failed ends the script;\n\
         # `kubectl delete` it, mend the cause, and run the same again: what was done is kept.\n\
         set -eu\n\
         cd \"$(dirname \"$0\")\"\n\
         \n\
         complete() {{\n\
         \x20 while :; do\n\
         \x20   case $(kubectl{namespace} get job \"$1\" -o 'jsonpath={{.status.conditions[?(@.status==\"True\")].type}}') in\n\
         \x20     *Complete*) return 0 ;;\n\
         \x20     *Failed*) echo \"$1 failed\" >&2; exit 1 ;;\n\
         \x20   esac\n\
         \x20   sleep \"${{RATDATA_POLL:-5}}\"\n\
         \x20 done\n\
         }}\n\n"
    );
    for job in jobs {
        text.push_str(&format!(
            "kubectl{namespace} apply -f {}\ncomplete {}\n",
            job.file, job.name
        ));
    }
    text
}

fn keep(path: &Path, text: &str) -> Result<(), Failure> {
    let mut file = StagedFile::create(path).map_err(store_failure)?;
    file.write(text.as_bytes()).map_err(store_failure)?;
    file.commit().map(drop).map_err(store_failure)
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = self.jobs.len();
        let jobs = if jobs == 1 { "1 Job".to_owned() } else { format!("{jobs} Jobs") };
        write!(f, "{jobs}; apply them with `sh {}`", self.script.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_waits_for_each_job_before_the_next() {
        let job = |name: &str| Job {
            name: name.into(),
            file: format!("{name}.yaml"),
            manifest: Value::Null,
        };

        let text = script(&[job("a"), job("b")], Some("data"));

        let end = "kubectl --namespace=data apply -f a.yaml\ncomplete a\nkubectl --namespace=data apply -f b.yaml\ncomplete b\n";
        assert!(text.ends_with(end), "{text}");
    }
}
