//! What a step takes, and whose step it is: scripts, large files, names that two pipelines share.

use std::fs;
use std::os::unix::fs::{FileExt, symlink};

use serde_json::Value;

use super::states;
use super::support::{made, workshop};
use ratdata_tests::files::write;
use ratdata_tests::program::{run, succeed};

#[test]
fn a_script_among_the_words_is_an_input() {
    let folder = workshop("[steps.a]\nkind = \"command\"\nprogram = [\"sh\", \"w.sh\"]\n");
    let root = folder.path();
    write(&root.join("w.sh"), "echo 1 > $RATDATA_OUT/f\n");
    write(&root.join("sh"), "no program of this step\n");
    succeed(root, &["run", "--quiet"]);
    write(&root.join("sh"), "whatever\n");
    let same = states(root, &[]);

    write(&root.join("w.sh"), "echo 2 > $RATDATA_OUT/f\n");

    let changed = states(root, &[]);
    assert_eq!(same["a"].0, "fresh");
    assert_eq!(changed["a"].0, "stale");
    assert!(changed["a"].1.contains("input w.sh"), "{}", changed["a"].1);
}

#[test]
fn all_bytes_of_a_large_file_decide_and_full_hash_adds_nothing_to_that() {
    let pipeline = r#"
[steps.a]
kind = "command"
program = ["sh", "-c", "wc -c < large > $RATDATA_OUT/f"]
inputs = ["large"]

[steps.b]
kind = "command"
program = ["true"]
inputs = ["@a/f"]
"#;
    let folder = workshop(pipeline);
    let root = folder.path();
    let file = fs::File::create(root.join("large")).unwrap();
    file.set_len(3 << 20).unwrap();
    succeed(root, &["run", "--quiet"]);

    let read = states(root, &["--full-hash"]);
    succeed(root, &["run", "--full-hash", "--quiet"]);
    file.write_at(b"x", 20 << 10).unwrap();
    let changed = states(root, &[]);
    let read_whole = states(root, &["--full-hash"]);
    let run = succeed(root, &["run", "--full-hash", "--json"]);
    let after = (states(root, &["--full-hash"]), states(root, &[]));

    assert_eq!((read["a"].0.as_str(), read["b"].0.as_str()), ("fresh", "fresh"));
    assert!(changed["a"].1.contains("(large: content)"), "{}", changed["a"].1);
    assert_eq!(changed, read_whole);
    assert_eq!(made(&run), ["a", "b"]);
    assert_eq!((after.0["b"].0.as_str(), after.1["b"].0.as_str()), ("fresh", "fresh"));
}

#[test]
fn two_pipelines_on_one_store_remember_their_steps_apart() {
    let step = |text: &str| {
        format!("[steps.a]\nkind = \"command\"\nprogram = [\"sh\", \"-c\", \"exit {text}\"]\n")
    };
    let folder = workshop(&step("0"));
    let root = folder.path();
    write(&root.join("other.toml"), step("1"));
    succeed(root, &["run", "--quiet"]);
    let before = succeed(root, &["plan", "other.toml"]);
    let failed = run(root, &["run", "other.toml", "--quiet"]);

    let status = succeed(root, &["status"]);

    assert!(before.contains("never made"), "{before}");
    assert_eq!(failed.status.code(), Some(1));
    assert!(status.contains("1 of 1 steps are done"), "{status}");
    assert_eq!(run(root, &["logs", "other.toml", "a"]).status.code(), Some(0));
}

#[test]
fn a_folder_of_its_name_hides_no_compiled_in_pipeline() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tiny")).unwrap();

    let plan = succeed(folder.path(), &["plan", "tiny"]);

    assert!(plan.contains("14 of 14 steps are stale"), "{plan}");
}

#[test]
fn nothing_is_put_into_a_result_by_way_of_a_link() {
    let step = "[steps.a]\nkind = \"command\"\nprogram = [\"true\"]\npublish = \"pub/x\"\n";
    let folder = workshop(&step.replace("pub/x", "pub"));
    let root = folder.path();
    succeed(root, &["run", "--quiet"]);
    let result = fs::read_link(root.join("pub")).unwrap();
    symlink(&result, root.join("also")).unwrap();

    for path in ["pub/x", "also/y/z", ".ratdata/store/link"] {
        write(&root.join("other.toml"), step.replace("pub/x", path));
        let output = run(root, &["run", "other.toml", "--quiet"]);

        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{path}: {said}");
        assert!(said.contains("cannot lie in the store"), "{path}: {said}");
    }
    assert_eq!(fs::read_dir(result).unwrap().count(), 0);
}

#[test]
fn a_share_that_another_process_makes_is_left_to_it() {
    use rustix::fs::{FlockOperation, flock};
    let folder = workshop(
        "[steps.tokens]\nkind = \"tokenize\"\ntokenizer = \"sample/tokenizer\"\ninput = \"sample/corpus\"\nname = \"t\"\n",
    );
    let root = folder.path();
    let store = root.join(".ratdata/store");
    succeed(root, &["run", "--shard", "0/2", "--quiet"]);
    succeed(root, &["run", "--shard", "1/2", "--quiet"]);
    let plan: Value = serde_json::from_str(&succeed(root, &["plan", "--json"])).unwrap();
    let object = plan["steps"][0]["object"].as_str().unwrap();
    let shares = store.join(format!(".shares-{object}"));
    // As if one were still at its share, and another had begun and written nothing.
    fs::remove_file(shares.join("done/0-of-2")).unwrap();
    let lock = fs::File::open(store.join(format!(".locks/{object}.0-of-2"))).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    fs::create_dir_all(shares.join("2-of-3/.job")).unwrap();
    let of_live = || fs::read_dir(shares.join("0-of-2/shards")).unwrap().count();
    let before = of_live();

    succeed(root, &["run", "--quiet"]);

    assert!(store.join(object).join("manifest.json").is_file());
    assert_eq!(of_live(), before);
    assert!(!shares.join("1-of-2").exists());
    drop(lock);
    // A process that another test starts at this moment may hold a copy of the lock until it runs.
    let mut told = String::new();
    for _ in 0..100 {
        told += &succeed(root, &["clean", "--yes"]);
        if !shares.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(told.contains(".shares-"), "{told}");
    assert!(!shares.exists());
}
