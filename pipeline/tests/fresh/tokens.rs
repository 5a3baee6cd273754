//! `tokenize`, finished and not finished, and its inputs.

use std::fs;
use std::path::Path;

use ratdata_tokenize::source::{find_inputs, sampled};
use serde_json::Value;

use crate::hand::{edit, ends, large, reads, set_modified, touch, write};
use ratdata_tests::files::content;
use ratdata_tests::workshop::Workshop;

/// The words of `tokenize` of the folder `in` into `out`.
fn tokenize<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let usual =
        ["tokenize", "--tokenizer", "demo/tokenizer", "--name", "t", "--input", "in", "--out", out];
    [&usual[..], more].concat()
}

/// A workshop with two inputs: one that was looked at in samples, and a small one.
fn two_inputs() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("in/a.jsonl", large());
    workshop.write("in/b.jsonl", b"{\"text\": \"the cat\"}\n{\"text\": \"a small file\"}\n");
    workshop
}

#[test]
fn an_edit_anywhere_in_an_input_is_seen_and_named() {
    let workshop = two_inputs();
    let path = workshop.path("in/a.jsonl");
    ends(&workshop, &tokenize("out", &[]), 0);
    ends(&workshop, &tokenize("merged", &["--merge"]), 0);
    let before = content(&workshop.path("out"));
    let written = path.metadata().unwrap().modified().unwrap();

    edit(&path);

    for (out, more) in [("out", &[][..]), ("merged", &["--merge"]), ("out", &["--shard", "0/2"])] {
        let told = ends(&workshop, &tokenize(out, more), 1);
        assert!(told.contains("inputs[0] `a.jsonl`: content: "), "{told}");
    }
    assert!(content(&workshop.path("out")) == before, "nothing is made without `--force`");
    // As of `touch -r`: the time of the last change is not to be set back.
    set_modified(&path, written);
    ends(&workshop, &tokenize("out", &[]), 1);
    ends(&workshop, &tokenize("out", &["--force"]), 0);
    ends(&workshop, &tokenize("fresh", &[]), 0);
    let made = content(&workshop.path("out"));
    assert!(made == content(&workshop.path("fresh")) && made != before);
}

#[test]
fn another_size_is_named_without_a_look_at_the_content() {
    let workshop = two_inputs();
    ends(&workshop, &tokenize("out", &[]), 0);
    let longer = [&fs::read(workshop.path("in/b.jsonl")).unwrap()[..], b"{\"text\": 1}\n"].concat();

    write(&workshop.path("in/b.jsonl"), &longer);

    let told = ends(&workshop, &tokenize("out", &[]), 1);
    assert!(told.contains("inputs[1] `b.jsonl`: size: 45 -> 57 bytes"), "{told}");
}

#[test]
fn what_was_left_alone_is_not_read_and_what_was_touched_is_read_once() {
    let workshop = two_inputs();
    let (input, out) = (workshop.path("in/a.jsonl"), workshop.path("out"));
    let len = input.metadata().unwrap().len();
    ends(&workshop, &tokenize("out", &[]), 0);
    let whole = content(&out);
    let is_read = |what: &str, expected: bool| {
        let count = reads(&workshop, &tokenize("out", &[]));
        assert_eq!(count >= len, expected, "{what}: {count} bytes were read");
    };
    is_read("left alone", false);

    touch(&input);
    is_read("touched", true);
    is_read("after that", false);

    // The same bytes under another inode.
    let other = workshop.path("other");
    fs::copy(&input, &other).unwrap();
    fs::rename(&other, &input).unwrap();
    is_read("replaced", true);
    is_read("after that", false);

    // A link to the same bytes.
    fs::rename(&input, &other).unwrap();
    std::os::unix::fs::symlink(&other, &input).unwrap();
    is_read("moved, which changes it, and linked to", true);
    is_read("after that", false);

    // What is known is no part of the artifact: without it, and elsewhere, the file is read.
    fs::remove_file(out.join(".ratdata-lock")).unwrap();
    is_read("forgotten", true);
    is_read("after that", false);
    write(&out.join(".ratdata-lock"), b"{\"version\":1,\"files\":{\"");
    is_read("torn", true);
    assert!(content(&out) == whole);
}

#[test]
fn a_result_that_was_copied_is_still_told_from_its_inputs() {
    let workshop = two_inputs();
    ends(&workshop, &tokenize("out", &[]), 0);
    let copy = |with_lock: bool, to: &str| {
        for (name, bytes) in content(&workshop.path("out")) {
            write(&workshop.path(to).join(name), &bytes);
        }
        if with_lock {
            let lock = fs::read(workshop.path("out/.ratdata-lock")).unwrap();
            write(&workshop.path(to).join(".ratdata-lock"), &lock);
        }
    };
    copy(false, "bare");
    copy(true, "noted");
    for out in ["bare", "noted"] {
        assert!(ends(&workshop, &tokenize(out, &[]), 0).contains("already done"));
    }

    edit(&workshop.path("in/a.jsonl"));

    for out in ["bare", "noted"] {
        ends(&workshop, &tokenize(out, &[]), 1);
    }
}

/// The file is done, the job is not: as a kill leaves it, or a share of it.
#[test]
fn a_done_file_that_changes_before_the_end_is_made_again() {
    for merge in [&[][..], &["--merge"]] {
        let workshop = two_inputs();
        let share = [merge, &["--shard", "0/2"]].concat();
        ends(&workshop, &tokenize("out", &share), 0);
        let receipt = workshop.path("out/.job/done/a.json");
        let done = fs::read(&receipt).unwrap();

        edit(&workshop.path("in/a.jsonl"));
        let told = ends(&workshop, &tokenize("out", merge), 0);

        assert!(told.contains("in/a.jsonl: content: "), "{told}");
        assert!(told.contains("tokenized again"), "{told}");
        assert!(!done.is_empty() && !receipt.exists());
        ends(&workshop, &tokenize("fresh", merge), 0);
        assert!(content(&workshop.path("out")) == content(&workshop.path("fresh")), "{merge:?}");
    }
}

#[test]
fn a_merge_that_has_begun_is_made_again_of_a_file_that_changed() {
    let workshop = two_inputs();
    ends(&workshop, &tokenize("apart", &[]), 0);
    for share in ["0/2", "1/2"] {
        ends(&workshop, &tokenize("out", &["--merge", "--shard", share]), 0);
    }
    // As a kill leaves a merge: the first shard is absorbed and gone.
    let shard = |ending: &str| workshop.path(&format!("out/shards/t-train-a.{ending}"));
    let (bin, idx) = (fs::read(shard("bin")).unwrap(), fs::read(shard("idx")).unwrap());
    write(&workshop.path("out/t-train.bin.partial"), &bin);
    write(&workshop.path("out/t-train.idx.partial"), &idx);
    let marker =
        format!("{{\"shards\": 1, \"bin_bytes\": {}, \"idx_bytes\": {}}}", bin.len(), idx.len());
    write(&workshop.path("out/.job/merging/t-train.json"), marker.as_bytes());
    fs::remove_file(shard("bin")).unwrap();
    fs::remove_file(shard("idx")).unwrap();

    edit(&workshop.path("in/a.jsonl"));
    ends(&workshop, &tokenize("out", &["--merge"]), 0);

    ends(&workshop, &tokenize("fresh", &["--merge"]), 0);
    assert!(content(&workshop.path("out")) == content(&workshop.path("fresh")));
}

#[test]
fn a_done_file_that_was_left_alone_is_not_read_again() {
    let workshop = two_inputs();
    let len = workshop.path("in/a.jsonl").metadata().unwrap().len();
    ends(&workshop, &tokenize("out", &["--shard", "0/2"]), 0);

    let count = reads(&workshop, &tokenize("out", &["--shard", "0/2"]));

    assert!(count < len, "{count} bytes were read");
}

/// A manifest of before has a checksum of samples, which an edit may leave as it is.
#[test]
fn a_record_of_samples_alone_is_not_taken_for_the_content() {
    let workshop = two_inputs();
    ends(&workshop, &tokenize("out", &[]), 0);
    let mend = |source: usize, path: &Path| {
        let file = find_inputs(&[path.display().to_string()]).unwrap().remove(0);
        let manifest = workshop.path("out/manifest.json");
        let mut value: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
        value["sources"][source]["fingerprint"] = sampled(&file).unwrap().as_str().into();
        write(&manifest, &serde_json::to_vec(&value).unwrap());
    };

    mend(1, &workshop.path("in/b.jsonl"));
    let small = ends(&workshop, &tokenize("out", &[]), 0);
    mend(0, &workshop.path("in/a.jsonl"));
    let large = ends(&workshop, &tokenize("out", &[]), 1);

    assert!(small.contains("already done"), "{small}");
    assert!(large.contains("inputs[0] `a.jsonl`: content: an older version"), "{large}");
    assert!(large.contains("--force"), "{large}");
    let verified = ["verify", "out", "--retokenize", "1%", "--input", "in"];
    ends(&workshop, &[&verified[..], &["--tokenizer", "demo/tokenizer"]].concat(), 0);
}

#[test]
fn plain_texts_are_told_one_by_one() {
    let workshop = Workshop::new();
    for name in ["in/a.txt", "in/b.txt", "in/c.md"] {
        workshop.write(name, b"the cat sat on the mat");
    }
    ends(&workshop, &tokenize("out", &[]), 0);
    assert!(ends(&workshop, &tokenize("out", &[]), 0).contains("already done"));

    edit(&workshop.path("in/b.txt"));

    let told = ends(&workshop, &tokenize("out", &[]), 1);
    assert!(told.contains("inputs[0] `texts`: content: "), "{told}");
}

#[test]
fn a_token_is_not_traced_to_a_row_that_has_changed() {
    let workshop = two_inputs();
    ends(&workshop, &tokenize("out", &["--val-fraction", "0", "--order", "file"]), 0);
    let trace = ["trace", "out", "--token", "1", "--input", "in", "--tokenizer", "demo/tokenizer"];
    ends(&workshop, &trace, 0);

    let path = workshop.path("in/a.jsonl");
    let text = String::from_utf8(fs::read(&path).unwrap()).unwrap();
    write(&path, text.replacen("line 000000", "xine 000000", 1).as_bytes());

    let told = ends(&workshop, &trace, 1);
    assert!(told.contains("another file than the one that was tokenized"), "{told}");
}
