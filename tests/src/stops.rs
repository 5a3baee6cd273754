//! Runs that are stopped at a moment of the test's choice, and what they leave.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::files::content;

/// Starts a run and stops it after `delay`, by a kill or as Ctrl-C does; returns how it ended.
///
/// # Panics
///
/// The system refuses.
pub fn stopped(mut command: Command, is_kill: bool, delay: Duration) -> ExitStatus {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = quiet.spawn().expect("cargo built the program");
    std::thread::sleep(delay);
    if let Some(ended) = run.try_wait().expect("it is ours") {
        return ended;
    }
    if is_kill {
        run.kill().expect("it is ours");
    } else {
        // It may have ended since, and then there is nobody to tell.
        let number = run.id().to_string();
        Command::new("kill").args(["-INT", &number]).status().expect("there is a `kill`");
    }
    run.wait().expect("it is ours")
}

/// Returns the files that have a final name: neither partial nor the job's own notes.
pub fn final_files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = content(root);
    files.retain(|name, _| {
        !name.starts_with(".job") && name.extension().is_none_or(|ending| ending != "partial")
    });
    files
}
