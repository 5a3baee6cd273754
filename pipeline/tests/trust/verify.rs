//! Proving: what is changed is found, and what is whole passes.

use std::fs;
use std::path::Path;

use ratdata_schemas::Checksum;
use serde_json::Value;

use super::support::{change, first_bin, mend, workshop};
use ratdata_tests::program::{json, run};

#[test]
fn a_whole_artifact_is_verified_against_its_sources() {
    let folder = workshop();
    let arguments = ["verify", "demo/tokens", "--retokenize", "20%", "--input", "demo/corpus"];

    let verified = json(folder.path(), &arguments);

    assert!(verified["documents_retokenized"].as_u64().unwrap() > 500);
}

/// Something done to a file's bytes.
type Change = Box<dyn Fn(&mut Vec<u8>)>;

#[test]
fn whatever_is_changed_is_found_and_named() {
    let bin = "shards/demo-train-000_00000.bin";
    let index = "shards/demo-train-000_00000.idx";
    let manifest = "manifest.json";
    let replace = |from: &'static str, to: &'static str| -> Change {
        Box::new(move |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert!(text.contains(from));
            *bytes = text.replacen(from, to, 1).into_bytes();
        })
    };
    let changes: Vec<(&str, &str, Change)> = vec![
        (bin, "BLAKE3", Box::new(|bytes| bytes[100] ^= 1)),
        (bin, "bytes, expected", Box::new(|bytes| bytes.truncate(bytes.len() / 2))),
        (bin, "bytes, expected", Box::new(|bytes| bytes.push(0))),
        (index, "BLAKE3", Box::new(|bytes| bytes[8..16].fill(0xff))),
        (index, "bytes, expected", Box::new(Vec::clear)),
        (manifest, "not a manifest", Box::new(|bytes| bytes.truncate(200))),
        (manifest, "not inside the artifact", replace("shards/demo-train", "../../demo-train")),
        (manifest, "format version", replace("\"format_version\": 2", "\"format_version\": 9")),
        (manifest, "", replace("\"documents\": ", "\"documents\": 9999999999")),
        (manifest, "", replace("\"tokens\": ", "\"tokens\": 18446744073")),
    ];
    let folder = workshop();
    for (file, says, change_bytes) in changes {
        let path = folder.path().join("demo/tokens").join(file);
        let whole = fs::read(&path).unwrap();
        change(&path, |bytes| change_bytes(bytes));

        let verified = run(folder.path(), &["verify", "demo/tokens"]);
        let inspected = run(folder.path(), &["inspect", "demo/tokens"]);

        let said = String::from_utf8(verified.stderr).unwrap();
        assert_eq!(verified.status.code(), Some(3), "{file}: {said}");
        assert!(said.starts_with("error: ") && said.contains(says), "{file}: {said}");
        if file != manifest {
            assert!(
                said.contains("the artifact was changed after it was written"),
                "{file}: {said}"
            );
        }
        assert!(!said.contains("the engine and the oracle differ"), "{file}: {said}");
        let said = String::from_utf8(inspected.stderr).unwrap();
        assert!(!said.contains("panicked"), "{file}: {said}");
        change(&path, |bytes| *bytes = whole);
    }
    assert!(run(folder.path(), &["verify", "demo/tokens"]).status.success());
}

#[test]
fn a_document_that_differs_from_its_source_is_named() {
    let folder = workshop();
    // The bins of another corpus under this one's manifest: checksums mended, so that only
    // encoding again can tell.
    let path = first_bin(folder.path());
    change(&path, |bytes| bytes.swap(0, 4));
    let manifest = folder.path().join("demo/tokens/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    let sum = Checksum::of(&fs::read(&path).unwrap());
    value["splits"]["train"]["shards"][0]["bin"]["blake3"] = sum.as_str().into();
    change(&manifest, |bytes| *bytes = serde_json::to_vec(&value).unwrap());

    let verified = run(
        folder.path(),
        &["verify", "demo/tokens", "--retokenize", "100%", "--input", "demo/corpus"],
    );

    let said = String::from_utf8(verified.stderr).unwrap();
    assert_eq!(verified.status.code(), Some(3), "{said}");
    assert!(said.contains("document 0 of `train`: token 0"), "{said}");
    assert!(said.contains("the engine and the oracle differ"), "{said}");
    assert!(!said.contains("the artifact was changed"), "{said}");
}

/// Returns the status of a verification and what it said.
fn verified(path: &str, folder: &Path) -> (Option<i32>, String) {
    let output = run(folder, &["verify", path]);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn pack(folder: &Path, more: &[&str]) {
    let arguments = ["pack", "--input", "demo/tokens", "--out", "pack", "--seq-len", "64"];
    let made = run(folder, &[&arguments, more].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn a_pack_is_proved_with_the_bins_that_it_reads() {
    let folder = workshop();
    let root = folder.path();
    pack(root, &[]);

    let whole = json(root, &["verify", "pack"]);
    change(&first_bin(root), |bytes| bytes[100] ^= 1);
    let (status, said) = verified("pack", root);

    assert_eq!(whole["bases"], 1);
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("000_00000.bin: BLAKE3"), "{said}");
}

#[test]
fn a_pack_whose_base_was_replaced_is_refused() {
    let folder = workshop();
    let root = folder.path();
    pack(root, &[]);
    mend(&root.join("demo/tokens"), |manifest| manifest["name"] = "other".into());

    let (status, said) = verified("pack", root);

    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("which is another artifact now"), "{said}");
}

#[test]
fn rows_written_out_are_compared_with_their_base_where_it_is_there() {
    let folder = workshop();
    let root = folder.path();
    pack(root, &["--materialize"]);
    let bin = root.join("pack/demo-train-64.bin");
    change(&bin, |bytes| bytes.swap(2, 4));
    let sum = Checksum::of(&fs::read(&bin).unwrap());
    mend(&root.join("pack"), |manifest| {
        manifest["splits"]["train"]["bin"]["blake3"] = sum.as_str().into();
    });

    let (status, said) = verified("pack", root);
    fs::rename(root.join("demo/tokens"), root.join("demo/moved")).unwrap();
    let alone = json(root, &["verify", "pack"]);

    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("split `train`, row 0"), "{said}");
    assert_eq!(alone["base_missing"], true);
}

/// Something done to a manifest.
type Edit = fn(&mut Value);

#[test]
fn a_manifest_that_contradicts_its_files_is_found() {
    let folder = workshop();
    let root = folder.path();
    pack(root, &[]);
    let edits: [(&str, &str, Edit); 6] = [
        ("demo/tokens", "documents", |m| {
            m["sources"][0]["rows"] = (m["sources"][0]["rows"].as_u64().unwrap() - 1).into();
        }),
        ("demo/tokens", "documents of", |m| {
            // Two sources change rows, so that the sum is right.
            let rows = [0, 1].map(|n: usize| m["sources"][n]["rows"].as_u64().unwrap());
            m["sources"][0]["rows"] = (rows[0] + 200).into();
            m["sources"][1]["rows"] = (rows[1] - 200).into();
        }),
        ("demo/tokens", "documents of", |m| {
            m["splits"]["train"]["shards"][0]["source"] = 1.into();
        }),
        ("demo/tokens", "ends with id", |m| m["tokenizer"]["eos"] = 7.into()),
        ("demo/tokens", "`pad` is id", |m| m["tokenizer"]["pad"] = 999_999.into()),
        ("pack", "the spans cover", |m| {
            m["splits"]["train"]["tokens"] =
                (m["splits"]["train"]["tokens"].as_u64().unwrap() + 1).into();
        }),
    ];
    for (artifact, says, edit) in edits {
        let path = root.join(artifact).join("manifest.json");
        let whole = fs::read(&path).unwrap();
        mend(&root.join(artifact), edit);

        let (status, said) = verified(artifact, root);

        assert_eq!(status, Some(3), "{says}: {said}");
        assert!(said.contains(says), "{says}: {said}");
        change(&path, |bytes| *bytes = whole);
    }
}

#[test]
fn recorded_lengths_beyond_their_row_are_found() {
    let folder = workshop();
    let root = folder.path();
    let task = "demo/questions/task.toml";
    let sft = ["sft", "--task-file", task, "--split", "validation", "--max-length", "64"];
    let made = ["--tokenizer", "demo/tokenizer", "--out", "pairs", "--quiet"];
    assert!(run(root, &[&sft[..], &made].concat()).status.success());
    let record = "/splits/val/lengths";
    let manifest: Value =
        serde_json::from_slice(&fs::read(root.join("pairs/manifest.json")).unwrap()).unwrap();
    let name = manifest.pointer(record).unwrap()["path"].as_str().unwrap().to_owned();
    let path = root.join("pairs").join(name);
    let whole = fs::read(&path).unwrap();

    // The row's length is its second word; a prompt longer than its text is the other mistake.
    for (place, word) in [(4, 65_u32), (4, u32::MAX), (0, 65), (0, u32::MAX)] {
        change(&path, |bytes| {
            bytes.clone_from(&whole);
            bytes[place..place + 4].copy_from_slice(&word.to_le_bytes());
        });
        let checksum = Checksum::of(&fs::read(&path).unwrap());
        mend(&root.join("pairs"), |manifest| {
            manifest.pointer_mut(record).unwrap()["blake3"] = checksum.to_string().into();
        });

        let (status, said) = verified("pairs", root);

        assert_eq!(status, Some(3), "{place}: {said}");
        assert!(said.contains("split `val`, row 0: a prompt of"), "{place}: {said}");
    }
}

#[test]
fn a_file_that_leads_out_of_the_artifact_is_refused() {
    let folder = workshop();
    let bin = first_bin(folder.path());
    let outside = folder.path().join("outside.bin");
    fs::rename(&bin, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &bin).unwrap();

    let (status, said) = verified("demo/tokens", folder.path());

    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("which is not inside the artifact"), "{said}");
}

#[test]
fn what_is_proved_is_told_in_the_same_bytes_anywhere() {
    let (here, there) = (workshop(), workshop());
    let said = |folder: &Path| run(folder, &["verify", "demo/tokens", "--json"]).stdout;

    let one = said(here.path());

    assert_eq!(one, said(there.path()));
    let keys: Value = serde_json::from_slice(&one).unwrap();
    assert!(keys.get("seconds").is_none() && keys.get("path").is_none(), "{keys}");
}
