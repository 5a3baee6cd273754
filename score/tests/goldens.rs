//! The scores of the Python packages, row by row: those of `goldens.json`, and of the shared folder.
#![expect(clippy::unwrap_used, reason = "a test stops where a value is missing")]

use ratdata_score::Metric;
use serde_json::Value;

/// Returns how many scores were compared.
fn compare(text: &str, keys: &[(&str, Metric)]) -> usize {
    let rows: Vec<Value> = serde_json::from_str(text).unwrap();
    let mut compared = 0;
    for row in &rows {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        for (key, metric) in keys {
            let Some(expected) = row[*key].as_f64() else { continue };
            let found = metric.score(&text("pred"), &[text("ref")], &[]);
            assert!((found - expected).abs() < 1e-6, "{key}: {found}, expected {expected}: {row}");
            compared += 1;
        }
    }
    compared
}

/// `scripts/score_goldens.py` writes the file.
#[test]
fn random_and_odd_texts_score_as_in_python() {
    let metrics = [Metric::F1, Metric::RougeL, Metric::CodeSim, Metric::RougeLGoogle];
    let keys = metrics.map(|metric| (metric.name(), metric));

    assert_eq!(compare(include_str!("goldens.json"), &keys), 4 * 260);
}

#[test]
fn the_shared_pairs_score_as_in_python() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/golden/score_pairs.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("{path} is not there: its pairs are not compared");
        return;
    };
    let keys =
        [("f1", Metric::F1), ("rouge_l", Metric::RougeL), ("rouge_score_L", Metric::RougeLGoogle)];

    assert!(compare(&text, &keys) >= 36);
}
