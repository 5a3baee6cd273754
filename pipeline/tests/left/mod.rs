//! What a run says of the folder that it has left.

use std::fs;

use serde_json::Value;

use crate::workshop::{Workshop, said};

/// Runs `tokenize` as it should go, and returns the manifest of `out`.
pub(crate) fn manifest(workshop: &Workshop, out: &str, arguments: &[&str]) -> Value {
    let output = workshop.tokenize(&[arguments, &["--out", out, "--quiet"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&fs::read(workshop.path(out).join("manifest.json")).unwrap()).unwrap()
}
