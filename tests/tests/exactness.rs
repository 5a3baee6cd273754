//! All ids against the oracle's: on texts in many languages, on source code, and on characters of all of Unicode in
//! four surroundings each.
//!
//! Small tokenizers of every kind are tried in each run, on the characters where the general category changes.
//! `RATDATA_TOKENIZERS=DIR` adds every `DIR/NAME/tokenizer.json`, and the shared tokenizers, on all characters and
//! all of our source.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ratdata_tests::characters::{all, range_ends, surrounded};
use ratdata_tests::languages::LANGUAGES;
use ratdata_tests::small_tokenizers::{
    SmallTokenizer, small_tokenizers, small_tokenizers_of_stages,
};
use ratdata_tests::{given_tokenizers, root, shared};
use ratdata_tokenize::tokenizer::{SpecialInText, Tokenizer};

/// How many characters stand in one text.
const TOGETHER: usize = 64;

/// Returns the source files of this project: every n-th one.
fn source(step: usize) -> Vec<String> {
    let mut paths = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if ["rs", "py", "sh", "md", "toml", "json", "css", "js"].contains(&&*ending) {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let texts = paths.iter().step_by(step).map(|path| fs::read_to_string(path).unwrap_or_default());
    texts.filter(|text| text.len() < 1 << 18).collect()
}

/// Returns characters in their surroundings.
fn in_surroundings(characters: &[char]) -> Vec<String> {
    characters.chunks(TOGETHER).flat_map(surrounded).collect()
}

/// Compares the ids of texts with those of the oracle, and says where they first differ.
fn compare(name: &str, tokenizer: &Tokenizer, texts: &[String], specials: SpecialInText) {
    assert_eq!(tokenizer.uncovered(), None, "{name}");
    let mut encoder = tokenizer.encoder(specials);
    let oracle = tokenizer.oracle();
    for text in texts {
        let mut ids: Vec<u32> = Vec::new();
        encoder.encode_into(text, &mut ids).unwrap();
        let expected = oracle.encode(text, specials).unwrap();
        if ids != expected {
            let at = ids.iter().zip(&expected).take_while(|(one, other)| one == other).count();
            let (ours, theirs) = (ids.get(at), expected.get(at));
            let begin: String = text.chars().take(2000).collect();
            panic!("{name} differs from id {at} on: {ours:?} instead of {theirs:?}, in {begin:?}");
        }
    }
}

/// Runs all of these on as many threads as there are cores.
fn each<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let items = Mutex::new(items.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = items.lock().unwrap().next();
                    let Some(item) = next else { break };
                    work(item);
                }
            });
        }
    });
}

#[test]
fn small_tokenizers_of_every_kind_have_the_ids_of_their_oracle() {
    let mut texts: Vec<String> = LANGUAGES.iter().map(|(_, text)| (*text).to_owned()).collect();
    texts.extend(source(40));
    texts.extend(in_surroundings(&range_ends()));
    let kinds = small_tokenizers().into_iter().chain(small_tokenizers_of_stages()).collect();
    each(kinds, |SmallTokenizer { name, file }: SmallTokenizer| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        ratdata_tests::files::write(&path, file.to_string());
        let tokenizer = Tokenizer::load(&path).unwrap();
        compare(&name, &tokenizer, &texts, SpecialInText::Parse);
    });
}

#[test]
fn real_tokenizers_have_the_ids_of_their_oracle() {
    let given = given_tokenizers();
    if given.is_empty() {
        return ratdata_tests::skipped(
            "no real tokenizers; set RATDATA_TOKENIZERS to a folder of them",
        );
    }
    let own = [
        "llama/tokenizer.json",
        "llama/tokenizer.model",
        "mistral-v1/tokenizer.json",
        "mistral-v1/tokenizer.model",
        "gpt2/tokenizer.json",
    ];
    let own = own.iter().filter_map(|file| Some(shared()?.join("tokenizers").join(file)));
    let paths: Vec<PathBuf> = given.into_iter().chain(own).collect();
    let mut texts: Vec<String> = LANGUAGES.iter().map(|(_, text)| (*text).to_owned()).collect();
    texts.extend(source(1));
    texts.extend(in_surroundings(&all()));
    each(paths, |path: PathBuf| {
        let tokenizer = Tokenizer::load(&path).unwrap();
        for specials in [SpecialInText::Parse, SpecialInText::Plain] {
            compare(&told(&path, specials), &tokenizer, &texts, specials);
        }
    });
}

fn told(path: &Path, specials: SpecialInText) -> String {
    format!("{} ({specials:?})", path.display())
}
