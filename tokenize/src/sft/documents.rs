//! Writes a split as documents of a token bin with a loss mask, for packing.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::{ShardFiles, ShardRecord, ShardWriter, narrow};

use super::error::SftError;
use super::staged::Staged;
use crate::tokenizer::IdWidth;

/// Writes examples in this order, each with the id that its last token predicts.
///
/// The token behind a cut is not trained on: the reference's one wrong label there is mended.
pub(crate) fn write_documents<W: IdWidth>(
    out: &Path,
    stem: &str,
    (staged, order): (&Staged<W>, &[u32]),
    interrupted: &AtomicBool,
) -> Result<ShardRecord, SftError> {
    let mut writer = ShardWriter::create_masked(ShardFiles { root: out, stem })?;
    for &number in order {
        if interrupted.load(Ordering::Relaxed) {
            return Err(SftError::Interrupted);
        }
        let mut example = staged.example(number)?;
        if let Some(closing) = example.closing() {
            example.ids.push(closing);
            example.trained.push(true);
        }
        let ids: Vec<W> = example.ids.iter().map(|&id| W::of(id)).collect();
        let len = narrow(ids.len());
        writer.append(W::tokens(&ids), &[len])?;
        writer.append_mask(&example.trained)?;
    }
    Ok(writer.finish(None)?)
}
