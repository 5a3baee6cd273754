//! What the tests do to files, and what they see of it.

use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;

/// Where older versions looked at no byte of a file of three megabytes: between the first sample and
/// the second.
const UNSEEN: u64 = 20 << 10;

/// Returns three megabytes of JSON lines.
pub(crate) fn large() -> Vec<u8> {
    let line = |n: usize| format!("{{\"text\": \"line {n:06}: the cat sat on the mat\"}}\n");
    let text: String = (0..60_000).map(line).collect();
    assert!(text.len() > 2 << 20);
    text.into_bytes()
}

/// Changes words in place and nothing else: not the size, and nothing that a sample shows.
pub(crate) fn edit(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let at = usize::try_from(UNSEEN).unwrap().min(bytes.len() / 2);
    let mut places = (at..bytes.len() - 3).chain(0..at);
    let found = places.find(|&at| &bytes[at..at + 3] == b"cat").unwrap();
    let new: &[u8] = b"dog";
    bytes[found..found + 3].copy_from_slice(new);
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(new, found as u64).unwrap();
    assert_eq!(fs::read(path).unwrap(), bytes);
}

/// Changes bytes of any file in place, at its middle.
pub(crate) fn flip(path: &Path) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
}

/// Gives a file another time, as `touch` does.
pub(crate) fn touch(path: &Path) {
    set_modified(path, SystemTime::now() + Duration::from_secs(5));
}

pub(crate) fn set_modified(path: &Path, when: SystemTime) {
    let times = FileTimes::new().set_modified(when);
    File::options().write(true).open(path).unwrap().set_times(times).unwrap();
}

/// Writes a file.
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().write_all(bytes).unwrap();
}

/// Runs a command that must end with a status, and returns what it said.
pub(crate) fn ends(workshop: &Workshop, arguments: &[&str], status: i32) -> String {
    let output = workshop.run(arguments);
    told(arguments, &output, status)
}

pub(crate) fn told(arguments: &[&str], output: &Output, status: i32) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(output));
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
    text
}

/// Returns how many bytes a command reads, as the system counts them.
pub(crate) fn reads(workshop: &Workshop, arguments: &[&str]) -> u64 {
    let plain = workshop.command(arguments);
    let mut shell = Command::new("sh");
    // What a process read is added to its parent's count when it ends.
    shell.args(["-c", "\"$@\" > said 2>&1 || exit 1; cat /proc/$$/io", "sh"]);
    shell.arg(plain.get_program()).args(plain.get_args()).current_dir(workshop.path(""));
    shell.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let output = shell.output().unwrap();
    let text = fs::read_to_string(workshop.path("said")).unwrap_or_default();
    assert!(output.status.success(), "{arguments:?}: {text}");
    let counts = String::from_utf8(output.stdout).unwrap();
    let line = counts.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    line.trim().parse().unwrap()
}
