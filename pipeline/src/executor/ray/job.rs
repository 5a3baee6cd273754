//! One job of a step or of a share of it: its name, what it is told, and what the cluster says of it.
//!
//! A job is known by its metadata: the store, the result and the share. So another run of the same pipeline finds the
//! jobs of one that was killed. The cluster takes a name once, and each attempt has its own: of two runs that submit at
//! the same moment, one is told that the job is there.

use ratdata_tokenize::Share;

use super::client::{Listed, Submission, shown};
use crate::dag::plan::Planned;
use crate::dag::ray_settings::RaySettings;
use crate::executor::command::{plain_name, quoted};
use crate::store::Store;

/// The keys of a job's metadata.
const STORE: &str = "ratdata.store";
const OBJECT: &str = "ratdata.object";
const SHARE: &str = "ratdata.share";
const ATTEMPT: &str = "ratdata.attempt";

/// What a job makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    store: String,
    object: String,
    /// A share of the result; without one, the result.
    pub(super) share: Option<Share>,
    /// What its names begin with.
    stem: String,
}

/// Where a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The cluster has not begun it.
    Pending,
    /// It runs.
    Running,
    /// It has done its work.
    Succeeded,
    /// Somebody stopped it.
    Stopped,
    /// The cluster had no room for it in the time that a job may wait there.
    NotStarted,
    /// The cluster lost it, as with a node; the reason is the cluster's.
    Lost(String),
    /// It failed, and would fail again.
    Failed(String),
}

/// A job that the cluster has.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) attempt: usize,
    pub(super) standing: Standing,
}

/// A job that waits or runs.
#[derive(Clone, Debug)]
pub(crate) struct LiveJob {
    pub(crate) id: String,
    /// The result that it makes, or makes a share of.
    pub(crate) object: String,
    pub(crate) state: &'static str,
}

impl Wanted {
    pub(super) fn of(store: &Store, planned: &Planned, share: Option<Share>) -> Self {
        let store = store.root().display().to_string();
        let place = blake3::hash(store.as_bytes()).to_hex();
        let share_name = share.map_or_else(String::new, |share| format!("-{}", share.name()));
        let stem = format!(
            "ratdata-{}-{:.12}-{:.6}{share_name}",
            plain_name(&planned.name),
            planned.fingerprint,
            place
        );
        Self { store, object: planned.object.clone(), share, stem }
    }

    /// Returns the newest of the cluster's jobs that make this.
    pub(super) fn newest(&self, jobs: &[Listed]) -> Option<Known> {
        let own = jobs.iter().filter_map(|job| {
            let metadata = job.metadata.as_ref()?;
            let same = |key: &str, value: &str| metadata.get(key).is_some_and(|has| has == value);
            let share = self.share.map_or_else(String::new, |share| share.to_string());
            let is_own = same(STORE, &self.store) && same(OBJECT, &self.object);
            let attempt = metadata.get(ATTEMPT)?.parse().ok()?;
            let id = job.submission_id.clone()?;
            (is_own && same(SHARE, &share)).then(|| Known { id, attempt, standing: job.standing() })
        });
        own.max_by_key(|job| job.attempt)
    }

    /// Returns the name of an attempt, counted from 1.
    pub(super) fn id(&self, attempt: usize) -> String {
        format!("{}-{attempt}", self.stem)
    }

    /// Returns an attempt as it is submitted.
    pub(super) fn submission(
        &self,
        attempt: usize,
        entrypoint: String,
        settings: &RaySettings,
    ) -> Submission {
        let share = self.share.map_or_else(String::new, |share| share.to_string());
        let facts = [
            (STORE, self.store.clone()),
            (OBJECT, self.object.clone()),
            (SHARE, share),
            (ATTEMPT, attempt.to_string()),
        ];
        Submission {
            entrypoint,
            id: self.id(attempt),
            metadata: facts.map(|(key, value)| (key.to_owned(), value)).into(),
            entrypoint_num_cpus: settings.cpus(),
            entrypoint_num_gpus: settings.gpus,
            entrypoint_memory: settings.mem,
            entrypoint_resources: settings.resources.clone(),
        }
    }
}

impl Listed {
    /// Returns where the job is.
    fn standing(&self) -> Standing {
        let message = || shown(self.message.as_deref().unwrap_or_default());
        match (self.status.as_str(), self.error_type.as_deref(), self.driver_exit_code) {
            ("PENDING", ..) => Standing::Pending,
            ("RUNNING", ..) => Standing::Running,
            ("SUCCEEDED", ..) => Standing::Succeeded,
            ("STOPPED", ..) => Standing::Stopped,
            ("FAILED", _, Some(status)) => Standing::Failed(format!("exit status: {status}")),
            ("FAILED", Some("JOB_SUPERVISOR_ACTOR_START_TIMEOUT"), _) => Standing::NotStarted,
            ("FAILED", Some(kind @ SET_UP), _) => {
                Standing::Failed(format!("{kind}: {}", message()))
            }
            // Older versions of Ray tell no kind, and the process has no exit status where its node is gone.
            ("FAILED", kind, None) => {
                Standing::Lost(format!("{}: {}", kind.unwrap_or("no exit status"), message()))
            }
            (other, ..) => Standing::Failed(format!(
                "found the status `{}`, expected one of Ray's job API",
                shown(other)
            )),
        }
    }

    /// Returns the job as one that waits or runs in a store, where it does.
    pub(super) fn live_in(&self, store: &Store) -> Option<LiveJob> {
        let metadata = self.metadata.as_ref()?;
        let own = metadata.get(STORE)? == &store.root().display().to_string();
        let state = match self.standing() {
            Standing::Pending => "pending",
            Standing::Running => "running",
            _ => return None,
        };
        let object = metadata.get(OBJECT).filter(|_| own)?.clone();
        Some(LiveJob { id: self.submission_id.clone()?, object, state })
    }
}

/// A failure before the program runs that comes again each time.
const SET_UP: &str = "RUNTIME_ENV_SETUP_FAILURE";

/// Returns the shell lines that make a step on a node, or a share of it.
pub(super) fn entrypoint(
    words: &[String],
    settings: &RaySettings,
    share: Option<Share>,
) -> std::io::Result<String> {
    // Paths of the command line are relative to where it was given.
    let here = std::env::current_dir()?;
    let program = match &settings.program {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.display().to_string(),
    };
    let mut lines =
        vec!["set -e".to_owned(), format!("cd {}", quoted(&here.display().to_string()))];
    lines.extend(settings.setup.iter().cloned());
    let mut words: Vec<String> =
        std::iter::once(&program).chain(words).map(|word| quoted(word)).collect();
    words.extend(share.map(|share| format!("--shard={share}")));
    lines.push(format!("exec {}", words.join(" ")));
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(share: Option<Share>) -> Wanted {
        Wanted {
            store: "/store".into(),
            object: "tokenize-tokens-0f".into(),
            share,
            stem: "ratdata-tokens-0f".into(),
        }
    }

    /// An attempt at it as a cluster lists it.
    fn listed(wanted: &Wanted, attempt: usize, status: &str) -> Listed {
        let submission = wanted.submission(attempt, String::new(), &RaySettings::default());
        Listed {
            submission_id: Some(submission.id),
            status: status.to_owned(),
            message: None,
            error_type: None,
            driver_exit_code: None,
            metadata: Some(submission.metadata),
        }
    }

    const THIRD: Option<Share> = Some(Share { number: 2, count: 3 });

    #[test]
    fn the_newest_attempt_of_a_share_is_its_job() {
        let mut other_store = listed(&wanted(THIRD), 9, "RUNNING");
        other_store.metadata.as_mut().unwrap().insert(STORE.into(), "/other".into());
        let nobodys = Listed { metadata: None, ..listed(&wanted(THIRD), 8, "RUNNING") };
        let jobs = [
            listed(&wanted(THIRD), 2, "RUNNING"),
            listed(&wanted(THIRD), 1, "FAILED"),
            listed(&wanted(None), 7, "SUCCEEDED"),
            other_store,
            nobodys,
        ];

        let newest = wanted(THIRD).newest(&jobs).unwrap();

        assert_eq!((newest.id.as_str(), newest.attempt), ("ratdata-tokens-0f-2", 2));
        assert_eq!(newest.standing, Standing::Running);
        assert_eq!(wanted(None).newest(&jobs).unwrap().standing, Standing::Succeeded);
        assert!(wanted(Some(Share { number: 0, count: 3 })).newest(&jobs).is_none());
        let submission = wanted(THIRD).submission(4, String::new(), &RaySettings::default());
        assert_eq!(submission.metadata[SHARE], "2/3");
    }

    #[test]
    fn a_job_that_the_cluster_lost_is_no_failure_of_its_step() {
        let failed = |kind: Option<&str>, exit: Option<i64>| {
            let listed = listed(&wanted(None), 1, "FAILED");
            let error_type = kind.map(str::to_owned);
            Listed { error_type, driver_exit_code: exit, ..listed }.standing()
        };

        assert_eq!(
            failed(Some("JOB_ENTRYPOINT_COMMAND_ERROR"), Some(3)),
            Standing::Failed("exit status: 3".into())
        );
        assert_eq!(failed(Some("JOB_SUPERVISOR_ACTOR_START_TIMEOUT"), None), Standing::NotStarted);
        assert!(matches!(failed(Some("JOB_SUPERVISOR_ACTOR_DIED"), None), Standing::Lost(_)));
        assert!(matches!(failed(None, None), Standing::Lost(_)));
        assert!(matches!(failed(Some(SET_UP), None), Standing::Failed(_)));
        let unknown = listed(&wanted(None), 1, "DREAMING").standing();
        assert!(matches!(&unknown, Standing::Failed(said) if said.contains("`DREAMING`")));
    }
}
