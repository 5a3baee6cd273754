//! The JSON schemas in this folder are generated from the types, and stay so.
//!
//! `RATDATA_REGENERATE=1 cargo test -p ratdata-schemas --test generated` writes them again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use ratdata_schemas::{Manifest, RunEvent};
use schemars::schema_for;

#[test]
fn the_manifest_schema_is_what_the_types_say() {
    hold("manifest.schema.json", &schema_for!(Manifest));
}

#[test]
fn the_schema_of_run_events_is_what_the_types_say() {
    hold("run_event.schema.json", &schema_for!(RunEvent));
}

fn hold(name: &str, schema: &schemars::Schema) {
    let text = format!("{}\n", serde_json::to_string_pretty(schema).unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);

    if std::env::var_os("RATDATA_REGENERATE").is_some() {
        use std::io::Write;
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    let held = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(held, text, "run with RATDATA_REGENERATE=1 to write it again");
}
