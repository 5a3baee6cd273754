//! Instruction data in the layouts of trainers: what is read back has the tokens, labels and sequences of the rows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int32Type};
use arrow_ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ratdata_schemas::layouts::npy::NpyHeader;
use ratdata_schemas::{BinSet, IGNORE_INDEX, Row, RowSet};
use ratdata_tests::program::{run, stderr};
use ratdata_tests::workshop::Workshop;
use safetensors::SafeTensors;
use serde_json::Value;

/// Questions and answers as rows: one a row in `pairs`, several in `packed`, and each by itself in `packed`'s base.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    let line = |row: usize| {
        let answer = "because ".repeat(1 + row % 9);
        format!("{{\"q\": \"why is {row}?\", \"a\": \"{answer}\"}}\n")
    };
    workshop.write("data/x.jsonl", (0..60).map(line).collect::<String>());
    let task =
        "prompt = \"Q: {q}\\nA:\"\n[splits.train]\nsource = \"data/*.jsonl\"\nanswers = [\"a\"]\n";
    workshop.write("task.toml", task);
    for (out, more) in
        [("pairs", &["--packing", "none"][..]), ("packed", &["--packing", "best-fit"])]
    {
        let words = ["sft", "--task-file", "task.toml", "--tokenizer", "demo/tokenizer"];
        let words = [&words[..], &["--max-length", "64", "--out", out, "--quiet"], more].concat();
        let output = workshop.run(&words);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    workshop
}

fn export(workshop: &Workshop, artifact: &str, to: &str) {
    let output = workshop.run(&[
        "export",
        artifact,
        "--to",
        to,
        "--out",
        &format!("{to}/{artifact}"),
        "--quiet",
    ]);
    assert!(output.status.success(), "{to} of {artifact}: {}", stderr(&output));
}

fn rows_of(root: &Path) -> Vec<Row> {
    let set = RowSet::open(root, "train").unwrap();
    let read = |number| {
        let mut row = Row::default();
        set.read(number, &mut row);
        row
    };
    (0..set.num_rows()).map(read).collect()
}

fn list(batch: &RecordBatch, column: &str, row: usize) -> Vec<i32> {
    let lists = batch.column_by_name(column).unwrap().as_list::<i32>();
    lists.value(row).as_primitive::<Int32Type>().values().to_vec()
}

/// Returns a number as a place in a list.
fn place(number: impl TryInto<usize, Error: std::fmt::Debug>) -> usize {
    number.try_into().unwrap()
}

/// Checks a row with labels at their tokens against a row whose labels are shifted: as many terms of the loss, each
/// of the same token after the same tokens of its sequence.
fn assert_same_terms(ids: &[i32], labels: &[i32], ends: &[i32], row: &Row) {
    let text: Vec<i32> = row.text().iter().map(|id| id.cast_signed()).collect();
    assert_eq!(ids[..text.len()], text[..]);
    assert!(ids.len() <= text.len() + 1);
    let ours: Vec<(usize, i32)> = row
        .labels
        .iter()
        .enumerate()
        .filter(|(_, label)| **label != IGNORE_INDEX)
        .map(|(column, &label)| (column, label))
        .collect();
    let theirs: Vec<(usize, i32)> = labels
        .iter()
        .enumerate()
        .filter(|(_, label)| **label != IGNORE_INDEX)
        .map(|(column, &label)| (column - 1, label))
        .collect();
    assert_eq!(theirs, ours);
    assert!(labels.iter().zip(ids).all(|(label, id)| *label == IGNORE_INDEX || label == id));
    assert_eq!(ends.len(), row.document_ends.len());
    assert_eq!(ends.last().map(|&end| place(end)), Some(ids.len()));
}

fn arrow_rows(path: &Path) -> Vec<RecordBatch> {
    StreamReader::try_new(File::open(path).unwrap(), None).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_data_set_has_labels_at_their_tokens() {
    let workshop = workshop();
    for artifact in ["pairs", "packed"] {
        export(&workshop, artifact, "arrow");
        let rows = rows_of(&workshop.path(artifact));
        let folder = workshop.path(&format!("arrow/{artifact}"));
        let mut number = 0;
        for batch in arrow_rows(&folder.join("train/data-00000-of-00001.arrow")) {
            for at in 0..batch.num_rows() {
                let (ids, labels) = (list(&batch, "input_ids", at), list(&batch, "labels", at));
                let lengths = match artifact {
                    "pairs" => vec![i32::try_from(ids.len()).unwrap()],
                    _ => list(&batch, "seq_lengths", at),
                };
                let mut ends = Vec::new();
                let mut positions = Vec::new();
                for length in &lengths {
                    ends.push(ends.last().unwrap_or(&0) + length);
                    positions.extend(0..*length);
                }
                assert_eq!(list(&batch, "position_ids", at), positions);
                assert_same_terms(&ids, &labels, &ends, &rows[number]);
                number += 1;
            }
            assert_eq!(batch.column_by_name("seq_lengths").is_some(), artifact != "pairs");
        }
        assert_eq!(number, rows.len());
        let read = |name: &str| -> Value {
            serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
        };
        assert_eq!(read("dataset_dict.json")["splits"], serde_json::json!(["train"]));
        assert_eq!(
            read("train/state.json")["_data_files"][0]["filename"],
            "data-00000-of-00001.arrow"
        );
        assert!(read("train/dataset_info.json")["features"]["labels"].is_object());
    }
    // Documents, each by itself.
    export(&workshop, "packed/tokens", "arrow");
    let data = workshop.path("arrow/packed/tokens/train/data-00000-of-00001.arrow");
    assert_eq!(arrow_rows(&data).iter().map(RecordBatch::num_rows).sum::<usize>(), 60);
}

#[test]
fn the_packed_sequences_of_megatron_bridge_have_the_mask_by_the_input() {
    let workshop = workshop();
    export(&workshop, "packed", "megatron-sft");
    let rows = rows_of(&workshop.path("packed"));
    let folder = workshop.path("megatron-sft/packed/train");
    let name = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    assert!(name.to_string_lossy().ends_with("-train.idx.parquet"), "{}", name.display());
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(name).unwrap()).unwrap();
    let mut number = 0;
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        for at in 0..batch.num_rows() {
            let ids = list(&batch, "input_ids", at);
            let masks = batch.column_by_name("loss_mask").unwrap().as_list::<i32>().value(at);
            let mask = masks.as_primitive::<Int8Type>().values().to_vec();
            let starts = list(&batch, "seq_start_id", at);
            assert_eq!((mask.len(), starts[0]), (ids.len(), 0));
            let mut ends: Vec<i32> = starts[1..].to_vec();
            ends.push(i32::try_from(ids.len()).unwrap());
            // What the loader does with it.
            let mut labels = vec![IGNORE_INDEX; ids.len()];
            for (start, end) in starts.iter().zip(&ends) {
                let (start, end) = (place(*start), place(*end));
                assert_eq!(mask[end - 1], 0);
                for column in start..end - 1 {
                    if mask[column] == 1 {
                        labels[column + 1] = ids[column + 1];
                    }
                }
            }
            assert_same_terms(&ids, &labels, &ends, &rows[number]);
            number += 1;
        }
    }
    assert_eq!(number, rows.len());

    for (artifact, says) in [
        ("packed/tokens", "holds streams of tokens, and `megatron-sft` holds rows"),
        ("pairs", "holds one example a row, and `megatron-sft` holds packed rows"),
    ] {
        let refused =
            run(&workshop.path(""), &["export", artifact, "--to", "megatron-sft", "--out", "no"]);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
    }
}

/// Returns the shape and the numbers of an array with numbers of so many bytes.
fn numbers(bytes: &[u8], width: usize) -> Vec<i64> {
    let number = |chunk: &[u8]| {
        let mut eight = [0; 8];
        eight[..width].copy_from_slice(chunk);
        // Of four bytes, the sign is that of the fourth.
        if width == 4 && chunk[3] >= 0x80 {
            eight[4..].fill(0xff);
        }
        i64::from_le_bytes(eight)
    };
    bytes.chunks(width).map(number).collect()
}

#[test]
fn cu_seqlens_are_in_npz_and_in_safetensors() {
    let workshop = workshop();
    export(&workshop, "packed", "npz");
    export(&workshop, "packed", "safetensors");
    export(&workshop, "pairs", "npz");
    let rows = rows_of(&workshop.path("packed"));
    let only = |folder: &str| {
        let folder = workshop.path(&format!("{folder}/train"));
        fs::read(fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()).unwrap()
    };
    let npz = only("npz/packed");
    let mut zip = zip::ZipArchive::new(Cursor::new(&npz)).unwrap();
    let safetensors = only("safetensors/packed");
    let tensors = SafeTensors::deserialize(&safetensors).unwrap();
    let mut array = |name: &str, width: usize| {
        let mut bytes = Vec::new();
        zip.by_name(&format!("{name}.npy")).unwrap().read_to_end(&mut bytes).unwrap();
        let header = NpyHeader::parse(&bytes).unwrap();
        let content = &bytes[header.data_offset..];
        let tensor = tensors.tensor(name).unwrap();
        assert_eq!(tensor.data(), content, "{name}");
        let shape: Vec<u64> = tensor.shape().iter().map(|&len| len as u64).collect();
        assert_eq!(shape, header.shape, "{name}");
        numbers(content, width)
    };

    let row_sequences = array("row_sequences", 8);
    let (cu_seqlens, seq_lengths) = (array("cu_seqlens", 4), array("seq_lengths", 4));
    let labels = array("labels", 4);
    let inputs = array("inputs", 2);
    assert_eq!(row_sequences.len(), rows.len() + 1);
    let width = rows[0].labels.len();
    for (number, row) in rows.iter().enumerate() {
        let (from, to) = (place(row_sequences[number]), place(row_sequences[number + 1]));
        let ends: Vec<i64> = row.document_ends.iter().map(|&end| end.into()).collect();
        let ours: Vec<i64> = std::iter::once(0).chain(ends.iter().copied()).collect();
        assert_eq!(cu_seqlens[from + number..=to + number], ours);
        let lengths: Vec<i64> = ours.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(seq_lengths[from..to], lengths);
        let columns = number * width..(number + 1) * width;
        let ours: Vec<i64> = row.labels.iter().copied().map(i64::from).collect();
        assert_eq!(labels[columns.clone()], ours);
        let ours: Vec<i64> = row.inputs.iter().copied().map(i64::from).collect();
        assert_eq!(inputs[columns], ours);
    }
    let pairs = only("npz/pairs");
    let names: Vec<String> = zip::ZipArchive::new(Cursor::new(pairs))
        .unwrap()
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    assert_eq!(names, ["inputs.npy", "labels.npy", "lengths.npy"]);
    // The same rows give the same bytes, at any time.
    export_again(&workshop, "packed");
    assert!(only("again/packed") == npz);
}

/// The documents of token bins, each token with whether it is trained on.
fn documents(root: &Path) -> Vec<Vec<(u32, bool)>> {
    let set = BinSet::open(root, "train").unwrap();
    let (mut found, mut first) = (Vec::new(), 0);
    for shard in set.shards() {
        let mut begin = 0;
        for &end in shard.index().unwrap().ends() {
            let len = place(end - begin);
            let (mut ids, mut trained) = (vec![0; len], vec![false; len]);
            set.copy_tokens(first + begin, &mut ids);
            set.copy_mask(first + begin, &mut trained);
            found.push(ids.into_iter().zip(trained).collect());
            begin = end;
        }
        first += shard.bin().len();
    }
    found
}

/// The sequences of rows as documents: the token behind the last input is one where it is a label.
fn sequences(rows: &[Row]) -> Vec<Vec<(u32, bool)>> {
    let mut found = Vec::new();
    for row in rows {
        let text = row.text();
        let mut begin = 0;
        for &end in &row.document_ends {
            let is_label = |column: usize| row.labels[column] != IGNORE_INDEX;
            let columns = begin..place(end);
            let mut document: Vec<(u32, bool)> = columns
                .clone()
                .map(|column| (text[column], column > begin && is_label(column - 1)))
                .collect();
            if place(end) == text.len() && is_label(columns.end - 1) {
                document.push((row.labels[columns.end - 1].cast_unsigned(), true));
            }
            found.push(document);
            begin = place(end);
        }
    }
    found
}

fn import(workshop: &Workshop, input: &str, from: &str, out: &str) {
    let words = ["import", input, "--from", from, "--out", out, "--tokenizer", "demo/tokenizer"];
    let output = workshop.run(&[&words[..], &["--quiet"]].concat());
    assert!(output.status.success(), "{from}: {}", stderr(&output));
}

#[test]
fn packed_rows_come_back_as_documents_with_the_same_terms_of_the_loss() {
    let workshop = workshop();
    let rows = rows_of(&workshop.path("packed"));
    let expected = sequences(&rows);
    let terms = |rows: &[Row]| {
        let labels = rows.iter().flat_map(|row| &row.labels);
        labels.filter(|label| **label != IGNORE_INDEX).count()
    };

    for layout in ["arrow", "npz", "safetensors", "megatron-sft"] {
        export(&workshop, "packed", layout);
        let out = format!("back/{layout}");
        import(&workshop, &format!("{layout}/packed/train"), layout, &out);

        assert!(documents(&workshop.path(&out)) == expected, "{layout} gives other documents");
        let verified = workshop.run(&["verify", &out]);
        assert!(verified.status.success(), "{layout}: {}", stderr(&verified));
        let again = format!("again/{layout}");
        let pack = ["pack", "--input", &out, "--seq-len", "64", "--out", &again, "--quiet"];
        let packed = workshop.run(&pack);
        assert!(packed.status.success(), "{layout}: {}", stderr(&packed));
        assert_eq!(terms(&rows_of(&workshop.path(&again))), terms(&rows), "{layout}");
        let words = ["import", &format!("{layout}/packed/train"), "--from", layout, "--out", &out];
        let done = workshop.run(&[&words[..], &["--tokenizer", "demo/tokenizer"]].concat());
        assert!(stderr(&done).contains("already done"), "{layout}: {}", stderr(&done));
    }
}

#[test]
fn documents_come_back_from_a_data_set_without_a_mask_where_they_had_none() {
    let workshop = workshop();
    let inputs = ["tokenize", "--tokenizer", "demo/tokenizer", "--input", "demo/corpus"];
    let output = workshop.run(&[&inputs[..], &["--out", "plain", "--quiet"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    for (artifact, is_masked) in [("plain", false), ("packed/tokens", true)] {
        export(&workshop, artifact, "arrow");
        let out = format!("back-{is_masked}");
        import(&workshop, &format!("arrow/{artifact}/train"), "arrow", &out);

        let set = BinSet::open(&workshop.path(&out), "train").unwrap();
        assert_eq!(set.shards()[0].mask().is_some(), is_masked);
        let mut expected = documents(&workshop.path(artifact));
        if is_masked {
            // Nothing predicts the first token.
            for document in &mut expected {
                document[0].1 = false;
            }
        }
        assert!(documents(&workshop.path(&out)) == expected, "{artifact}");
    }
}

#[test]
fn what_holds_no_packed_rows_is_told() {
    let workshop = workshop();
    export(&workshop, "pairs", "npz");
    export(&workshop, "packed", "npz");
    export(&workshop, "packed", "arrow");
    let npz = fs::read_dir(workshop.path("npz/packed/train")).unwrap().next().unwrap().unwrap();
    let whole = fs::read(npz.path()).unwrap();
    workshop.write("cut.npz", &whole[..whole.len() / 2]);
    let arrow = workshop.path("arrow/packed/train/data-00000-of-00001.arrow");
    let whole = fs::read(arrow).unwrap();
    workshop.write("cut.arrow", &whole[..whole.len() / 2]);
    for (input, from, says) in [
        ("npz/pairs/train", "npz", "cu_seqlens is not there, expected the arrays of packed rows"),
        ("cut.npz", "npz", "the archive is "),
        ("cut.arrow", "arrow", "the file ends within a batch of rows"),
        ("data/x.jsonl", "safetensors", "the size of the header is "),
        ("data/x.jsonl", "megatron-sft", "the table is "),
        ("data", "arrow", "no file of this layout, expected .arrow"),
    ] {
        let refused = workshop.run(&["import", input, "--from", from, "--out", "no"]);

        assert_eq!(refused.status.code(), Some(1), "{input}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(says), "{input}: {}", stderr(&refused));
        assert!(!workshop.path("no/manifest.json").exists());
    }
}

/// Each damage is told in one error, or changes numbers alone; nothing panics.
#[test]
fn rows_that_are_cut_or_flipped_are_told() {
    let workshop = workshop();
    let mut refused = 0;
    for layout in ["arrow", "npz", "safetensors", "megatron-sft"] {
        export(&workshop, "packed", layout);
        let folder = fs::read_dir(workshop.path(&format!("{layout}/packed/train"))).unwrap();
        let paths = folder.map(|entry| entry.unwrap().path());
        let path = paths.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
        let whole = fs::read(path).unwrap();
        let cuts = [2, 50, 98].map(|share| whole[..whole.len() * share / 100].to_vec());
        let flips = [0, 20, 60, 99].map(|share| {
            let mut bytes = whole.clone();
            bytes[whole.len() * share / 100] ^= 0x90;
            bytes
        });
        for (number, bytes) in cuts.into_iter().chain(flips).enumerate() {
            let name = format!("damaged-{number}.{layout}");
            workshop.write(&name, bytes);
            let output =
                workshop.run(&["import", &name, "--from", layout, "--out", "no", "--force"]);

            let told = stderr(&output);
            let status = output.status.code();
            assert!(!told.contains("panicked"), "{name}: {told}");
            assert!(
                matches!(status, Some(0 | 1)) && (number > 2 || status == Some(1)),
                "{name}: {told}"
            );
            let errors = told.lines().filter(|line| line.starts_with("error: ")).count();
            assert_eq!(errors, usize::from(status == Some(1)), "{told}");
            refused += usize::from(status == Some(1));
        }
    }
    assert!(refused >= 4 * 3, "{refused}");
}

fn export_again(workshop: &Workshop, artifact: &str) {
    let output = workshop.run(&[
        "export",
        artifact,
        "--to",
        "npz",
        "--out",
        &format!("again/{artifact}"),
        "--quiet",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
}
