//! How files arrive: once, after broken connections, in several runs at a time, until Ctrl-C.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ratdata_tests::program::stderr;

use super::small_hub::{Fault, SmallHub, etag_of};
use super::support::{cached, command, into, tokenize, workshop};

#[test]
fn a_dataset_and_a_tokenizer_are_fetched_once_and_used_offline_after() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);

    let online = tokenize(folder.path(), &hub, &[("HF_TOKEN", "secret")]);
    assert!(online.status.success(), "{}", stderr(&online));
    assert!(hub.requests("token=true") > 0, "HF_TOKEN is sent");
    let asked = hub.requests("");
    let offline = tokenize(folder.path(), &hub, &[("HF_HUB_OFFLINE", "1")]);

    assert!(offline.status.success(), "{}", stderr(&offline));
    assert_eq!(hub.requests(""), asked, "the second run asks for nothing");
    let train = |out: &str| {
        fs::read(folder.path().join(out).join("shards/demo-train-000_00000.bin")).unwrap()
    };
    assert_eq!(train("out"), train("demo/tokens"));
}

#[test]
fn a_connection_that_drops_in_the_middle_of_a_file_is_taken_up_again() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::DropsOnce);

    let output = tokenize(folder.path(), &hub, &[]);

    assert!(output.status.success(), "{}", stderr(&output));
    let fetched =
        folder.path().join("home/ratdata/datasets/some/corpus/main/sample/tiny/000_00000.parquet");
    assert_eq!(
        fs::read(fetched).unwrap(),
        fs::read(folder.path().join("hub/datasets/sample/tiny/000_00000.parquet")).unwrap()
    );
}

#[test]
fn what_an_earlier_run_has_fetched_is_not_fetched_again() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);
    let whole = fs::read(folder.path().join("hub/datasets/sample/tiny/000_00000.parquet")).unwrap();
    let cache = folder.path().join("home/ratdata/datasets/some/corpus/main/sample/tiny");
    fs::create_dir_all(&cache).unwrap();
    let begun = format!("000_00000.parquet.{}.incomplete", etag_of(&whole));
    let mut begun = fs::File::create(cache.join(begun)).unwrap();
    begun.write_all(&whole[..5000]).unwrap();

    let output = tokenize(folder.path(), &hub, &[]);

    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(fs::read(cache.join("000_00000.parquet")).unwrap(), whole);
    assert!(
        hub.requests("000_00000.parquet HTTP/1.1 Some((5000,") > 0,
        "the download continues at byte 5000"
    );
}

#[test]
fn a_silent_hub_can_be_left_at_any_time() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::Silent);
    let mut run =
        command(folder.path(), &hub).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while hub.requests("") == 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "something is asked for");
        std::thread::sleep(Duration::from_millis(20));
    }

    let asked = Instant::now();
    Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap();
    let status = run.wait().unwrap();

    assert_eq!(status.code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[test]
fn a_download_that_lives_has_any_time() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::Drips);
    let begun = Instant::now();

    let output = tokenize(folder.path(), &hub, &[("HF_HUB_DOWNLOAD_TIMEOUT", "1")]);

    assert!(output.status.success(), "{}", stderr(&output));
    assert!(begun.elapsed() > Duration::from_secs(2), "each file takes longer than the limit");
    let blocks = hub.requests("parquet HTTP/1.1 Some((0,");
    assert_eq!(blocks, 3, "no file is asked for again");
}

#[test]
fn two_runs_that_fetch_the_same_files_leave_them_whole() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::Slow);
    let start = |out: &str| {
        into(folder.path(), &hub, out).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };

    let runs = ["one", "two", "three"].map(start);
    for run in runs {
        let output = run.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }

    let names = cached(folder.path());
    assert_eq!(names.len(), 3, "{names:?}");
    for name in names {
        let fetched = "home/ratdata/datasets/some/corpus/main/sample/tiny";
        let fetched = fs::read(folder.path().join(fetched).join(&name)).unwrap();
        let whole = fs::read(folder.path().join("hub/datasets/sample/tiny").join(&name)).unwrap();
        assert!(fetched == whole, "{name}");
    }
    let blocks = hub.requests("000_00000.parquet HTTP/1.1 Some((0,");
    assert_eq!(blocks, 1, "one run fetches, the others wait for it");
}

#[test]
fn what_was_begun_of_another_revision_is_not_appended_to() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);
    let cache = folder.path().join("home/ratdata/datasets/some/corpus/main/sample/tiny");
    fs::create_dir_all(&cache).unwrap();
    for begun in ["000_00000.parquet.0123456789abcdef.incomplete", "000_00000.parquet.incomplete"] {
        fs::File::create(cache.join(begun)).unwrap().write_all(&[7; 5000]).unwrap();
    }

    let output = tokenize(folder.path(), &hub, &[]);

    assert!(output.status.success(), "{}", stderr(&output));
    let whole = fs::read(folder.path().join("hub/datasets/sample/tiny/000_00000.parquet")).unwrap();
    assert!(fs::read(cache.join("000_00000.parquet")).unwrap() == whole);
}

#[test]
fn ctrl_c_stops_a_download_that_stalls_and_the_next_run_continues() {
    let folder = workshop();
    let large = folder.path().join("hub/datasets/sample/tiny/large.jsonl");
    let line = format!("{{\"text\": \"{}\"}}\n", "word ".repeat(2000));
    fs::File::create(large).unwrap().write_all(line.repeat(300).as_bytes()).unwrap();
    let stalling = SmallHub::start(&folder.path().join("hub"), Fault::Stalls);
    let mut run = command(folder.path(), &stalling)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while stalling.requests("large.jsonl HTTP/1.1 Some((1048576,") == 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "the second block is asked for");
        std::thread::sleep(Duration::from_millis(20));
    }

    let asked = Instant::now();
    Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    let status = run.wait().unwrap();

    assert_eq!(status.code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let whole = SmallHub::start(&folder.path().join("hub"), Fault::None);
    let output = tokenize(folder.path(), &whole, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(whole.requests("large.jsonl HTTP/1.1 Some((0,"), 0, "it continues behind block one");
}
