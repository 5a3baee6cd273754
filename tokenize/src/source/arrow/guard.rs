//! Checks what a batch says of itself, before memory is taken for it or bytes are read by it.

use arrow_ipc::RecordBatch;

/// The most rows of a batch: Arrow's own tools write a few thousand.
const MOST_ROWS: i64 = 0xffff_ffff;

/// The most bytes that a compressed buffer may become.
const MOST_BYTES: i64 = 1 << 34;

/// Checks the numbers of a record batch against its body.
///
/// # Errors
///
/// A number is below 0 or more than there can be, in words.
pub(super) fn check_batch(batch: &RecordBatch<'_>, body: &[u8]) -> Result<(), String> {
    let rows = batch.length();
    if !(0..=MOST_ROWS).contains(&rows) {
        return Err(format!("a batch of {rows} rows, expected 0 to {MOST_ROWS}"));
    }
    for node in batch.nodes().into_iter().flatten() {
        let (length, nulls) = (node.length(), node.null_count());
        // Lists have more items than there are rows, and no item takes less than a bit.
        let most = MOST_ROWS.saturating_mul(8);
        if !(0..=most).contains(&length) || !(0..=length).contains(&nulls) {
            return Err(format!("a column of {length} values of which {nulls} are null"));
        }
    }
    for buffer in batch.buffers().into_iter().flatten() {
        let (offset, length) = (buffer.offset(), buffer.length());
        let end = usize::try_from(offset).ok().zip(usize::try_from(length).ok());
        let end = end.and_then(|(offset, length)| Some((offset, offset.checked_add(length)?)));
        let Some(content) = end.and_then(|(start, end)| body.get(start..end)) else {
            return Err(format!(
                "a column at byte {offset} with {length} bytes, and the batch has {}",
                body.len()
            ));
        };
        if batch.compression().is_some()
            && let Some(bytes) = content.first_chunk::<8>().map(|eight| i64::from_le_bytes(*eight))
            && bytes > MOST_BYTES
        {
            return Err(format!("a compressed column that says that it has {bytes} bytes"));
        }
    }
    Ok(())
}
