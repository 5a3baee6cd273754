//! Which files the splits of a task read, and that a result does not depend on where it is made.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ratdata_schemas::Manifest;
use ratdata_tests::files::write;
use ratdata_tests::program::{run, stderr, write_sample};
use tempfile::TempDir;

const TEMPLATE: &str = "[chat]\ntemplate = '''{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}'''\n";

/// Runs the program and returns its status and what it wrote to stderr.
fn ended(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = run(folder, arguments);
    (output.status.code(), stderr(&output))
}

/// A folder with the demo's tokenizer, three rows in `d/train.jsonl` and two in `d/test.jsonl`.
fn workshop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_sample(folder.path());
    rows(&folder.path().join("d/train.jsonl"), 3);
    rows(&folder.path().join("d/test.jsonl"), 2);
    folder
}

fn rows(path: &Path, count: usize) {
    let row = |number| {
        format!(
            "{{\"messages\": [{{\"role\": \"user\", \"content\": \"{number}?\"}}, {{\"role\": \"assistant\", \"content\": \"{}\"}}]}}\n",
            path.display()
        )
    };
    write(path, (0..count).map(row).collect::<String>());
}

fn task(folder: &Path, splits: &[(&str, &str)]) {
    let splits =
        splits.iter().map(|(name, source)| format!("[splits.{name}]\nsource = \"{source}\"\n"));
    write(&folder.join("task.toml"), &(TEMPLATE.to_owned() + &splits.collect::<String>()));
}

fn sft(folder: &Path, more: &[&str]) -> (Option<i32>, String) {
    drop(fs::remove_dir_all(folder.join("out")));
    let given = ["sft", "--task-file", "task.toml", "--tokenizer", "demo/tokenizer"];
    let to = ["--out", "out", "--max-length", "64"];
    ended(folder, &[&given[..], &to, more].concat())
}

/// How many rows each split has, and of which files.
fn made(folder: &Path) -> BTreeMap<String, u64> {
    let manifest = Manifest::read(&folder.join("out")).unwrap();
    let rows = |split: &ratdata_schemas::SplitRecord| match split {
        ratdata_schemas::SplitRecord::Pairs(pairs) => pairs.rows,
        other => panic!("{other:?}"),
    };
    manifest.splits.iter().map(|(name, split)| (name.to_string(), rows(split))).collect()
}

fn counts(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect()
}

#[test]
fn each_split_reads_its_own_file_below_the_input() {
    let folder = workshop();
    let root = folder.path();
    task(root, &[("train", "d/train.jsonl"), ("validation", "d/test.jsonl")]);
    fs::create_dir(root.join("far")).unwrap();
    fs::rename(root.join("d"), root.join("far/d")).unwrap();

    for input in ["far", "far/d", "./far/d/"] {
        let (status, said) = sft(root, &["--input", input]);

        assert_eq!(status, Some(0), "{said}");
        assert_eq!(made(root), counts(&[("train", 3), ("val", 2)]), "{input}");
    }
}

#[test]
fn a_file_that_is_not_there_is_told_with_what_was_looked_for() {
    let folder = workshop();
    let root = folder.path();
    task(root, &[("train", "e/train.jsonl"), ("validation", "e/dev.jsonl")]);

    let (status, said) = sft(root, &["--input", "d"]);

    assert_eq!(status, Some(2), "{said}");
    for says in ["split `validation`", "`d/e/dev.jsonl`, `d/dev.jsonl`", "test.jsonl, train.jsonl"]
    {
        assert!(said.contains(says), "{said}");
    }
    assert!(!root.join("out/manifest.json").exists());
}

#[test]
fn one_file_is_the_input_of_one_split() {
    let folder = workshop();
    let root = folder.path();
    task(root, &[("train", "x.jsonl"), ("validation", "y.jsonl")]);

    let (status, said) = sft(root, &["--input", "d/train.jsonl"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("one file cannot be splits train, validation"), "{said}");

    let (status, said) = sft(root, &["--input", "d/train.jsonl", "--split", "train"]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(made(root), counts(&[("train", 3)]));
}

#[test]
fn two_splits_share_a_file_only_where_the_task_gives_it_to_both() {
    let folder = workshop();
    let root = folder.path();
    task(root, &[("train", "d/train.jsonl"), ("validation", "./d/train.jsonl")]);
    let (status, said) = sft(root, &[]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("read by split `train` and by split `validation`"), "{said}");

    rows(&root.join("plain/a.jsonl"), 4);
    task(root, &[("train", "plain"), ("validation", "plain")]);
    let (status, said) = sft(root, &[]);
    assert_eq!(status, Some(2), "{said}");

    task(root, &[("train", "plain/a.jsonl"), ("validation", "plain/a.jsonl")]);
    let (status, said) = sft(root, &[]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(made(root), counts(&[("train", 4), ("val", 4)]));
}

#[test]
fn a_held_out_file_enters_train_only_where_the_task_names_it() {
    let folder = workshop();
    let root = folder.path();
    for (source, of_train, warned) in [
        ("d", 3, true),
        ("d/*.jsonl", 3, true),
        ("d/test*.jsonl", 2, false),
        ("d/test.jsonl", 2, false),
    ] {
        task(root, &[("train", source)]);

        let (status, said) = sft(root, &[]);

        assert_eq!(status, Some(0), "{source}: {said}");
        assert_eq!(made(root), counts(&[("train", of_train)]), "{source}");
        assert_eq!(said.contains("`train` does not read test.jsonl"), warned, "{source}: {said}");
    }
    task(root, &[("train", "d"), ("test", "d")]);
    let (status, said) = sft(root, &[]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(made(root), counts(&[("test", 2), ("train", 3)]));

    fs::remove_file(root.join("d/train.jsonl")).unwrap();
    task(root, &[("train", "d")]);
    let (status, said) = sft(root, &[]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("`d` has files of other splits alone: test.jsonl"), "{said}");
}

/// All files below a folder, with their bytes.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != ".ratdata-lock") {
                let bytes = fs::read(&path).unwrap();
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), bytes);
            }
        }
    }
    found
}

#[test]
fn the_same_job_gives_the_same_bytes_in_every_folder() {
    for more in [&[][..], &["--packing", "best-fit"]] {
        let mut trees = Vec::new();
        for absolute in [false, false, true] {
            let folder = workshop();
            let root = folder.path();
            for name in ["train", "test"] {
                write(
                    &root.join(format!("d/{name}.jsonl")),
                    "{\"messages\": [{\"role\": \"assistant\", \"content\": \"same words\"}]}\n",
                );
            }
            let at = if absolute { format!("{}/d/", root.display()) } else { String::new() };
            task(root, &[("train", &format!("{at}train.jsonl"))]);
            // By its own path the task is found from elsewhere, too.
            let file = root.join(if absolute { "task.toml" } else { "d/task.toml" });
            if !absolute {
                fs::rename(root.join("task.toml"), &file).unwrap();
            }
            let file = file.display().to_string();
            let to = ["--tokenizer", "demo/tokenizer", "--out", "out", "--max-length", "64"];
            let (status, said) =
                ended(root, &[&["sft", "--task-file", &file][..], &to, more].concat());
            assert_eq!(status, Some(0), "{said}");
            let made = tree(&root.join("out"));
            for (path, bytes) in &made {
                let text = String::from_utf8_lossy(bytes);
                assert!(!text.contains(&*root.to_string_lossy()), "{}: {text}", path.display());
            }
            trees.push(made);
        }
        assert!(trees[0].len() > 2);
        assert!(trees[0] == trees[1]);
        assert!(trees[0] == trees[2]);
    }
}
