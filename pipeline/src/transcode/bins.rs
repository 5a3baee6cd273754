//! Exports token bins: a file, or a few, for each shard.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;

use flate2::{Compression, write::GzEncoder};
use ratdata_schemas::layouts::datatrove::DatatroveMetadata;
use ratdata_schemas::layouts::llmc::{self, LlmcHeader};
use ratdata_schemas::layouts::{megatron, npy, olmo, safetensors};
use ratdata_schemas::{BinSet, Carried, Dtype, Shard, TokenId};

use super::error::TranscodeError;
use super::export_files::{Export, ExportedFile, NewFile};
use super::export_job::{ExportJob, ExportLayout, LABEL_MASKS};
use super::text::export_text;

/// Writes the token bins of one split.
pub(super) fn export_bins(
    export: &Export<'_>,
    split: &str,
    files: &mut Vec<ExportedFile>,
) -> Result<(), TranscodeError> {
    let job = export.job;
    let bins = BinSet::from_manifest(job.root, job.manifest, split)?;
    for shard in bins.shards() {
        export.check_stop()?;
        let path = shard.bin().path();
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or(split).to_owned();
        let index = shard.index().map_or(&[][..], |index| index.ends());
        if let Some(index) = shard.index() {
            index.check(shard.bin().len())?;
        }
        let part = ShardExport { split, stem, shard, ends: index };
        // The path tells shards apart that have one name in two folders.
        let name = format!("{split}: {}", path.strip_prefix(job.root).unwrap_or(path).display());
        export.part(&name, files, |files| match job.to {
            ExportLayout::Megatron => part.megatron(export, files),
            ExportLayout::Llmc => part.llmc(export, files),
            ExportLayout::Datatrove => part.datatrove(export, files),
            ExportLayout::Olmo => part.olmo(export, files),
            ExportLayout::Npy => part.npy(export, files),
            ExportLayout::Safetensors => part.safetensors(export, files),
            ExportLayout::Jsonl => export_text(export, split, &part.stem, shard, files),
            ExportLayout::Npz | ExportLayout::Arrow | ExportLayout::MegatronSft => {
                let (split, layout) = (split.to_owned(), job.to.name());
                Err(TranscodeError::StreamsInRows { split, layout })
            }
        })?;
    }
    Ok(())
}

/// One shard on its way out.
struct ShardExport<'a> {
    split: &'a str,
    stem: String,
    shard: &'a Shard,
    ends: &'a [u64],
}

impl ShardExport<'_> {
    fn name(&self, ending: &str) -> String {
        format!("{}{ending}", self.stem)
    }

    fn path(&self) -> PathBuf {
        self.shard.bin().path().to_owned()
    }

    fn documents(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends).map(|(start, &end)| start..end)
    }

    fn megatron(
        &self,
        export: &Export<'_>,
        files: &mut Vec<ExportedFile>,
    ) -> Result<(), TranscodeError> {
        let vocab_size = export.job.manifest.tokenizer.vocab_size;
        let most = i32::MAX.unsigned_abs();
        if vocab_size > most {
            return Err(TranscodeError::Vocabulary { layout: "megatron", most, vocab_size });
        }
        let mut idx = export.create(self.split, &self.name(".idx"))?;
        let mut written = Ok(());
        megatron::index(self.shard.bin().dtype(), self.ends, |piece| {
            if written.is_ok() {
                written = idx.write(piece);
            }
        })
        .map_err(TranscodeError::layout(&self.path()))?;
        written?;
        export.carry(&self.path(), self.split, &self.name(".bin"), files)?;
        idx.commit(None, files)
    }

    /// EOS begins each document there and ends it here: the same stream, moved by one token.
    fn llmc(
        &self,
        export: &Export<'_>,
        files: &mut Vec<ExportedFile>,
    ) -> Result<(), TranscodeError> {
        let eos = export.job.eos.ok_or(TranscodeError::NoEos { layout: "llmc" })?;
        let pieces = pieces(self.ends, llmc::MAX_TOKENS);
        for (number, documents) in pieces.iter().enumerate() {
            export.check_stop()?;
            let more = if pieces.len() > 1 { format!("-{number:03}") } else { String::new() };
            let mut file = export.create(self.split, &self.name(&format!("{more}.bin")))?;
            let carried = self.llmc_piece(&mut file, documents.clone(), eos)?;
            file.commit(carried, files)?;
        }
        Ok(())
    }

    fn llmc_piece(
        &self,
        file: &mut NewFile,
        documents: Range<usize>,
        eos: TokenId,
    ) -> Result<Option<Carried>, TranscodeError> {
        let (dtype, tokens) = (self.shard.bin().dtype(), self.shard.bin().tokens());
        let ranges = || self.documents().skip(documents.start).take(documents.len());
        let closed = |range: &Range<u64>| {
            let last = range.end.checked_sub(1).filter(|&last| last >= range.start);
            last.and_then(|last| tokens.get(usize::try_from(last).ok()?)) == Some(eos)
        };
        let total: u64 =
            ranges().map(|range| range.end - range.start + u64::from(!closed(&range))).sum();
        let header = LlmcHeader { dtype, tokens: total }
            .to_bytes()
            .map_err(TranscodeError::layout(&self.path()))?;
        file.write(&header)?;
        let width = dtype.width() as u64;
        let id = eos.to_le_bytes();
        let id = &id[..dtype.width()];
        if let (true, Some(first), Some(last)) =
            (ranges().all(|range| closed(&range)), ranges().next(), ranges().last())
        {
            file.write(id)?;
            let len = (last.end - first.start - 1) * width;
            file.copy_from(&self.path(), first.start * width, len)?;
            return Ok(Some(Carried::Copied));
        }
        let bytes = self.shard.bin().bytes();
        for range in ranges() {
            let end = range.end - u64::from(closed(&range));
            file.write(id)?;
            file.write(slice(bytes, range.start * width..end * width))?;
        }
        Ok(None)
    }

    fn datatrove(
        &self,
        export: &Export<'_>,
        files: &mut Vec<ExportedFile>,
    ) -> Result<(), TranscodeError> {
        let metadata = DatatroveMetadata {
            tokenizer: export.job.manifest.tokenizer.name.clone(),
            dtype: self.shard.bin().dtype(),
            tokens: self.shard.bin().len(),
        };
        export.carry(&self.path(), self.split, &self.name(".ds"), files)?;
        if let Some(index) = self.shard.index() {
            export.carry(index.path(), self.split, &self.name(".ds.index"), files)?;
        }
        self.mask_bytes(export, &self.name(".ds.loss"), None, files)?;
        let mut file = export.create(self.split, &self.name(".ds.metadata"))?;
        file.write(metadata.to_text().as_bytes())?;
        file.commit(None, files)
    }

    fn olmo(
        &self,
        export: &Export<'_>,
        files: &mut Vec<ExportedFile>,
    ) -> Result<(), TranscodeError> {
        let mut csv = export.create(self.split, &self.name(".csv.gz"))?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let mut text = String::new();
        let path = csv.path.clone();
        let gzipped = TranscodeError::io(&path);
        for (number, range) in (1..).zip(self.documents()) {
            let id = format!("{}/{number}", self.stem);
            olmo::push_row(range.start, range.end, &id, &self.name(".bin"), number, &mut text);
            if text.len() > 1 << 16 {
                gzip.write_all(text.as_bytes()).map_err(&gzipped)?;
                csv.write(gzip.get_ref())?;
                gzip.get_mut().clear();
                text.clear();
            }
        }
        gzip.write_all(text.as_bytes()).map_err(&gzipped)?;
        csv.write(&gzip.finish().map_err(&gzipped)?)?;
        export.carry(&self.path(), self.split, &self.name(".npy"), files)?;
        self.mask_bytes(export, &format!("{LABEL_MASKS}/{}", self.name(".npy")), None, files)?;
        csv.commit(None, files)
    }

    fn npy(
        &self,
        export: &Export<'_>,
        files: &mut Vec<ExportedFile>,
    ) -> Result<(), TranscodeError> {
        let bin = self.shard.bin();
        let mut tokens = export.create(self.split, &self.name(".npy"))?;
        tokens.write(&npy::header(descr(bin.dtype()), &[bin.len()]))?;
        tokens.copy_from(&self.path(), 0, bin.bytes().len() as u64)?;
        tokens.commit(Some(Carried::Copied), files)?;
        if let Some(index) = self.shard.index() {
            let mut ends = export.create(self.split, &self.name(".ends.npy"))?;
            ends.write(&npy::header("<u8", &[index.len() as u64]))?;
            ends.copy_from(index.path(), 0, index.len() as u64 * 8)?;
            ends.commit(Some(Carried::Copied), files)?;
        }
        let header = npy::header("|b1", &[bin.len()]);
        self.mask_bytes(export, &self.name(".mask.npy"), Some(&header), files)
    }

    fn safetensors(
        &self,
        export: &Export<'_>,
        files: &mut Vec<ExportedFile>,
    ) -> Result<(), TranscodeError> {
        let bin = self.shard.bin();
        let tensor = |name, dtype, len: u64, width: u64| safetensors::Tensor {
            name,
            dtype,
            shape: vec![len],
            bytes: len * width,
        };
        let (name, width) = match bin.dtype() {
            Dtype::U16 => ("U16", 2),
            Dtype::U32 => ("U32", 4),
        };
        let mut tensors = vec![
            tensor("document_ends", "U64", self.ends.len() as u64, 8),
            tensor("tokens", name, bin.len(), width),
        ];
        if self.shard.mask().is_some() {
            tensors.push(tensor("loss_mask", "BOOL", bin.len(), 1));
        }
        let mut file = export.create(self.split, &self.name(".safetensors"))?;
        file.write(&safetensors::header(&tensors, &metadata(export.job, self.split)))?;
        if let Some(index) = self.shard.index() {
            file.copy_from(index.path(), 0, index.len() as u64 * 8)?;
        }
        file.copy_from(&self.path(), 0, bin.bytes().len() as u64)?;
        self.write_mask(export, &mut file)?;
        file.commit(Some(Carried::Copied), files)
    }

    /// Writes the loss mask as one byte a token, where there is one.
    fn mask_bytes(
        &self,
        export: &Export<'_>,
        name: &str,
        header: Option<&[u8]>,
        files: &mut Vec<ExportedFile>,
    ) -> Result<(), TranscodeError> {
        if self.shard.mask().is_none() {
            return Ok(());
        }
        let mut file = export.create(self.split, name)?;
        file.write(header.unwrap_or(&[]))?;
        self.write_mask(export, &mut file)?;
        file.commit(None, files)
    }

    fn write_mask(&self, export: &Export<'_>, file: &mut NewFile) -> Result<(), TranscodeError> {
        let Some(mask) = self.shard.mask() else { return Ok(()) };
        let mut left = self.shard.bin().len();
        for block in mask.chunks(1 << 16) {
            export.check_stop()?;
            let bytes: Vec<u8> =
                block.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1)).collect();
            let here = left.min(bytes.len() as u64);
            file.write(slice(&bytes, 0..here))?;
            left -= here;
        }
        Ok(())
    }
}

/// Returns what `NumPy` calls the width of ids.
pub(super) fn descr(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::U16 => "<u2",
        Dtype::U32 => "<u4",
    }
}

/// Returns what every safetensors export says of itself.
pub(super) fn metadata(job: &ExportJob<'_>, split: &str) -> BTreeMap<&'static str, String> {
    let tokenizer = &job.manifest.tokenizer;
    let mut fields = BTreeMap::from([
        ("name", job.manifest.name.to_string()),
        ("split", split.to_owned()),
        ("tokenizer", tokenizer.name.clone()),
        ("tokenizer_fingerprint", tokenizer.fingerprint.to_string()),
        ("vocab_size", tokenizer.vocab_size.to_string()),
    ]);
    fields.extend(tokenizer.eos.map(|eos| ("eos", eos.to_string())));
    fields
}

fn slice(bytes: &[u8], range: Range<u64>) -> &[u8] {
    let end = bytes.len();
    let at = |place: u64| usize::try_from(place).unwrap_or(end).min(end);
    &bytes[at(range.start)..at(range.end)]
}

/// Cuts documents into runs that hold at most `most` tokens, an EOS for each added.
fn pieces(ends: &[u64], most: u64) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let (mut first, mut begin, mut before) = (0, 0, 0);
    for (number, &end) in ends.iter().enumerate() {
        let documents = (number + 1 - first) as u64;
        if end - begin + documents > most && number > first {
            pieces.push(first..number);
            (first, begin) = (number, before);
        }
        before = end;
    }
    pieces.push(first..ends.len());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_parted_before_a_file_is_too_long() {
        assert_eq!(pieces(&[3, 6, 9], 100), vec![0..3]);
        assert_eq!(pieces(&[3, 6, 9], 8), vec![0..2, 2..3]);
        assert_eq!(pieces(&[30, 33], 8), vec![0..1, 1..2]);
        assert_eq!(pieces(&[], 8), vec![0..0]);
    }
}
