//! The rows of these tests, and the same rows in every format.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use ratdata_tests::files::content;
use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;
use serde_json::{Value, json};

/// Rows with an id, a question and a text; some texts come twice.
pub(crate) fn rows() -> Vec<Value> {
    let text = |row: usize| match row % 5 {
        0 => String::new(),
        1 => "the same text again, and more of it".into(),
        2 => format!("row {row}, \"quoted\", of the table"),
        3 => format!("Zeile {row}: größer, 水 und 河\n\tmit Umbruch"),
        _ => "a longer one, ".repeat(row % 90),
    };
    (0..700)
        .map(|row| json!({"id": row, "q": format!("what is {row}?"), "text": text(row)}))
        .collect()
}

pub(crate) fn lines_of(rows: &[Value]) -> Vec<u8> {
    let lines = rows.iter().flat_map(|row| [row.to_string(), "\n".to_owned()]);
    lines.collect::<String>().into_bytes()
}

pub(crate) fn arrow_of(rows: &[Value]) -> Vec<u8> {
    let texts = |name: &str| -> ArrayRef {
        Arc::new(rows.iter().map(|row| row[name].as_str()).collect::<StringArray>())
    };
    let ids: ArrayRef = Arc::new(rows.iter().map(|row| row["id"].as_i64()).collect::<Int64Array>());
    let columns = [("id", ids), ("q", texts("q")), ("text", texts("text"))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    for start in (0..rows.len()).step_by(300) {
        writer.write(&batch.slice(start, 300.min(rows.len() - start))).unwrap();
    }
    writer.into_inner().unwrap()
}

pub(crate) fn separated(rows: &[Value], separator: char) -> Vec<u8> {
    let mut file = format!("id{separator}q{separator}text\r\n");
    for row in rows {
        let quoted = row["text"].as_str().unwrap().replace('"', "\"\"");
        let (id, question) = (&row["id"], row["q"].as_str().unwrap());
        file.push_str(&format!("{id}{separator}{question}{separator}\"{quoted}\"\r\n"));
    }
    file.into_bytes()
}

pub(crate) fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// The rows in every format, by the ending of its files.
pub(crate) fn formats(rows: &[Value]) -> Vec<(String, Vec<u8>)> {
    let (first, second) = (lines_of(&rows[..300]), gzip(&lines_of(&rows[300..])));
    let pretty = serde_json::to_vec_pretty(rows).unwrap();
    let plain = [
        ("arrow", arrow_of(rows)),
        ("json", pretty),
        ("csv", separated(rows, ',')),
        ("tsv", separated(rows, '\t')),
        (
            "tar",
            tar_of(&[("x/b.jsonl", &first), ("x/README.md", b"about"), ("a.jsonl.gz", &second)]),
        ),
    ];
    let mut all = Vec::new();
    for (ending, bytes) in plain {
        all.push((format!("{ending}.gz"), gzip(&bytes)));
        all.push((format!("{ending}.zst"), zstd::encode_all(&bytes[..], 1).unwrap()));
        all.push((ending.to_owned(), bytes));
    }
    all
}

/// Writes the rows as lines at `lines/a.jsonl`, and returns where each format has them.
pub(crate) fn workshop() -> (Workshop, Vec<String>) {
    let workshop = Workshop::new();
    let rows = rows();
    workshop.write("lines/a.jsonl", lines_of(&rows));
    let mut places = Vec::new();
    for (ending, bytes) in formats(&rows) {
        let place = format!("{ending}/a.{ending}");
        workshop.write(&place, bytes);
        places.push(place);
    }
    (workshop, places)
}

pub(crate) fn succeed(workshop: &Workshop, arguments: &[&str]) -> String {
    let output = workshop.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stderr(&output)
}

/// Returns the bins, indexes, masks and rows of an artifact.
pub(crate) fn bins(workshop: &Workshop, out: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let is_data = |(name, _): &(PathBuf, Vec<u8>)| {
        let ending = name.extension().map(|ending| ending.to_string_lossy().into_owned());
        matches!(ending.as_deref(), Some("bin" | "idx"))
    };
    content(&workshop.path(out)).into_iter().filter(is_data).collect()
}

pub(crate) const TOKENIZE: [&str; 6] =
    ["tokenize", "--tokenizer", "demo/tokenizer", "--name", "x", "--quiet"];
