//! Fetching by name, from a small server that speaks the hub's tree and file addresses.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

/// A hub with one dataset and one model, both folders on disk; it runs until the test ends.
struct SmallHub {
    address: String,
    log: Arc<Mutex<Vec<String>>>,
}

/// What the hub does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// The first answer with a file's bytes breaks off in the middle.
    DropsOnce,
    /// Every answer is this status.
    Status(u16),
}

impl SmallHub {
    fn start(root: &Path, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (root, seen) = (root.to_owned(), log.clone());
        std::thread::spawn(move || {
            let mut dropped = false;
            for stream in listener.incoming().flatten() {
                // A client that goes away in the middle is no fault of the hub's.
                answer(stream, &root, fault, &mut dropped, &seen).ok();
            }
        });
        Self { address, log }
    }

    fn requests(&self, part: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }
}

fn answer(
    mut stream: TcpStream,
    root: &Path,
    fault: Fault,
    dropped: &mut bool,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut range = None;
    let mut token = false;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        token |= header.starts_with("authorization: bearer secret");
        if let Some(bytes) = header.strip_prefix("range: bytes=") {
            let (first, last) = bytes.split_once('-').unwrap();
            range = Some((first.parse::<usize>().unwrap(), last.parse::<usize>().ok()));
        }
    }
    log.lock().unwrap().push(format!("{} {range:?} token={token}", request.trim()));
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let path = target.split('?').next().unwrap_or("");
    if let Fault::Status(status) = fault {
        return respond(&mut stream, status, "", b"{\"error\": \"no\"}", method);
    }
    if let Some((_, below)) = path.split_once("/tree/main") {
        let folder = folder_of(root, path).join(below.trim_start_matches('/'));
        let mut entries = Vec::new();
        list(&folder_of(root, path), &folder, &mut entries);
        return respond(
            &mut stream,
            200,
            "",
            format!("[{}]", entries.join(",")).as_bytes(),
            method,
        );
    }
    let Some((_, name)) = path.split_once("/resolve/main/") else {
        return respond(&mut stream, 404, "", b"{\"error\": \"unknown\"}", method);
    };
    let Ok(content) = fs::read(folder_of(root, path).join(name)) else {
        return respond(&mut stream, 404, "x-error-code: EntryNotFound\r\n", b"", method);
    };
    let (first, last) = range.unwrap_or((0, None));
    let end = last.map_or(content.len(), |last| (last + 1).min(content.len()));
    let part = &content[first.min(end)..end];
    let headers = format!(
        "etag: \"{}\"\r\nx-repo-commit: 0123456789012345678901234567890123456789\r\naccept-ranges: bytes\r\n\
         content-range: bytes {first}-{}/{}\r\n",
        name.len(),
        end.saturating_sub(1),
        content.len()
    );
    if fault == Fault::DropsOnce && method == "GET" && part.len() > 1000 && !*dropped {
        *dropped = true;
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\n{headers}content-length: {}\r\n\r\n",
            part.len()
        )?;
        return stream.write_all(&part[..part.len() / 2]);
    }
    let status = if range.is_some() { 206 } else { 200 };
    respond(&mut stream, status, &headers, part, method)
}

fn respond(
    stream: &mut TcpStream,
    status: u16,
    headers: &str,
    body: &[u8],
    method: &str,
) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    if method == "HEAD" { Ok(()) } else { stream.write_all(body) }
}

/// Datasets lie below `datasets/`, models below `models/`, whatever the address begins with.
fn folder_of(root: &Path, path: &str) -> PathBuf {
    root.join(if path.contains("/datasets/") || path.starts_with("/api/datasets") {
        "datasets"
    } else {
        "models"
    })
}

fn list(root: &Path, folder: &Path, entries: &mut Vec<String>) {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            list(root, &path, entries);
        } else {
            let name = path.strip_prefix(root).unwrap().display();
            let size = path.metadata().unwrap().len();
            entries.push(format!(r#"{{"type":"file","oid":"0","size":{size},"path":"{name}"}}"#));
        }
    }
}

/// A folder with the demo's corpus and tokenizer, laid out as a hub has them.
fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for arguments in [
        &["sample", "--quiet", "--out", "demo"][..],
        &[
            "tokenize",
            "--tokenizer",
            "demo/tokenizer",
            "--input",
            "demo/corpus",
            "--name",
            "demo",
            "--quiet",
            "--out",
            "demo/tokens",
        ],
    ] {
        let made = Command::new(env!("CARGO_BIN_EXE_ratdata"))
            .args(arguments)
            .current_dir(root)
            .output()
            .unwrap();
        assert!(made.status.success());
    }
    fs::create_dir_all(root.join("hub/datasets/sample")).unwrap();
    fs::create_dir_all(root.join("hub/models")).unwrap();
    fs::rename(root.join("demo/corpus"), root.join("hub/datasets/sample/tiny")).unwrap();
    fs::copy(root.join("demo/tokenizer/tokenizer.json"), root.join("hub/models/tokenizer.json"))
        .unwrap();
    folder
}

fn tokenize(folder: &Path, hub: &SmallHub, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ratdata"));
    command
        .args([
            "tokenize",
            "--tokenizer",
            "some/tokenizer",
            "--name",
            "demo",
            "--out",
            "out",
            "--force",
        ])
        .args(["--input", "hf://datasets/some/corpus/sample/tiny"])
        .current_dir(folder)
        .env("HF_ENDPOINT", &hub.address)
        .env("HF_HOME", folder.join("home"))
        .env_remove("HF_TOKEN")
        .env_remove("HF_HUB_OFFLINE");
    command.envs(environment.iter().copied()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_dataset_and_a_tokenizer_are_fetched_once_and_used_offline_after() {
    let folder = workshop();
    let hub = SmallHub::start(&folder.path().join("hub"), Fault::None);

    let online = tokenize(folder.path(), &hub, &[("HF_TOKEN", "secret")]);
    assert!(online.status.success(), "{}", said(&online));
    assert!(hub.requests("token=true") > 0, "HF_TOKEN is sent");
    let asked = hub.requests("");
    let offline = tokenize(folder.path(), &hub, &[("HF_HUB_OFFLINE", "1")]);

    assert!(offline.status.success(), "{}", said(&offline));
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

    assert!(output.status.success(), "{}", said(&output));
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
    let mut begun = fs::File::create(cache.join("000_00000.parquet.incomplete")).unwrap();
    begun.write_all(&whole[..5000]).unwrap();

    let output = tokenize(folder.path(), &hub, &[]);

    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(fs::read(cache.join("000_00000.parquet")).unwrap(), whole);
    assert!(
        hub.requests("000_00000.parquet HTTP/1.1 Some((5000,") > 0,
        "the download goes on at byte 5000"
    );
}

#[test]
fn each_refusal_says_what_helps() {
    let folder = workshop();
    for (status, says, hint) in [
        (401, "refused access", "set HF_TOKEN"),
        (403, "refused access", "set HF_TOKEN"),
        (404, "not on the hub at", "check the name"),
    ] {
        let hub = SmallHub::start(&folder.path().join("hub"), Fault::Status(status));
        let output = tokenize(folder.path(), &hub, &[]);

        assert_eq!(output.status.code(), Some(1));
        assert!(
            said(&output).contains(says) && said(&output).contains(hint),
            "{status}: {}",
            said(&output)
        );
    }
}

#[test]
fn a_hub_that_is_not_there_says_how_to_work_offline() {
    let folder = workshop();
    let nobody = SmallHub { address: "http://127.0.0.1:9".into(), log: Arc::default() };

    let output = tokenize(folder.path(), &nobody, &[]);

    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("cannot be fetched from http://127.0.0.1:9"),
        "{}",
        said(&output)
    );
    assert!(said(&output).contains("to work offline, give local paths"), "{}", said(&output));
}
