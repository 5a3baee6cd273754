//! A small hub for tests: it speaks the tree and file addresses, from folders on disk.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A hub with one dataset and one model, both folders on disk; it runs until the test ends.
pub(crate) struct SmallHub {
    pub(crate) address: String,
    log: Arc<Mutex<Vec<String>>>,
}

/// What the hub does wrong.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    None,
    /// The first answer with a file's bytes breaks off in the middle.
    DropsOnce,
    /// Every answer is this status.
    Status(u16),
    /// It says a checksum that no file has.
    WrongChecksum,
    /// Each block of a file takes a while.
    Slow,
    /// Blocks after a file's first never arrive.
    Stalls,
    /// It accepts every request and answers none.
    Silent,
    /// A file's bytes come in drops, each soon after the last, and all of them late.
    Drips,
    /// Files are listed with the size of what their pointers stand for.
    Pointers,
}

impl SmallHub {
    pub(crate) fn start(root: &Path, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let (root, seen) = (root.to_owned(), log.clone());
        std::thread::spawn(move || {
            let dropped = Arc::new(Mutex::new(false));
            for stream in listener.incoming().flatten() {
                let (root, seen, dropped) = (root.clone(), seen.clone(), dropped.clone());
                // A client that goes away in the middle is no fault of the hub's.
                std::thread::spawn(move || answer(stream, &root, fault, &dropped, &seen).ok());
            }
        });
        Self { address, log }
    }

    /// A hub that nobody runs.
    pub(crate) fn nobody() -> Self {
        Self { address: "http://127.0.0.1:9".into(), log: Arc::default() }
    }

    pub(crate) fn requests(&self, part: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }
}

/// Returns what the hub calls a content.
pub(crate) fn etag_of(content: &[u8]) -> String {
    let mixed = content.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{mixed:016x}")
}

fn answer(
    mut stream: TcpStream,
    root: &Path,
    fault: Fault,
    dropped: &Mutex<bool>,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let Asked { method, target, range } = read_request(&stream, log)?;
    if fault == Fault::Silent {
        std::thread::sleep(Duration::from_mins(10));
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    if let Fault::Status(status) = fault {
        return respond(&mut stream, status, "", b"{\"error\": \"no\"}", &method);
    }
    if let Some((_, below)) = path.split_once("/tree/main") {
        let all = folder_of(root, path);
        let folder = all.join(below.trim_start_matches('/'));
        if !folder.is_dir() {
            return respond(&mut stream, 404, "x-error-code: EntryNotFound\r\n", b"", &method);
        }
        let mut entries = Vec::new();
        let recursive = query.to_ascii_lowercase().contains("recursive=true");
        list(&all, &folder, recursive, fault, &mut entries);
        let body = format!("[{}]", entries.join(","));
        return respond(&mut stream, 200, "", body.as_bytes(), &method);
    }
    let name = path.split_once("/resolve/").and_then(|(_, rest)| rest.split_once('/'));
    let Some((_, name)) = name else {
        return respond(&mut stream, 404, "", b"{\"error\": \"unknown\"}", &method);
    };
    let Ok(mut content) = fs::read(folder_of(root, path).join(name)) else {
        return respond(&mut stream, 404, "x-error-code: EntryNotFound\r\n", b"", &method);
    };
    if fault == Fault::Pointers && name.ends_with(".parquet") {
        content = format!(
            "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n",
            "0".repeat(64),
            content.len()
        )
        .into_bytes();
    }
    let (first, last) = range.unwrap_or((0, None));
    let end = last.map_or(content.len(), |last| (last + 1).min(content.len()));
    let part = &content[first.min(end)..end];
    let etag = if fault == Fault::WrongChecksum { "0".repeat(64) } else { etag_of(&content) };
    let headers = format!(
        "etag: \"{etag}\"\r\nx-repo-commit: 0123456789012345678901234567890123456789\r\naccept-ranges: bytes\r\n\
         content-range: bytes {first}-{}/{}\r\n",
        end.saturating_sub(1),
        content.len()
    );
    let is_body = method == "GET" && part.len() > 1000;
    if fault == Fault::Drips && is_body {
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\n{headers}content-length: {}\r\n\r\n",
            part.len()
        )?;
        for drop in part.chunks(part.len().div_ceil(8)) {
            std::thread::sleep(Duration::from_millis(250));
            stream.write_all(drop)?;
        }
        return Ok(());
    }
    if fault == Fault::Slow && is_body {
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut seen = dropped.lock().unwrap();
    let drops = fault == Fault::DropsOnce && is_body && !*seen;
    *seen |= drops;
    drop(seen);
    let stalls = fault == Fault::Stalls && is_body && first > 0;
    if drops || stalls {
        write!(
            stream,
            "HTTP/1.1 206 Partial Content\r\n{headers}content-length: {}\r\n\r\n",
            part.len()
        )?;
        stream.write_all(&part[..part.len() / 2])?;
        if stalls {
            std::thread::sleep(Duration::from_mins(1));
        }
        return Ok(());
    }
    let status = if range.is_some() { 206 } else { 200 };
    respond(&mut stream, status, &headers, part, &method)
}

struct Asked {
    method: String,
    target: String,
    range: Option<(usize, Option<usize>)>,
}

fn read_request(stream: &TcpStream, log: &Mutex<Vec<String>>) -> std::io::Result<Asked> {
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
    let mut words = request.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    Ok(Asked { method, target, range })
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

fn list(root: &Path, folder: &Path, recursive: bool, fault: Fault, entries: &mut Vec<String>) {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.strip_prefix(root).unwrap().display();
        if path.is_dir() {
            entries.push(format!(r#"{{"type":"directory","oid":"0","path":"{name}"}}"#));
            if recursive {
                list(root, &path, recursive, fault, entries);
            }
        } else {
            let size = path.metadata().unwrap().len();
            let size = if fault == Fault::Pointers && size < 1000 { 12345 } else { size };
            entries.push(format!(r#"{{"type":"file","oid":"0","size":{size},"path":"{name}"}}"#));
        }
    }
}
