//! What the tests share: a folder, small tokenizer files, and what every run owes.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a run may take here, while other tests run.
const SOON: Duration = Duration::from_secs(20);

/// A folder to run the program in.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        use std::io::Write;
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(content).unwrap();
    }

    /// Runs the program.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let program = env!("CARGO_BIN_EXE_ratdata");
        self.finish(Command::new(program).args(arguments))
    }

    fn finish(&self, command: &mut Command) -> Output {
        command
            .current_dir(self.0.path())
            .env("HF_HUB_OFFLINE", "1")
            .env("HF_HOME", self.path("hub"))
            .env("RUST_BACKTRACE", "1")
            .output()
            .unwrap()
    }

    /// Makes the artifact `out` of `input` with a tokenizer, without an EOS.
    pub(crate) fn tokenize(&self, tokenizer: &str, input: &str, out: &str) -> Output {
        let places = ["tokenize", "--tokenizer", tokenizer, "--input", input, "--out", out];
        self.run(&[&places[..], &["--eos", "off"]].concat())
    }

    /// Runs `tokenize` with a tokenizer file under a bound of memory, and checks what every run
    /// owes: to end soon, with a status of its own, and without a panic.
    pub(crate) fn try_out(&self, name: &str, bytes: &[u8]) -> Output {
        self.write(name, bytes);
        self.write("a.jsonl", format!("{{\"text\": \"{}!b\"}}\n", "a".repeat(40)).as_bytes());
        let program = env!("CARGO_BIN_EXE_ratdata");
        let line = format!(
            "ulimit -v 3000000; exec '{program}' tokenize --tokenizer {name} --input a.jsonl \
             --out out --eos off --force --num-proc 2 -q"
        );
        let begun = Instant::now();
        let output = self.finish(Command::new("sh").args(["-c", &line]));
        let said = said(&output);
        assert!(begun.elapsed() < SOON, "{name} took {:?}: {said}", begun.elapsed());
        assert!(matches!(output.status.code(), Some(0..=2)), "{name}: {}: {said}", output.status);
        assert!(!said.contains("panicked") && !said.contains("backtrace"), "{name}: {said}");
        output
    }
}

/// Returns what a run wrote to stderr.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A small byte-free BPE file.
pub(crate) fn small() -> Value {
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
            "byte_fallback": false, "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})
}

/// The small file with one value replaced.
pub(crate) fn with(pointer: &str, value: Value) -> Vec<u8> {
    let mut file = small();
    *file.pointer_mut(pointer).unwrap() = value;
    file.to_string().into_bytes()
}

pub(crate) fn split(regex: &str) -> Vec<u8> {
    let split = json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
    with("/pre_tokenizer", split)
}

pub(crate) fn replace(from: &str, to: &str) -> Value {
    json!({"type": "Replace", "pattern": {"String": from}, "content": to})
}

pub(crate) fn token(id: u64, content: &str) -> Value {
    json!([{"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true}])
}

/// Appends a field of bytes to a protobuf message.
pub(crate) fn field(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    let mut len = bytes.len();
    while len > 0x7f {
        message.push(u8::try_from(len & 0x7f).unwrap() | 0x80);
        len >>= 7;
    }
    message.push(u8::try_from(len).unwrap());
    message.extend_from_slice(bytes);
}

/// A SentencePiece BPE model of these pieces.
pub(crate) fn model(pieces: &[&str]) -> Vec<u8> {
    let mut model = Vec::new();
    for piece in pieces {
        let mut message = Vec::new();
        field(&mut message, 1, piece.as_bytes());
        field(&mut model, 1, &message);
    }
    field(&mut model, 2, &[3 << 3, 2]); // BPE
    field(&mut model, 3, &[3 << 3, 0, 4 << 3, 0]); // no prefix, no removal of spaces
    model
}
