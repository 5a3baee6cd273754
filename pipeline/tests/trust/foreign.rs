//! Manifests of somebody else: names that lead out, numbers that do not fit, links to elsewhere.
//!
//! Each is given to every command that reads one. None may succeed, abort, or write outside of its
//! `--out`, and each tells the key that is wrong.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::support::{change, first_bin, mend, workshop};
use ratdata_tests::files::write;
use ratdata_tests::program::run;

/// Runs the program where memory is short: what asks for tens of gigabytes is told no, and aborts.
fn in_little_memory(arguments: &[&str], folder: &Path) -> Output {
    Command::new("bash")
        .args(["-c", "ulimit -v 8000000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_ratdata")])
        .args(arguments)
        .current_dir(folder)
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HOME", folder.join("hub"))
        .output()
        .unwrap()
}

/// Every command that reads an artifact's manifest; what they write lies below `deep/out`.
fn readers(artifact: &str) -> Vec<Vec<&str>> {
    let out = ["--out", "deep/out/x"];
    let export = |to: &'static str| {
        let tokenizer = ["--tokenizer", "demo/tokenizer"];
        [&["export", artifact, "--to", to], &tokenizer[..], &out].concat()
    };
    vec![
        vec!["inspect", artifact],
        vec!["verify", artifact],
        vec!["report", artifact, "--out", "deep/out/report.html"],
        vec!["trace", artifact, "--token", "0"],
        vec!["trace", artifact, "--row", "0"],
        [&["pack", "--input", artifact, "--seq-len", "64"], &out[..]].concat(),
        [&["merge", "--input", artifact], &out[..]].concat(),
        export("npy"),
        export("llmc"),
        export("jsonl"),
        export("safetensors"),
    ]
}

/// Returns every file below a folder but those of `deep/out`, with its size.
fn tree(root: &Path) -> BTreeMap<String, u64> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, u64>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() && name != "deep/out" && name != "hub" {
                walk(root, &path, found);
            } else if !metadata.is_dir() {
                found.insert(name, metadata.len());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

/// Gives an artifact to all readers, which must refuse it.
fn refused_by_all(root: &Path, artifact: &str, case: &str, key: &str) {
    fs::create_dir_all(root.join("deep/out")).unwrap();
    let before = tree(root);
    for arguments in readers(artifact) {
        let output = in_little_memory(&arguments, root);

        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let status = output.status.code();
        assert!(matches!(status, Some(1..=3)), "{case}: {arguments:?}: {status:?}: {said}");
        assert!(said.starts_with("error: "), "{case}: {arguments:?}: {said}");
        assert!(said.contains(key), "{case}: {arguments:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("backtrace"), "{case}: {said}");
        assert!(output.stdout.is_empty(), "{case}: {arguments:?} says something");
        assert_eq!(tree(root), before, "{case}: {arguments:?} writes outside of its folder");
    }
}

/// Changes a whole manifest in each of the ways, and gives it to all readers.
fn refused_in_each_way(root: &Path, artifact: &str, ways: &[(&str, Value, &str)]) {
    let path = root.join(artifact).join("manifest.json");
    let whole = fs::read(&path).unwrap();
    for (at, value, key) in ways {
        mend(&root.join(artifact), |manifest| match at.strip_prefix("rename ") {
            None => *manifest.pointer_mut(at).unwrap() = value.clone(),
            Some(split) => {
                let record = manifest["splits"].as_object_mut().unwrap().remove(split).unwrap();
                manifest["splits"][value.as_str().unwrap()] = record;
            }
        });
        let mut case = format!("{at} = {value}");
        case.truncate(120);

        refused_by_all(root, artifact, &case, key);

        change(&path, |bytes| whole.clone_into(bytes));
    }
}

#[test]
fn a_name_that_leads_anywhere_is_refused_by_every_reader() {
    let folder = workshop();
    let root = folder.path();
    let absolute = root.join("abs").display().to_string();
    let long = "x".repeat(300);
    let names = [
        "../../evil",
        &absolute,
        "",
        ".",
        "..",
        ".hidden",
        "-x",
        "a/b",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\u{1b}[31m",
        "CON",
        "nul.txt",
        &long,
    ];
    let mut ways: Vec<(&str, Value, &str)> = Vec::new();
    for name in names {
        ways.push(("/name", json!(name), "`name`: found the name"));
        ways.push(("rename train", json!(name), "`splits`: found the name"));
    }
    for path in ["../x.bin", "/etc/passwd", "", ".", "./x", "shards/../../x", "a//b", "a\0b"] {
        let at = "/splits/train/shards/0/bin/path";
        ways.push((at, json!(path), "`splits.train.shards[0].bin.path`: found the path"));
    }

    refused_in_each_way(root, "demo/tokens", &ways);
}

#[test]
fn a_number_that_does_not_fit_is_refused_by_every_reader() {
    let folder = workshop();
    let root = folder.path();
    let shard = "/splits/train/shards/0";
    let at = |rest: &str| format!("{shard}{rest}");
    let (documents, tokens, bytes) = (at("/documents"), at("/tokens"), at("/bin/bytes"));
    let ways: Vec<(&str, Value, &str)> = vec![
        ("/tokenizer/eos", json!(4_000_000_000_u32), "`eos` is id 4000000000"),
        ("/tokenizer/bos", json!(u32::MAX), "`bos` is id 4294967295"),
        ("/tokenizer/pad", json!(u64::MAX), "`tokenizer.pad`: invalid value"),
        ("/tokenizer/eos", json!(-1), "`tokenizer.eos`: invalid value"),
        ("/tokenizer/vocab_size", json!(u32::MAX), "`vocab_size` of 4294967295"),
        ("/tokenizer/vocab_size", json!(0), "`vocab_size` of 0"),
        (&documents, json!(u64::MAX), "`documents`"),
        (&tokens, json!(u64::MAX), "`tokens`"),
        (&bytes, json!(u64::MAX), "`bytes`"),
        ("/splits", json!({}), "the artifact is empty"),
        ("/splits/train/shards", json!(1), "`splits.train`: invalid type"),
    ];

    refused_in_each_way(root, "demo/tokens", &ways);
}

#[test]
fn a_pack_of_rows_that_no_memory_holds_is_refused_by_every_reader() {
    let folder = workshop();
    let root = folder.path();
    for more in [&[][..], &["--materialize"]] {
        let pack =
            ["pack", "--input", "demo/tokens", "--out", "pack", "--seq-len", "64", "--force"];
        let made = run(root, &[&pack[..], more].concat());
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // A pack that is written out holds its spans one level deeper.
        let at = if more.is_empty() { "/splits/train" } else { "/splits/train/pack" };
        let keys = ["row_len", "rows", "tokens"].map(|key| format!("{at}/{key}"));
        let ways: Vec<(&str, Value, &str)> = vec![
            (&keys[0], json!(u32::MAX), "`row_len` is 4294967295, expected 1 to 16777216"),
            (&keys[0], json!(0), "`row_len` is 0"),
            (&keys[1], json!(u64::MAX), "`rows` is 18446744073709551615"),
            (&keys[2], json!(u64::MAX), "`tokens` is 18446744073709551615"),
        ];

        refused_in_each_way(root, "pack", &ways);
    }
}

#[test]
fn one_file_that_is_many_shards_is_refused_before_any_is_mapped() {
    let folder = workshop();
    let root = folder.path();
    mend(&root.join("demo/tokens"), |manifest| {
        let shard = manifest["splits"]["train"]["shards"][0].clone();
        manifest["splits"]["train"]["shards"] = vec![shard; 100_000].into();
    });

    refused_by_all(root, "demo/tokens", "100,000 shards", "is named twice");
}

#[test]
fn a_link_out_of_the_artifact_is_refused_by_every_reader() {
    let folder = workshop();
    let root = folder.path();
    let outside = root.join("outside");
    fs::create_dir(&outside).unwrap();
    for ending in ["bin", "idx"] {
        let file = first_bin(root).with_extension(ending);
        let target = outside.join(format!("x.{ending}"));
        fs::rename(&file, &target).unwrap();
        symlink(&target, &file).unwrap();

        refused_by_all(root, "demo/tokens", ending, "which is not inside the artifact");
        let path = file.strip_prefix(root).unwrap().to_str().unwrap();
        let alone = run(root, &["inspect", path]);
        let said = String::from_utf8(alone.stderr).unwrap();
        assert!(said.contains("which is not inside the artifact"), "{said}");

        fs::remove_file(&file).unwrap();
        fs::rename(&target, &file).unwrap();
    }
    // The folder that the shards lie in may be the link, too.
    fs::rename(root.join("demo/tokens/shards"), outside.join("shards")).unwrap();
    symlink(outside.join("shards"), root.join("demo/tokens/shards")).unwrap();
    refused_by_all(root, "demo/tokens", "shards", "which is not inside the artifact");
    let arguments = ["tokenize", "--tokenizer", "demo/tokenizer", "--input", "demo/corpus"];
    let forced = [&arguments[..], &["--out", "demo/tokens", "--name", "demo", "--force"]].concat();
    let replaced = run(root, &forced);
    let said = String::from_utf8(replaced.stderr).unwrap();
    assert!(said.contains("which is not inside the artifact"), "{said}");
    assert!(fs::read_dir(outside.join("shards")).unwrap().count() > 0, "files outside are removed");
}

#[test]
fn a_bin_that_was_cut_is_told_with_both_sizes() {
    let folder = workshop();
    let root = folder.path();
    change(&first_bin(root), |bytes| bytes.truncate(bytes.len() - 1));
    let size = fs::metadata(first_bin(root)).unwrap().len();

    for arguments in readers("demo/tokens") {
        let output = run(root, &arguments);

        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said.contains(&format!("{size} bytes")), "{arguments:?}: {said}");
        assert!(said.contains(&(size + 1).to_string()), "{arguments:?}: {said}");
        assert!(!said.contains("--dtype"), "{arguments:?}: {said}");
    }
}

#[test]
fn an_artifact_without_a_document_is_said_to_be_empty() {
    let folder = workshop();
    let root = folder.path();
    write(&root.join("none.bin"), b"");
    let import = ["import", "none.bin", "--from", "raw", "--eos", "none", "--out", "none"];
    assert!(run(root, &import).status.success());

    let verified = run(root, &["verify", "none"]);

    let said = String::from_utf8(verified.stderr).unwrap();
    assert!(
        verified.status.success() && said.contains("warning: none: the artifact is empty"),
        "{said}"
    );
    mend(&root.join("none"), |manifest| manifest["splits"] = json!({}));
    assert_eq!(run(root, &["verify", "none"]).status.code(), Some(3));
    assert_eq!(run(root, &["inspect", "none"]).status.code(), Some(1));
}

#[test]
fn numbers_of_the_command_line_are_told_with_what_is_expected() {
    let folder = workshop();
    let root = folder.path();
    let tokens = "demo/tokens";
    let cases: [(&[&str], &str); 17] = [
        (&["export", tokens, "--to", "llmc", "--out", "deep/x", "--eos", "70000"], "70000"),
        (&["export", tokens, "--to", "npy", "--out", "deep/x", "--eos", "70000"], "70000"),
        (&["export", tokens, "--to", "llmc", "--out", "deep/x", "--eos", "-1"], "from 0 on"),
        (&["export", tokens, "--to", "llmc", "--out", "deep/x", "--eos", "1e9"], "from 0 on"),
        (&["export", tokens, "--to", "llmc", "--out", "deep/x", "--eos", "4294967296"], "from 0"),
        (&["import", "x.bin", "--from", "raw", "--out", "deep/x", "--eos", "70000"], "70000"),
        (&["import", "x.bin", "--from", "raw", "--out", "deep/x", "--eos", "-2"], "from 0 on"),
        (&["pack", "--input", tokens, "--out", "deep/x", "--seq-len", "4294967295"], "16,777,215"),
        (&["pack", "--input", tokens, "--out", "deep/x", "--seq-len", "-1"], "-1"),
        (&["tokenize", "--num-proc", "99999999999999999999"], "from 1 to 4096"),
        (&["tokenize", "--num-proc", "100000000"], "from 1 to 4096"),
        (&["tokenize", "--num-proc", "-1"], "found `-1`"),
        (&["tokenize", "--split-seed", "-1"], "found `-1`"),
        (&["tokenize", "--limit-docs", "0"], "from 1 to"),
        (&["trace", tokens, "--token", "-1"], "found `-1`"),
        (&["trace", tokens, "--row", "0", "--seq-len", "0"], "from 1 to 16777216"),
        (&["inspect", "x.bin", "--row-len", "4294967295"], "from 1 to 16777216"),
    ];
    write(&root.join("x.bin"), [1, 0, 2, 0]);
    let before = tree(root);
    for (arguments, says) in cases {
        let output = in_little_memory(arguments, root);

        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
        assert_eq!(tree(root), before, "{arguments:?}");
    }
    // An id that the vocabulary has is one.
    let export = ["export", tokens, "--to", "llmc", "--out", "deep/x", "--eos", "1"];
    assert!(run(root, &export).status.success());
}

#[test]
fn a_name_on_the_command_line_is_one_plain_name() {
    let folder = workshop();
    let root = folder.path();
    let before = tree(root);
    for name in ["../x", "/x", "", ".", "-x", "CON", "a\nb"] {
        let name = format!("--name={name}");
        let split = name.replace("--name", "--split");
        let bin = first_bin(root).display().to_string();
        let cases: [&[&str]; 4] = [
            &["tokenize", "--tokenizer", "demo/tokenizer", "--input", "demo/corpus", &name],
            &["merge", "--input", "demo/tokens", "--out", "deep/x", &name],
            &["import", &bin, "--from", "raw", "--eos", "2", "--out", "deep/x", &name],
            &["import", &bin, "--from", "raw", "--eos", "2", "--out", "deep/x", &split],
        ];
        for arguments in cases {
            let output = run(root, arguments);

            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
            assert_eq!(tree(root), before, "{arguments:?}");
        }
    }
}

#[test]
fn a_split_of_a_task_or_a_step_of_a_pipeline_is_one_plain_name() {
    let folder = workshop();
    let root = folder.path();
    for name in ["../../x", "/x", "", ".x", "-x", "nul", "a b"] {
        let task = format!(
            "prompt = \"{{q}}\"\n[splits.{name:?}]\nsource = \"d.jsonl\"\nanswers = [\"a\"]\n"
        );
        write(&root.join("task.toml"), task.as_bytes());
        let pipeline = format!("[steps.{name:?}]\nkind = \"command\"\nprogram = [\"true\"]\n");
        write(&root.join("p.toml"), pipeline.as_bytes());
        let sft =
            ["sft", "--task-file", "task.toml", "--tokenizer", "demo/tokenizer", "--out", "o"];
        for arguments in [&sft[..], &["plan", "p.toml"], &["run", "p.toml"]] {
            let output = run(root, arguments);

            let said = String::from_utf8(output.stderr).unwrap();
            assert!(matches!(output.status.code(), Some(1 | 2)), "{name}: {arguments:?}: {said}");
            assert!(said.contains("expected letters"), "{name}: {arguments:?}: {said}");
        }
        assert!(!root.join("o").exists());
    }
}

#[test]
fn names_that_are_not_utf8_are_refused_and_not_changed() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = workshop();
    let root = folder.path();
    let odd = |name: &[u8]| root.join("odd").join(OsStr::from_bytes(name));
    fs::create_dir(root.join("odd")).unwrap();
    for name in [&b"x\xfe.jsonl"[..], b"x\xff.jsonl"] {
        write(&odd(name), b"{\"text\": \"a cat\"}\n");
    }
    for name in [&b"x\xfe.bin"[..], b"x\xff.bin"] {
        write(&odd(name), [1, 0, 2, 0]);
    }
    let tokenize = ["tokenize", "--tokenizer", "demo/tokenizer", "--input", "odd", "--out", "o"];
    let import = ["import", "odd", "--from", "raw", "--eos", "2", "--out", "o"];

    for arguments in [&tokenize[..], &import] {
        let output = run(root, arguments);

        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("the name is not UTF-8"), "{arguments:?}: {said}");
        assert!(!root.join("o/manifest.json").exists());
    }
    // A folder of such a name works where no manifest says it, and is refused where one would.
    let moved = odd(b"tokens\xff");
    fs::rename(root.join("demo/tokens"), &moved).unwrap();
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_ratdata"))
            .args(arguments)
            .arg(&moved)
            .current_dir(root)
            .env("HF_HUB_OFFLINE", "1")
            .output()
            .unwrap()
    };
    assert!(run(&["verify"]).status.success());
    let packed = run(&["pack", "--out", "pack", "--seq-len", "64", "--input"]);
    let said = String::from_utf8(packed.stderr).unwrap();
    assert!(said.contains("not UTF-8") && !root.join("pack/manifest.json").exists(), "{said}");
}
