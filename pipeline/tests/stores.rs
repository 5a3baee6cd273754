//! Inputs that are no files on disk, without a store: a web server, standard input, and addresses that are refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use ratdata_tests::files::write;
use ratdata_tests::program::{SAMPLE_TOKENIZER, command, run, stderr, succeed, write_sample};

/// Serves one content under every path, in ranges, and returns the address of a file.
fn serve(content: Vec<u8>, name: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(&stream, &content);
        }
    });
    format!("http://{place}/data/{name}")
}

fn answer(mut stream: &TcpStream, content: &[u8]) {
    let lines: Vec<String> = BufReader::new(stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .map(|line| line.to_ascii_lowercase())
        .collect();
    let range = lines.iter().find_map(|line| line.strip_prefix("range: bytes="));
    let range = range.and_then(|range| {
        let (first, last) = range.split_once('-')?;
        Some((first.parse::<usize>().ok()?, last.parse::<usize>().ok()?.min(content.len() - 1)))
    });
    let (status, from, to) = match range {
        Some((first, last)) => ("206 Partial Content", first, last + 1),
        None => ("200 OK", 0, content.len()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\netag: \"one\"\r\nconnection: close\r\ncontent-length: {}\r\ncontent-range: bytes {from}-{}/{}\r\n\r\n",
        to - from,
        to - 1,
        content.len(),
    );
    let body = if lines[0].starts_with("head") { &[] } else { &content[from..to] };
    // A client that needs no more has gone.
    drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)));
}

/// Ids of the only file's documents.
fn bin(folder: &Path, out: &str, stem: &str) -> Vec<u8> {
    std::fs::read(folder.join(out).join(format!("shards/x-train-{stem}.bin"))).unwrap()
}

fn words<'a>(input: &'a str, out: &'a str) -> Vec<&'a str> {
    let fixed = ["tokenize", "--tokenizer", SAMPLE_TOKENIZER, "--name", "x", "--val-fraction", "0"];
    [&fixed[..], &["--input", input, "--out", out]].concat()
}

#[test]
fn a_web_server_and_standard_input_give_the_bytes_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_sample(root);
    let lines: Vec<String> =
        (0..2000).map(|at| format!("{{\"text\": \"document {at}\"}}\n")).collect();
    let lines = lines.concat();
    write(&root.join("a.jsonl"), &lines);
    let table = std::fs::read(root.join("demo/corpus/000_00001.parquet")).unwrap();
    succeed(root, &words("a.jsonl", "disk"));
    succeed(root, &words("demo/corpus/000_00001.parquet", "table"));

    let served = serve(lines.clone().into_bytes(), "a.jsonl");
    succeed(root, &words(&served, "web"));
    succeed(root, &words(&serve(table, "000_00001.parquet"), "web-table"));
    let mut piped = command(root, &words("-", "piped"));
    let piped = piped.stdin(File::open(root.join("a.jsonl")).unwrap()).output().unwrap();

    assert!(piped.status.success(), "{}", stderr(&piped));
    assert!(bin(root, "disk", "a") == bin(root, "web", "a"));
    assert!(bin(root, "disk", "a") == bin(root, "piped", "stdin"));
    assert!(bin(root, "table", "000_00001") == bin(root, "web-table", "000_00001"));
    let again = run(root, &words(&served, "web"));
    assert!(stderr(&again).contains("already done"), "{}", stderr(&again));
}

#[test]
fn an_address_that_cannot_be_read_or_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_sample(root);
    write(&root.join("a.jsonl"), "{\"text\": \"a\"}\n");

    for (words, status, says) in [
        (words("s3://", "x"), 2, "it names no bucket"),
        (words("http://127.0.0.1:9/folder/*.jsonl", "x"), 2, "no folders to list"),
        (words("a.jsonl", "https://example.org/x"), 2, "nothing is written there"),
        (
            vec!["filter", "a.jsonl", "--where", "len(text) > 1", "--out", "gs://b/x"],
            2,
            "only `tokenize` and `export` write",
        ),
    ] {
        let refused = run(root, &words);

        assert_eq!(refused.status.code(), Some(status), "{words:?}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(says), "{words:?}: {}", stderr(&refused));
    }
    assert!(!root.join("gs:").exists());
}
