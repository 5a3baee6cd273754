//! What all test suites share: the program under test, folders and files for it, inputs and tokenizers.

pub mod character_map;
pub mod characters;
pub mod draws;
pub mod families;
pub mod files;
pub mod kinds;
pub mod languages;
pub mod modules;
pub mod program;
pub mod random_text;
pub mod small_tokenizers;
pub mod stops;
pub mod workshop;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Instant;

/// Returns the root of the checkout.
///
/// # Panics
///
/// Never in a checkout: the crate lies one folder below the root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Returns the folder of shared inputs, or prints why the test is skipped.
///
/// It is `RATDATA_SHARED` if that is set, and otherwise `../shared` next to the checkout.
pub fn shared() -> Option<PathBuf> {
    let folder =
        std::env::var_os("RATDATA_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let there = folder.is_dir().then_some(folder);
    if there.is_none() {
        skipped("no shared inputs; set RATDATA_SHARED to the folder that holds them");
    }
    there
}

/// Returns the tokenizers of `RATDATA_TOKENIZERS=DIR`: every `DIR/NAME/tokenizer.json`, or `.model` where there is no
/// JSON.
///
/// # Panics
///
/// The folder cannot be read, or one in it has neither file.
pub fn given_tokenizers() -> Vec<PathBuf> {
    let Some(folder) = std::env::var_os("RATDATA_TOKENIZERS") else { return Vec::new() };
    let entries = std::fs::read_dir(&folder).expect("RATDATA_TOKENIZERS is a folder");
    let file = |folder: PathBuf| {
        let files = ["tokenizer.json", "tokenizer.model"].map(|name| folder.join(name));
        files.into_iter().find(|file| file.is_file()).expect("it has a tokenizer.json or .model")
    };
    let mut files: Vec<PathBuf> =
        entries.map(|entry| file(entry.expect("the folder is read").path())).collect();
    files.sort();
    files
}

/// Says on stderr that a test did not run, and why.
#[expect(clippy::print_stderr, reason = "a skipped test says so where its runner shows it")]
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// Returns how many seconds a processor has worked for this thread, so that a busy machine does not count.
///
/// Where the system does not say, it is the time of a clock.
pub fn thread_seconds() -> f64 {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let worked = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = worked.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| BEGUN.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}
