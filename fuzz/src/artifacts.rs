//! Well-formed files of artifacts and layouts, and folders to put hostile ones in.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use ratdata_schemas::layouts::{datatrove, llmc, megatron, npy, olmo, safetensors};
use ratdata_schemas::{DirLock, Dtype, PlainName};
use ratdata_tokenize::corpus::{Job, Outcome, Progress, Tokenize};
use ratdata_tokenize::pack::{Algorithm, Long, PackConfig, PackJob};
use ratdata_tokenize::source::find_inputs;
use ratdata_tokenize::tokenizer::Tokenizer;

use crate::vocabularies;

/// Puts files into a folder of their own and has `look` look at them there.
pub(crate) fn in_folder(files: &[(&str, &[u8])], look: impl FnOnce(&Path)) {
    let Ok(folder) = tempfile::tempdir() else { return };
    for (name, bytes) in files {
        let path = folder.path().join(name);
        let made = path.parent().is_some_and(|above| fs::create_dir_all(above).is_ok());
        if !made || File::create(&path).and_then(|mut file| file.write_all(bytes)).is_err() {
            return;
        }
    }
    look(folder.path());
}

/// Returns the files of token bins (`tokens/…`) and of a pack of them (`pack/…`).
pub(crate) fn pack() -> Vec<(String, Vec<u8>)> {
    static FILES: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    FILES.get_or_init(|| made().unwrap_or_default()).clone()
}

fn made() -> Option<Vec<(String, Vec<u8>)>> {
    let folder = tempfile::tempdir().ok()?;
    let root = folder.path();
    let mut lines = String::new();
    for number in 0..40 {
        lines += &format!("{{\"text\": \"the cat sat {} times\"}}\n", "on ".repeat(number % 7));
    }
    let input = root.join("x.jsonl");
    File::create(&input).ok()?.write_all(lines.as_bytes()).ok()?;
    let vocabulary = root.join("tokenizer.json");
    File::create(&vocabulary).ok()?.write_all(&vocabularies::json_files()[0]).ok()?;
    let tokenizer = Tokenizer::load(&vocabulary).ok()?;
    let files = find_inputs(&[input.display().to_string()]).ok()?;
    let (stop, tokens) = (AtomicBool::new(false), root.join("tokens"));
    let config = Tokenize { name: PlainName::near("x"), val_fraction: 0.0, ..Tokenize::default() };
    let Ok(Outcome::Open(job)) = Job::open(config, tokenizer, "x", files, &tokens, false) else {
        return None;
    };
    job.run(|_| true, 1, &Progress::default(), &stop).ok()?;
    job.commit(&stop).ok()?;
    let pack = PackJob {
        input: tokens,
        out: root.join("pack"),
        split: None,
        config: PackConfig {
            seq_len: 16,
            packing: Algorithm::BestFit,
            long: Long::Split,
            align: 1,
            seed: None,
        },
        materialize: false,
        force: false,
    };
    pack.run(&stop).ok()?;
    let mut files = BTreeMap::new();
    for part in ["tokens", "pack"] {
        collect(root, &root.join(part), &mut files);
    }
    Some(files.into_iter().collect())
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if !path.ends_with(DirLock::FILE)
            && let (Ok(name), Ok(bytes)) = (path.strip_prefix(root), fs::read(&path))
        {
            files.insert(name.display().to_string(), bytes);
        }
    }
}

/// Returns the manifests of the artifacts.
pub(crate) fn manifests() -> Vec<Vec<u8>> {
    let files = pack().into_iter().filter(|(name, _)| name.ends_with("manifest.json"));
    files.map(|(_, bytes)| bytes).collect()
}

/// Returns bins with their indexes, after a byte that says how they share the rest.
pub(crate) fn bins() -> Vec<Vec<u8>> {
    let ids: Vec<u8> = (0..48_u16).flat_map(u16::to_le_bytes).collect();
    let ends: Vec<u8> = [5_u64, 5, 17, 48].iter().flat_map(|end| end.to_le_bytes()).collect();
    vec![[&[192], &ids[..], &ends[..]].concat()]
}

/// Returns each file of the artifacts, after its number.
pub(crate) fn row_files() -> Vec<Vec<u8>> {
    let numbered = (0_u8..).zip(pack());
    numbered.map(|(number, (_, bytes))| [&[number], &bytes[..]].concat()).collect()
}

/// Returns headers and indexes of other tools' layouts.
pub(crate) fn layouts() -> Vec<Vec<u8>> {
    let mut index = Vec::new();
    let written = megatron::index(Dtype::U16, &[3, 3, 9], |piece| index.extend_from_slice(piece));
    let mut rows = String::new();
    olmo::push_row(0, 3, "x/1", "x.npy", 1, &mut rows);
    olmo::push_row(3, 9, "x/2", "x.npy", 2, &mut rows);
    let metadata =
        datatrove::DatatroveMetadata { tokenizer: "x".into(), dtype: Dtype::U16, tokens: 9 };
    let header = llmc::LlmcHeader { dtype: Dtype::U16, tokens: 2 }.to_bytes();
    let mut seeds = vec![npy::header("<u2", &[9]), rows.into_bytes(), metadata.to_text().into()];
    let tensor = safetensors::Tensor { name: "tokens", dtype: "U16", shape: vec![9], bytes: 18 };
    let mut tensors = safetensors::header(&[tensor], &BTreeMap::new());
    tensors.extend([0; 18]);
    seeds.push(tensors);
    seeds.extend(written.is_ok().then_some(index));
    seeds.extend(header.ok());
    seeds
}
