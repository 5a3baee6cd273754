//! A tiny model that was trained, and servers of it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use ratdata_tests::program::{self, stderr};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;

/// Sample data and a tiny model trained on it.
pub(crate) struct Workshop {
    folder: TempDir,
}

impl Workshop {
    /// Makes it once for all tests; none where the trainer was not built.
    pub(crate) fn get() -> Option<&'static Self> {
        static MADE: OnceLock<Option<Workshop>> = OnceLock::new();
        MADE.get_or_init(Self::make).as_ref()
    }

    fn make() -> Option<Self> {
        if !program::has_trainer() {
            eprintln!("ratdata-train is not next to ratdata: nothing is served");
            return None;
        }
        let made = Self { folder: tempfile::tempdir().unwrap() };
        program::write_sample_with_bins(made.folder.path());
        let sets = ["model.vocab_size=1024", "training.iterations=60", "model.chunk_len=16"];
        let mut train = vec!["train", "demo", "--data", "demo/tokens", "--out", "run", "-q"];
        train.extend(["--device", "cpu"]);
        train.extend(sets.iter().flat_map(|set| ["--set", set]));
        let output = made.run(&train);
        assert!(output.status.success(), "{}", stderr(&output));
        Some(made)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        program::command(self.folder.path(), arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Starts a server of the run on a free port.
    pub(crate) fn serve(&self, more: &[&str]) -> Served {
        self.serve_run("run", more)
    }

    /// Starts a server of another run.
    pub(crate) fn serve_run(&self, run: &str, more: &[&str]) -> Served {
        let arguments = [&["serve", run, "--port", "0", "--device", "cpu", "--json"], more];
        let mut command = program::command(self.folder.path(), &arguments.concat());
        command.env("RATDATA_TEST_KEY", "secret").stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(told) = serde_json::from_str::<Value>(&line) else {
            let output = child.wait_with_output().unwrap();
            panic!("no line of JSON: {}", stderr(&output))
        };
        let address = told["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        Served { child: Some(child), client: Client { address, key: None } }
    }

    /// The server that the tests share which neither end it nor count what it does. It ends with the last of
    /// them: a static one would outlive the tests.
    pub(crate) fn shared(&self) -> Arc<Served> {
        static SERVED: Mutex<Weak<Served>> = Mutex::new(Weak::new());
        let mut shared = SERVED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let served = Arc::new(self.serve(&[]));
            *shared = Arc::downgrade(&served);
            served
        })
    }
}

/// A server, which ends with this.
pub(crate) struct Served {
    child: Option<Child>,
    pub(crate) client: Client,
}

impl Served {
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// The process with the model.
    pub(crate) fn model_id(&self) -> u32 {
        let id = self.id();
        let mut found = None;
        for task in std::fs::read_dir(format!("/proc/{id}/task")).unwrap() {
            let children = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap();
            found = children.split_whitespace().next().map(|id| id.parse().unwrap()).or(found);
        }
        found.unwrap()
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> Output {
        self.child.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Sends a signal.
pub(crate) fn signal(name: &str, id: u32) {
    assert!(Command::new("kill").args([name, &id.to_string()]).status().unwrap().success());
}

/// The memory of a process, in bytes.
pub(crate) fn memory(id: u32) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("status"));
    let status = status.unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}
