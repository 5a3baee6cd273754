//! What a run keeps of its cluster in its folder: where it is, and which jobs were asked to end.
//!
//! A job that waits for room ends only once it has begun. So a run that follows must know that it was asked to, and
//! does not wait for it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::store::Store;

/// The file with the address of the cluster.
const ADDRESS: &str = "ray-address.txt";

/// The file with the names of jobs that were asked to end, one a line.
const STOPPED: &str = "ray-stopped.txt";

/// Records the cluster of a run.
pub(super) fn keep_address(run: &Path, address: &str) -> io::Result<()> {
    writeln!(File::create(run.join(ADDRESS))?, "{address}")
}

/// Returns the folder and the cluster of a pipeline's last run on Ray.
pub(super) fn last(store: &Store, pipeline: &Path) -> Option<(PathBuf, String)> {
    store.runs_of(pipeline).into_iter().find_map(|run| {
        let address = fs::read_to_string(run.join(ADDRESS)).ok()?;
        Some((run, address.trim().to_owned()))
    })
}

/// Records that jobs are asked to end.
pub(super) fn add_stopped<'a>(
    run: &Path,
    ids: impl IntoIterator<Item = &'a str>,
) -> io::Result<()> {
    let mut file = File::options().create(true).append(true).open(run.join(STOPPED))?;
    ids.into_iter().try_for_each(|id| writeln!(file, "{id}"))
}

/// Returns the names of all jobs of a pipeline that were asked to end.
pub(super) fn stopped(store: &Store, pipeline: &Path) -> BTreeSet<String> {
    store.runs_of(pipeline).iter().flat_map(|run| stopped_by(run)).collect()
}

/// Returns the names of the jobs that were asked to end since a run began, also by other programs.
pub(super) fn stopped_by(run: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(run.join(STOPPED)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_record_names_the_cluster_and_all_name_what_was_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        let run = |name: &str| {
            let run = folder.path().join("runs").join(name);
            fs::create_dir_all(&run).unwrap();
            let event = "{\"time\":0,\"event\":\"run_started\",\"run\":\"\",\"pipeline\":\"p\",\"store\":\"\",\"version\":\"\",\"steps\":1,\"stale\":1}\n";
            File::create(run.join("events.jsonl")).unwrap().write_all(event.as_bytes()).unwrap();
            run
        };
        let (first, second, job) = (run("1"), run("2"), run("3"));
        keep_address(&first, "http://one").unwrap();
        keep_address(&second, "http://two").unwrap();
        add_stopped(&first, ["a-1"]).unwrap();
        add_stopped(&second, ["b-1", "b-2"]).unwrap();
        add_stopped(&second, ["c-1"]).unwrap();

        assert_eq!(last(&store, Path::new("p")), Some((second, "http://two".to_owned())));
        let all: Vec<String> = stopped(&store, Path::new("p")).into_iter().collect();
        assert_eq!(all, ["a-1", "b-1", "b-2", "c-1"]);
        assert_eq!(last(&store, Path::new("q")), None);
        assert!(!job.join(ADDRESS).exists());
    }
}
