//! Which crate may use which, that no modules need each other in a circle, and how long a file may be.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

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
        ("ratdata", "ratdata-objects"),
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
        ("ratdata-tokenize", "ratdata-objects"),
        ("ratdata-tokenize", "ratdata-schemas"),
        ("ratdata-train", "ratdata-console"),
        ("ratdata-train", "ratdata-gpu"),
        ("ratdata-train", "ratdata-schemas"),
    ]);
    assert_eq!(edges, allowed);
}

/// The Python package's crate has a lock file of its own, which `cargo` keeps for it alone.
#[test]
fn the_python_package_has_the_versions_of_the_other_crates() {
    let read = |path: &str| {
        let text = std::fs::read_to_string(ratdata_tests::root().join(path)).unwrap();
        text.parse::<toml::Table>().unwrap()
    };
    let (all, python) = (read("Cargo.lock"), read("python/Cargo.lock"));
    let known: BTreeSet<(&str, &str)> = packages(&all).map(|p| (p.name, p.version)).collect();
    let names: BTreeSet<&str> = known.iter().map(|&(name, _)| name).collect();
    let mut other = Vec::new();
    for package in packages(&python) {
        let Package { name, version, dependencies } = package;
        let ours = packages(&all).find(|ours| ours.name == name);
        let same = match ours {
            // What a crate of ours depends on, the tests' libraries left out.
            Some(ours) if name.starts_with("ratdata-") => {
                dependencies.iter().all(|one| ours.dependencies.contains(one))
            }
            _ => !names.contains(name) || known.contains(&(name, version)),
        };
        if !same && name != "ratdata-python" {
            other.push(format!("{name} {version}"));
        }
    }

    assert!(
        other.is_empty(),
        "python/Cargo.lock has other versions; `cp Cargo.lock python/ && cargo metadata --manifest-path \
         python/Cargo.toml > /dev/null` gives it those of Cargo.lock: {other:?}"
    );
    let manifest = read("python/Cargo.toml");
    let libraries = manifest["dependencies"].as_table().unwrap().keys();
    let of_ours: Vec<&String> = libraries.filter(|name| name.starts_with("ratdata-")).collect();
    assert_eq!(of_ours, ["ratdata-schemas", "ratdata-tokenize"]);
}

/// A package of a lock file.
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    /// The names of what it depends on.
    dependencies: BTreeSet<&'a str>,
}

fn packages(lock: &toml::Table) -> impl Iterator<Item = Package<'_>> {
    lock["package"].as_array().unwrap().iter().map(|package| {
        let text = |key: &str| package[key].as_str().unwrap();
        let dependencies = package.get("dependencies").and_then(|all| all.as_array());
        let dependencies = dependencies.into_iter().flatten();
        Package {
            name: text("name"),
            version: text("version"),
            dependencies: dependencies
                .map(|one| one.as_str().unwrap().split(' ').next().unwrap())
                .collect(),
        }
    })
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
const CIRCLES: [(&str, &[&str]); 12] = [
    ("console", &[]),
    ("fuzz", &[]),
    ("gpu", &[]),
    ("objects", &[]),
    ("pipeline", &[]),
    ("prepare", &[]),
    ("python", &[]),
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
    let rooms = [
        "pipeline", "prepare", "python", "tokenize", "trainer", "gpu", "schemas", "serve", "tests",
    ];
    for room in rooms {
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
