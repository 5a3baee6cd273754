//! Well-formed files of documents, one of each format.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, DictionaryArray, ListArray, RecordBatch, StringArray, StringViewArray,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::ArrowError;

/// Returns files of documents.
pub(crate) fn records() -> Vec<Vec<u8>> {
    let lines = b"{\"text\": \"one\", \"n\": 1}\n{\"text\": \"tw\\u00f6\"}\n\n{\"text\": null}\n";
    let array = b"[\n  {\"text\": \"one ]}\\\"\", \"n\": [1, {}]},\n  {\"text\": null}, 7\n]\n";
    let table = b"n,text\r\n1,\"one, \"\"two\"\"\nthree\"\r\n\r\n2,four\n";
    let mut seeds = vec![lines.to_vec(), array.to_vec(), table.to_vec()];
    seeds.extend(archive(lines).ok());
    for codec in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        seeds.extend(arrow(codec).ok());
    }
    seeds
}

fn archive(lines: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for name in ["a/1.jsonl", "README.md"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(lines.len() as u64);
        archive.append_data(&mut header, name, lines)?;
    }
    archive.into_inner()
}

/// Returns a stream with texts, numbers, lists and a dictionary.
fn arrow(codec: Option<CompressionType>) -> Result<Vec<u8>, ArrowError> {
    let texts = ["one", "tw\u{f6}", "", "one"];
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let view: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
    let key: ArrayRef = Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>());
    let lists = texts.map(|text| Some(vec![Some(i32::try_from(text.len()).unwrap_or(0)), None]));
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists));
    let columns = [("text", text), ("view", view), ("key", key), ("list", list)];
    let batch = RecordBatch::try_from_iter(columns)?;
    let options = IpcWriteOptions::default().try_with_compression(codec)?;
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)?;
    writer.write(&batch)?;
    writer.write(&batch.slice(1, 2))?;
    writer.into_inner()
}
