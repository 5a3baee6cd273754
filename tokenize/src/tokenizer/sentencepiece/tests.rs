//! Small Unigram models, written by the tests, against the slow twin and against ids of `sentencepiece` 0.2.3.

use std::fs::File;
use std::io::Write;

use proptest::prelude::*;
use tempfile::TempDir;

use super::model::PieceKind::{self, Byte, Control, Normal, Unknown, Unused, UserDefined};
use crate::tokenizer::{SpecialInText, Tokenizer};

/// A model to be written.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "the format has these flags")]
struct Written {
    pieces: Vec<(&'static str, f32, PieceKind)>,
    byte_fallback: bool,
    adds_space: bool,
    drops_spaces: bool,
    escapes: bool,
    space_after: bool,
    map: Vec<u8>,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            byte_fallback: false,
            adds_space: true,
            drops_spaces: true,
            escapes: true,
            space_after: false,
            map: Vec::new(),
        }
    }
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 128 {
        out.push(u8::try_from(number & 127).unwrap() | 128);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap());
}

fn field(number: u64, bytes: &[u8], out: &mut Vec<u8>) {
    varint(number << 3 | 2, out);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn flag(number: u64, value: u64, out: &mut Vec<u8>) {
    varint(number << 3, out);
    varint(value, out);
}

impl Written {
    fn bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for (text, score, kind) in &self.pieces {
            let mut piece = Vec::new();
            field(1, text.as_bytes(), &mut piece);
            piece.push(2 << 3 | 5);
            piece.extend_from_slice(&score.to_le_bytes());
            let kind = match kind {
                Normal => 1,
                Unknown => 2,
                Control => 3,
                UserDefined => 4,
                Unused => 5,
                Byte => 6,
            };
            flag(3, kind, &mut piece);
            field(1, &piece, &mut file);
        }
        let mut trainer = Vec::new();
        flag(3, 1, &mut trainer);
        flag(24, self.space_after.into(), &mut trainer);
        flag(35, self.byte_fallback.into(), &mut trainer);
        field(2, &trainer, &mut file);
        let mut normalizer = Vec::new();
        field(2, &self.map, &mut normalizer);
        flag(3, self.adds_space.into(), &mut normalizer);
        flag(4, self.drops_spaces.into(), &mut normalizer);
        flag(5, self.escapes.into(), &mut normalizer);
        field(3, &normalizer, &mut file);
        file
    }

    fn loaded(&self) -> (TempDir, Tokenizer) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.model");
        File::create(&path).unwrap().write_all(&self.bytes()).unwrap();
        let tokenizer = Tokenizer::load(&path).unwrap();
        (folder, tokenizer)
    }

    fn refused(&self) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.model");
        File::create(&path).unwrap().write_all(&self.bytes()).unwrap();
        Tokenizer::load(&path).unwrap_err().to_string()
    }
}

const BYTES: [&str; 256] = {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    const TEXTS: [[u8; 6]; 256] = {
        let mut texts = [*b"<0x00>"; 256];
        let mut byte = 0;
        while byte < 256 {
            texts[byte][3] = HEX[byte >> 4];
            texts[byte][4] = HEX[byte & 15];
            byte += 1;
        }
        texts
    };
    let mut bytes = [""; 256];
    let mut byte = 0;
    while byte < 256 {
        bytes[byte] = match std::str::from_utf8(&TEXTS[byte]) {
            Ok(text) => text,
            Err(_) => "",
        };
        byte += 1;
    }
    bytes
};

fn pieces() -> Vec<(&'static str, f32, PieceKind)> {
    vec![
        ("<unk>", 0.0, Unknown),
        ("<s>", 0.0, Control),
        ("</s>", 0.0, Control),
        ("▁", -2.0, Normal),
        ("▁the", -3.5, Normal),
        ("▁t", -4.5, Normal),
        ("he", -4.0, Normal),
        ("e", -3.25, Normal),
        ("h", -5.0, Normal),
        ("a", -3.0, Normal),
        ("aa", -5.8, Normal),
        ("aaa", -9.1, Normal),
        ("▁a", -4.1, Normal),
        ("<sep>", 0.0, UserDefined),
        ("e▁a", 0.0, UserDefined),
        ("a b", 0.0, UserDefined),
        ("aaaa", -1.0, Unused),
        ("é", -6.0, Normal),
        ("中文", -7.0, Normal),
        ("中", -7.5, Normal),
        (".", -3.0, Normal),
        ("...", -4.0, Normal),
        (" ", -2.5, Normal),
    ]
}

/// A map such as that of `nmt_nfkc`, in small.
fn map() -> Vec<u8> {
    ratdata_tests::character_map::character_map(&[
        ("\t", " "),
        ("\n", " "),
        ("\u{3000}", " "),
        ("…", "..."),
        ("ａ", "a"),
        ("e\u{301}", "é"),
        ("\u{200b}", ""),
        ("ﬁ", "fi"),
        ("\u{a0}\u{301}", " \u{301}"),
    ])
}

/// Models with each setting, and with several.
fn models() -> Vec<Written> {
    let plain = Written { pieces: pieces(), ..Written::default() };
    let bytes = BYTES.map(|byte| (byte, 0.0, Byte));
    let falls_back = Written {
        pieces: pieces().into_iter().chain(bytes).collect(),
        byte_fallback: true,
        ..plain.clone()
    };
    vec![
        Written { map: map(), ..falls_back.clone() },
        Written { map: map(), ..plain.clone() },
        Written { adds_space: false, drops_spaces: false, ..plain.clone() },
        Written { space_after: true, map: map(), ..plain.clone() },
        Written { escapes: false, ..plain.clone() },
        Written { drops_spaces: false, map: map(), ..falls_back },
        plain,
    ]
}

fn check(tokenizer: &Tokenizer, text: &str) {
    for specials in [SpecialInText::Parse, SpecialInText::Plain] {
        let mut ids: Vec<u32> = Vec::new();
        tokenizer.encoder(specials).encode_into(text, &mut ids).unwrap();

        assert_eq!(ids, tokenizer.oracle().encode(text, specials).unwrap(), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_text_has_the_ids_of_the_slow_twin(
        text in "(the|a{1,6}| {1,3}|\u{3000}|<sep>|</s>|a b|e▁a|中文?|e\u{301}|…|\\.{1,4}|\u{200b}|ﬁ|▁|\n|\\PC){0,30}"
    ) {
        for model in models() {
            check(&model.loaded().1, &text);
        }
    }
}

#[test]
fn a_long_text_has_the_ids_of_the_slow_twin_where_sums_get_large() {
    for model in models() {
        let (_folder, tokenizer) = model.loaded();
        check(&tokenizer, &long_text());
    }
}

fn long_text() -> String {
    ["aaaaa the", "aaa ", "?", "中文...", "e▁a<sep>"].concat().repeat(2500)
}

fn ids(model: &Written, text: &str) -> Vec<u32> {
    let (_folder, tokenizer) = model.loaded();
    let mut ids: Vec<u32> = Vec::new();
    tokenizer.encoder(SpecialInText::Plain).encode_into(text, &mut ids).unwrap();
    ids
}

/// Texts, and their ids by `sentencepiece` 0.2.3 with each of [`models`].
const GOLDENS: [(&str, [&[u32]; 7]); 7] = [
    (
        "the a aaaaa",
        [
            &[4, 12, 12, 10, 10],
            &[4, 12, 12, 10, 10],
            &[0, 8, 14, 12, 10, 10],
            &[0, 8, 14, 12, 10, 10, 3],
            &[22, 0, 6, 22, 9, 22, 9, 10, 10],
            &[4, 12, 12, 10, 10],
            &[4, 12, 12, 10, 10],
        ],
    ),
    (
        " \u{3000} the\u{2026}  aaaa <sep> \u{ff61} e\u{301}\u{200b} \u{e9} ",
        [
            &[4, 21, 12, 9, 10, 3, 13, 3, 262, 212, 184, 3, 17, 3, 17],
            &[4, 21, 12, 9, 10, 3, 13, 3, 0, 3, 17, 3, 17],
            &[3, 0, 4, 0, 3, 12, 9, 10, 3, 13, 3, 0, 3, 7, 0, 3, 17, 3],
            &[0, 6, 21, 12, 9, 10, 3, 13, 3, 0, 3, 17, 3, 17, 3],
            &[22, 0, 22, 0, 6, 0, 22, 10, 10, 22, 13, 22, 0, 22, 7, 0, 22, 17],
            &[3, 3, 3, 4, 21, 3, 12, 9, 10, 3, 13, 3, 262, 212, 184, 3, 17, 3, 17, 3],
            &[3, 0, 4, 0, 12, 9, 10, 3, 13, 3, 0, 3, 7, 0, 3, 17],
        ],
    ),
    (
        "a b e\u{2581}a\u{2581} </s>\u{4e2d}\u{6587}\u{4e2d}x",
        [
            &[12, 3, 121, 3, 14, 3, 3, 83, 70, 138, 85, 18, 19, 143],
            &[12, 3, 0, 3, 14, 3, 3, 0, 18, 19, 0],
            &[9, 3, 0, 3, 14, 3, 3, 0, 18, 19, 0],
            &[9, 3, 0, 3, 14, 3, 3, 0, 18, 19, 0, 3],
            &[22, 15, 22, 14, 3, 22, 0, 18, 19, 0],
            &[12, 3, 121, 3, 14, 3, 3, 83, 70, 138, 85, 18, 19, 143],
            &[12, 3, 0, 3, 14, 3, 3, 0, 18, 19, 0],
        ],
    ),
    ("\t\n", [&[], &[], &[0], &[], &[22, 0], &[3, 3, 3], &[3, 0]]),
    (
        "aa\0a..",
        [
            &[12, 9, 23, 9, 20, 20],
            &[12, 9, 0, 9, 20, 20],
            &[10, 0, 9, 20, 20],
            &[10, 0, 9, 20, 20, 3],
            &[22, 10, 0, 9, 20, 20],
            &[12, 9, 23, 9, 20, 20],
            &[12, 9, 0, 9, 20, 20],
        ],
    ),
    ("\u{2581}", [&[], &[], &[3], &[3], &[22, 3], &[3, 3], &[]]),
    (
        "\u{fb01}\u{ff41}\u{a0}\u{301}",
        [
            &[3, 125, 128, 9, 3, 227, 152],
            &[3, 0, 9, 3, 0],
            &[0],
            &[0, 9, 3, 0, 3],
            &[22, 0],
            &[3, 125, 128, 9, 3, 227, 152],
            &[3, 0],
        ],
    ),
];

/// The same of a text whose sums get large, each as one number.
const LONG_GOLDENS: [u64; 7] = [
    1_087_518_209_956_579_835,
    2_660_932_323_467_424_803,
    16_384_343_522_695_413_800,
    9_852_559_213_399_934_171,
    12_890_106_331_030_379_380,
    1_087_518_209_956_579_835,
    2_660_932_323_467_424_803,
];

#[test]
fn ids_are_those_of_sentencepiece() {
    for (text, of_models) in GOLDENS {
        for (model, expected) in models().iter().zip(of_models) {
            assert_eq!(ids(model, text), expected, "{text:?}");
        }
    }
}

#[test]
fn ids_are_those_of_sentencepiece_where_sums_get_large() {
    let text = long_text();
    for (model, expected) in models().iter().zip(LONG_GOLDENS) {
        let fold = |sum: u64, id: &u32| sum.wrapping_mul(31).wrapping_add(u64::from(*id));
        assert_eq!(ids(model, &text).iter().fold(0, fold), expected);
    }
}

#[test]
fn a_model_that_contradicts_itself_is_refused_with_its_reason() {
    let with = |extra: &[(&'static str, f32, PieceKind)]| Written {
        pieces: pieces().into_iter().chain(extra.iter().copied()).collect(),
        ..Written::default()
    };
    let cases = [
        (with(&[("he", -1.0, Normal)]), "its piece `he` comes twice"),
        (with(&[("<0x00>", 0.0, Byte)]), "does not fall back to bytes"),
        (with(&[("<unk2>", 0.0, Unknown)]), "it has two unknown pieces"),
        (Written { byte_fallback: true, ..with(&[]) }, "some byte has no piece"),
        (Written { pieces: vec![("a", 0.0, Normal)], ..with(&[]) }, "it has no unknown piece"),
        (Written { map: vec![1, 2], ..with(&[]) }, "its character map is malformed"),
    ];
    for (model, says) in cases {
        let said = model.refused();

        assert!(said.contains(says), "{says}: {said}");
    }
}

#[test]
fn a_special_token_in_the_text_is_its_id_and_begins_a_text_after_it() {
    let (_folder, tokenizer) = models().pop().unwrap().loaded();

    assert_eq!(tokenizer.encode("a</s>a").unwrap(), [12, 2, 12]);
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.unk()), (Some(1), Some(2), Some(0)));
}
