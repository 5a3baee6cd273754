//! Every kind of file and column gives the same bins, and every damage gives one clear error.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, LargeStringArray, ListArray, RecordBatch, StringArray,
    StringViewArray,
};
use arrow_schema::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use ratdata_tests::files::content;
use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;

fn texts() -> Vec<String> {
    let text = |row: usize| match row % 5 {
        0 => String::new(),
        1 => "the same text again".into(),
        2 => format!("row {row} of the table"),
        3 => format!("Zeile {row}: größer, 水 und 河\n\tmit Umbruch"),
        _ => "a longer one, ".repeat(row % 90),
    };
    (0..1500).map(text).collect()
}

/// Writes one column of any type as a parquet file.
fn write_column(workshop: &Workshop, name: &str, column: ArrayRef, properties: WriterProperties) {
    let schema = Arc::new(Schema::new(vec![Field::new("text", column.data_type().clone(), true)]));
    let path = workshop.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties)).unwrap();
    writer.write(&RecordBatch::try_new(schema, vec![column]).unwrap()).unwrap();
    writer.close().unwrap();
}

/// The codecs that parquet allows.
fn codecs() -> [(&'static str, Compression); 7] {
    [
        ("none", Compression::UNCOMPRESSED),
        ("snappy", Compression::SNAPPY),
        ("gzip", Compression::GZIP(GzipLevel::default())),
        ("brotli", Compression::BROTLI(BrotliLevel::default())),
        ("lz4", Compression::LZ4),
        ("lz4raw", Compression::LZ4_RAW),
        ("zstd", Compression::ZSTD(ZstdLevel::default())),
    ]
}

fn small_pages(compression: Compression) -> WriterProperties {
    WriterProperties::builder()
        .set_compression(compression)
        .set_data_page_row_count_limit(200)
        .set_write_batch_size(100)
        .set_max_row_group_row_count(Some(400))
        .build()
}

/// Returns the bins and indexes that a file becomes.
fn bins(workshop: &Workshop, input: &str, out: &str) -> Vec<(PathBuf, Vec<u8>)> {
    workshop.manifest(out, &["--input", input, "--name", "x"]);
    content(&workshop.path(out))
        .into_iter()
        .filter(|(name, _)| name.starts_with("shards"))
        .collect()
}

fn compressed_lines(texts: &[String]) -> [(&'static str, Vec<u8>); 3] {
    let line = |text: &String| format!("{}\n", serde_json::json!({"text": text}));
    let lines = texts.iter().map(line).collect::<String>().into_bytes();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&lines).unwrap();
    let zstd = zstd::encode_all(&lines[..], 3).unwrap();
    [(".jsonl", lines), (".jsonl.gz", gzip.finish().unwrap()), (".jsonl.zst", zstd)]
}

#[test]
fn every_column_and_codec_gives_the_bins_of_plain_strings() {
    let workshop = Workshop::new();
    let texts = texts();
    let plain: ArrayRef = Arc::new(StringArray::from_iter_values(&texts));
    workshop.write_parquet(
        "plain/a.parquet",
        std::slice::from_ref(&texts),
        WriterProperties::default(),
    );
    let expected = bins(&workshop, "plain/a.parquet", "out/plain");

    let mut made = 0;
    let mut check = |kind: &str, input: &str| {
        let found = bins(&workshop, input, &format!("out/{kind}"));
        assert!(found == expected, "{kind} gives other bytes");
        made += 1;
    };
    let columns: [(&str, ArrayRef); 3] = [
        ("large", Arc::new(LargeStringArray::from_iter_values(&texts))),
        ("view", Arc::new(StringViewArray::from_iter_values(&texts))),
        (
            "dictionary",
            Arc::new(texts.iter().map(String::as_str).collect::<DictionaryArray<Int32Type>>()),
        ),
    ];
    for (kind, column) in columns {
        let input = format!("{kind}/a.parquet");
        write_column(&workshop, &input, column, small_pages(Compression::SNAPPY));
        check(kind, &input);
    }
    for (codec, compression) in codecs() {
        let input = format!("{codec}/a.parquet");
        write_column(&workshop, &input, plain.clone(), small_pages(compression));
        check(codec, &input);
    }
    let second = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_dictionary_enabled(false)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    write_column(&workshop, "v2/a.parquet", plain, second);
    check("v2", "v2/a.parquet");
    for (ending, lines) in compressed_lines(&texts) {
        let input = format!("lines{ending}/a{ending}");
        workshop.write(&input, &lines);
        check(ending, &input);
    }
    assert_eq!(made, 14);
}

#[test]
fn a_column_of_lists_is_told_as_such() {
    let workshop = Workshop::new();
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]);
    write_column(&workshop, "a.parquet", Arc::new(lists), WriterProperties::default());

    let output = workshop.tokenize(&["--input", "a.parquet", "--out", "out"]);

    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(
        told.contains("a.parquet: column `text` holds lists of INT32, expected text"),
        "{told}"
    );
    assert!(told.contains("\nhint: "), "{told}");
}

/// Each damage is told in one error with a hint, or changes nothing; nothing panics, no manifest is
/// written, and the program ends.
#[test]
fn whatever_is_cut_or_flipped_is_told() {
    let workshop = Workshop::new();
    let texts = texts();
    let plain: ArrayRef = Arc::new(StringArray::from_iter_values(&texts));
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for (codec, compression) in codecs() {
        let name = format!("{codec}.parquet");
        write_column(&workshop, &name, plain.clone(), small_pages(compression));
        files.push((name.clone(), fs::read(workshop.path(&name)).unwrap()));
    }
    for (ending, lines) in compressed_lines(&texts) {
        files.push((format!("lines{ending}"), lines));
    }
    let mut refused = 0;
    for (name, whole) in &files {
        let cut = |share: usize| whole[..whole.len() * share / 100].to_vec();
        let flipped = |share: usize| {
            let mut bytes = whole.clone();
            let at = bytes.len() * share / 100;
            bytes[at] ^= 0x10;
            bytes
        };
        let damages = [
            ("cut at 10%", cut(10), true),
            ("cut at 50%", cut(50), true),
            ("cut at 99%", cut(99), true),
            ("flipped at 5%", flipped(5), false),
            ("flipped at 40%", flipped(40), false),
            ("flipped at 95%", flipped(95), false),
        ];
        for (damage, bytes, is_cut) in damages {
            workshop.write(&format!("damaged/{name}"), &bytes);
            let output = workshop.tokenize(&[
                "--input",
                &format!("damaged/{name}"),
                "--out",
                "out",
                "--quiet",
            ]);
            let told = stderr(&output);

            assert!(!told.contains("panicked"), "{name}, {damage}: {told}");
            if output.status.success() {
                // A line that ends where the cut is, or a letter that became another.
                assert!(!is_cut || name == "lines.jsonl", "{name}, {damage}: nothing was told");
            } else {
                refused += 1;
                assert_eq!(output.status.code(), Some(1), "{name}, {damage}: {told}");
                let path = format!("error: damaged/{name}: ");
                assert!(
                    told.starts_with(&path) && told.contains("\nhint: "),
                    "{name}, {damage}: {told}"
                );
                assert!(!workshop.path("out/manifest.json").exists(), "{name}, {damage}");
            }
            fs::remove_dir_all(workshop.path("out")).ok();
        }
    }
    assert!(refused >= 3 * (files.len() - 1), "{refused}");
}
