//! What every pack must hold, whatever the documents: nothing lost, nothing made, nothing mixed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use ratdata_schemas::recipe::{Import, ImportLayout, Recipe};
use ratdata_schemas::{
    BinSet, Checksum, Dtype, FORMAT_VERSION, Finished, IGNORE_INDEX, Manifest, PlainName, Row,
    RowSet, Semantics, ShardFiles, ShardWriter, Span, SplitRecord, TokenizerRecord,
};
use ratdata_tokenize::pack::{
    Algorithm, BestFit, Document, Long, PackConfig, PackJob, SplitPacked, best_fit_plainly,
};

const EOS: u32 = 2;

/// A document: which of its tokens are trained on.
type LossMask = Vec<bool>;

/// Writes shards of documents whose ids count up from 11 over the whole stream.
fn write_bins(root: &Path, shards: &[Vec<LossMask>]) {
    let mut next = 11_u16..;
    let records = shards
        .iter()
        .enumerate()
        .map(|(number, documents)| {
            let stem = format!("shards/x-train-{number}");
            let mut writer = ShardWriter::create_masked(ShardFiles { root, stem: &stem }).unwrap();
            for mask in documents {
                let ids: Vec<u16> = next.by_ref().take(mask.len()).collect();
                writer.append_u16(&ids, &[u32::try_from(ids.len()).unwrap()]).unwrap();
                writer.append_mask(mask).unwrap();
            }
            writer.finish(None).unwrap()
        })
        .collect();
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        name: PlainName::near("x"),
        dtype: Dtype::U16,
        tokenizer: TokenizerRecord {
            name: "x".into(),
            semantics: Semantics::Tokenizers,
            fingerprint: Checksum::of(b"x"),
            vocab_size: 65_536,
            bos: None,
            eos: Some(EOS),
            unk: None,
            pad: None,
        },
        splits: BTreeMap::from([(
            PlainName::near("train"),
            SplitRecord::Shards { shards: records },
        )]),
        sources: Vec::new(),
        base: None,
        recipe: Recipe::Import(Import {
            from: ImportLayout::Raw,
            split: PlainName::near("train"),
            eos: None,
        }),
    };
    manifest.write(root).unwrap();
}

fn pack(bins: &Path, out: &Path, config: PackConfig, materialize: bool) -> Finished {
    let job = PackJob {
        input: bins.to_owned(),
        out: out.to_owned(),
        split: None,
        config,
        materialize,
        force: false,
    };
    job.run(&AtomicBool::new(false)).unwrap()
}

fn rows(out: &Path) -> Vec<Row> {
    let set = RowSet::open(out, "train").unwrap();
    let read = |number| {
        let mut row = Row::default();
        set.read(number, &mut row);
        row
    };
    (0..set.num_rows()).map(read).collect()
}

fn concat(seq_len: u32) -> PackConfig {
    PackConfig { seq_len, packing: Algorithm::Concat, long: Long::Split, align: 1, seed: None }
}

fn configs() -> impl Strategy<Value = PackConfig> {
    let packing = prop_oneof![Just(Algorithm::Concat), Just(Algorithm::BestFit)];
    let seed = prop_oneof![Just(None), (0..9_u64).prop_map(Some)];
    (1..20_u32, packing, 1..6_u32, seed).prop_map(|(seq_len, packing, align, seed)| {
        let align = align.min(seq_len);
        PackConfig { seq_len, packing, long: Long::Split, align, seed }
    })
}

fn corpora() -> impl Strategy<Value = Vec<Vec<LossMask>>> {
    let document = proptest::collection::vec(any::<bool>(), 0..45);
    proptest::collection::vec(proptest::collection::vec(document, 0..9), 1..4)
        .prop_filter("some document teaches something", |shards| {
            shards.iter().flatten().any(|document| document.len() > 1)
        })
}

proptest! {
    // Each case writes files and syncs them.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Each token that is trained on, except a document's first, is a label once, behind the token before it, and
    /// nothing else is a label.
    #[test]
    fn every_token_is_trained_on_once_and_in_its_place(shards in corpora(), config in configs()) {
        let folder = tempfile::tempdir().unwrap();
        let (bins, out) = (folder.path().join("bins"), folder.path().join("pack"));
        write_bins(&bins, &shards);
        let mut expected = Vec::new();
        let mut id = 10;
        for document in shards.iter().flatten() {
            for (place, &trained) in document.iter().enumerate() {
                id += 1;
                if trained && place > 0 {
                    expected.push(id);
                }
            }
        }

        let outcome = pack(&bins, &out, config, false);

        let mut found = Vec::new();
        for row in rows(&out) {
            prop_assert_eq!(row.inputs.len(), config.seq_len as usize);
            let mut begin = 0;
            for &end in &row.document_ends {
                let stretch = &row.inputs[begin..end as usize];
                // Padding in front of an aligned document is all that may stand before it.
                let padding = stretch.iter().take_while(|&&id| id == EOS).count();
                for pair in stretch[padding..].windows(2) {
                    prop_assert_eq!(pair[0] + 1, pair[1]);
                }
                begin = end as usize;
            }
            for (&input, &label) in row.inputs.iter().zip(&row.labels) {
                if label != IGNORE_INDEX {
                    prop_assert_eq!(input + 1, label.cast_unsigned());
                    found.push(label);
                }
            }
        }
        found.sort_unstable();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(SplitPacked::all(&outcome.manifest)[0].counts.dropped, 0);
    }

    /// A pack written out reads as the pack does.
    #[test]
    fn a_pack_written_out_has_the_same_rows(shards in corpora(), config in configs()) {
        let folder = tempfile::tempdir().unwrap();
        let bins = folder.path().join("bins");
        let (thin, plain) = (folder.path().join("thin"), folder.path().join("plain"));
        write_bins(&bins, &shards);

        pack(&bins, &thin, config, false);
        pack(&bins, &plain, config, true);

        prop_assert_eq!(rows(&thin), rows(&plain));
    }

    /// Row `r` of an unaligned concatenation is the stream from `r · seq_len` on.
    #[test]
    fn concatenation_gives_the_references_windows(shards in corpora(), seq_len in 1..20_u32) {
        let folder = tempfile::tempdir().unwrap();
        let (bins, out) = (folder.path().join("bins"), folder.path().join("pack"));
        write_bins(&bins, &shards);

        pack(&bins, &out, concat(seq_len), false);

        let stream = BinSet::open(&bins, "train").unwrap();
        let whole = (stream.num_tokens() - 1) / u64::from(seq_len);
        for (number, row) in (0..whole).zip(rows(&out)) {
            let mut window = vec![0; seq_len as usize];
            prop_assert!(stream.copy_tokens(number * u64::from(seq_len), &mut window));
            prop_assert_eq!(row.inputs, window);
        }
    }

    /// The fast search for a row finds what looking at all of them finds.
    #[test]
    fn best_fit_is_its_definition(
        lens in proptest::collection::vec(0..70_u64, 0..60),
        seq_len in 1..40_u32,
        align in 1..9_u32,
        drop in any::<bool>(),
    ) {
        let long = if drop { Long::Drop } else { Long::Split };
        let align = align.min(seq_len);
        let config = PackConfig { seq_len, packing: Algorithm::BestFit, long, align, seed: None };
        let starts = lens.iter().scan(0, |end, len| { *end += len; Some(*end - len) });
        let documents: Vec<Document> =
            starts.zip(&lens).map(|(start, &len)| Document { start, len }).collect();
        let mut rows: Vec<Vec<Span>> = Vec::new();
        let mut sink = |spans: &[Span]| -> Result<(), ()> { rows.push(spans.to_vec()); Ok(()) };

        let mut packer = BestFit::new(config);
        for &document in &documents {
            packer.push(document, &mut sink).unwrap();
        }
        let counts = packer.finish(&mut sink).unwrap();

        prop_assert_eq!(&rows, &best_fit_plainly(config, &documents));
        prop_assert_eq!(counts.rows, rows.len() as u64);
    }
}

#[test]
fn a_pack_of_bins_that_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (bins, out) = (folder.path().join("bins"), folder.path().join("pack"));
    write_bins(&bins, &[vec![vec![true; 9]]]);
    pack(&bins, &out, concat(4), false);

    write_bins(&bins, &[vec![vec![true; 10]]]);

    let refused = RowSet::open(&out, "train").unwrap_err();
    assert!(refused.to_string().contains("another artifact now"), "{refused}");
}
