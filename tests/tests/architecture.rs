//! Which crate may use which, that no modules need each other in a circle, and how long a file may be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use ratdata_tests::modules::Modules;
use serde_json::Value;

/// The most lines a source file may have without a sentence that says why.
const LINES: usize = 500;

/// What a longer file says, followed by its reason, in one of its first lines.
const REASON: &str = "Longer than 500 lines because";

#[test]
fn crates_depend_in_one_direction() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(ratdata_tests::root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let ours: BTreeSet<&str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|p| p["name"].as_str())
        .collect();

    let mut edges = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        for dependency in package["dependencies"].as_array().unwrap() {
            let (from, to) =
                (package["name"].as_str().unwrap(), dependency["name"].as_str().unwrap());
            if dependency["kind"].is_null() && ours.contains(to) {
                edges.insert((from, to));
            }
        }
    }

    let allowed = BTreeSet::from([
        ("ratdata", "ratdata-console"),
        ("ratdata", "ratdata-prepare"),
        ("ratdata", "ratdata-schemas"),
        ("ratdata", "ratdata-score"),
        ("ratdata", "ratdata-serve"),
        ("ratdata", "ratdata-tokenize"),
        ("ratdata-fuzz", "ratdata-schemas"),
        ("ratdata-fuzz", "ratdata-tokenize"),
        ("ratdata-prepare", "ratdata-schemas"),
        ("ratdata-prepare", "ratdata-tokenize"),
        ("ratdata-serve", "ratdata-schemas"),
        ("ratdata-serve", "ratdata-tokenize"),
        ("ratdata-tests", "ratdata-schemas"),
        ("ratdata-tokenize", "ratdata-schemas"),
        ("ratdata-train", "ratdata-console"),
        ("ratdata-train", "ratdata-gpu"),
        ("ratdata-train", "ratdata-schemas"),
    ]);
    assert_eq!(edges, allowed);
}

#[test]
fn the_trainer_links_no_text_library_and_data_work_no_trainer() {
    let tree = |package: &str| {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "-p", package, "-e", "normal", "--prefix", "none", "--offline"])
            .current_dir(ratdata_tests::root())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .filter_map(|line| line.split(' ').next().map(str::to_owned))
            .collect::<BTreeSet<_>>()
    };

    let trainer = tree("ratdata-train");
    let data = tree("ratdata");

    assert!(trainer.contains("burn") && data.contains("parquet"), "cargo tree printed nothing");
    for stranger in ["parquet", "arrow", "tokenizers"] {
        assert!(!trainer.contains(stranger), "ratdata-train links {stranger}");
    }
    assert!(!data.contains("burn"), "ratdata links burn");
}

/// The circles of modules that stand today, by crate. The list only gets shorter: a circle that is
/// gone leaves it, and a new circle is not written into it but opened.
const CIRCLES: [(&str, &[&str]); 10] = [
    ("console", &[]),
    ("fuzz", &[]),
    ("gpu", &[]),
    ("pipeline", &[]),
    ("prepare", &[]),
    ("schemas", &[]),
    ("serve", &[]),
    ("tests", &[]),
    ("tokenize", &[]),
    ("trainer", &[]),
];

#[test]
fn no_modules_need_each_other_in_a_circle() {
    for (room, known) in CIRCLES {
        let src = ratdata_tests::root().join(room).join("src");
        let (mut files, mut read) = (0, 0);
        visit(&src, &mut |_| files += 1);
        let mut found = BTreeSet::new();
        for root in ["lib.rs", "main.rs"].map(|name| src.join(name)) {
            if root.is_file() {
                let modules = Modules::read(&root);
                read += modules.num_files();
                found.extend(modules.circles());
            }
        }

        let known: BTreeSet<String> = known.iter().map(|&circle| circle.to_owned()).collect();
        let new: Vec<_> = found.difference(&known).collect();
        let gone: Vec<_> = known.difference(&found).collect();
        assert!(new.is_empty(), "{room}: new circles of modules, move what ties them: {new:#?}");
        assert!(
            gone.is_empty(),
            "{room}: these circles are gone, take them off the list: {gone:#?}"
        );
        assert_eq!(read, files, "{room}: files under src that no `mod` leads to");
    }
}

#[test]
fn a_long_file_says_why() {
    let mut long = Vec::new();
    for room in ["pipeline", "prepare", "tokenize", "trainer", "gpu", "schemas", "serve", "tests"] {
        visit(&ratdata_tests::root().join(room), &mut |path| {
            let text = std::fs::read_to_string(path).unwrap();
            let explained = text.lines().take(20).any(|line| line.contains(REASON));
            if text.lines().count() > LINES && !explained {
                long.push(format!("{}: {} lines", path.display(), text.lines().count()));
            }
        });
    }

    assert!(long.is_empty(), "split them, or say why they are whole:\n{}", long.join("\n"));
}

fn visit(folder: &Path, file: &mut impl FnMut(&Path)) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            visit(&path, file);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            file(&path);
        }
    }
}
