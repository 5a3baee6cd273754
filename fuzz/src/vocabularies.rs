//! Small vocabularies of both families, and other text that parsers of ours read.

use std::fs::File;
use std::io::Write;
use std::sync::OnceLock;

use ratdata_tokenize::tokenizer::Tokenizer;
use serde_json::{Value, json};

/// Merges over letters, from first to last.
const MERGES: [(&str, &str); 14] = [
    ("t", "h"),
    ("th", "e"),
    ("▁", "the"),
    ("a", "t"),
    ("c", "at"),
    ("▁", "cat"),
    ("▁", "s"),
    ("▁s", "at"),
    ("o", "n"),
    ("▁", "on"),
    ("▁", "▁"),
    ("e", "s"),
    ("t", "i"),
    ("m", "es"),
];

/// Returns `tokenizer.json` files: in Llama's manner, and byte-level in the manners of GPT-2, Llama 3,
/// Qwen 2 and GPT-4o.
pub(crate) fn json_files() -> Vec<Vec<u8>> {
    let mut files = vec![llama(), byte_level()];
    files.extend([LLAMA3, QWEN2, O200K].map(split_by));
    files[2]["model"]["ignore_merges"] = true.into();
    files[3]["normalizer"] = json!({"type": "NFC"});
    files.iter().map(|file| file.to_string().into_bytes()).collect()
}

/// Returns the same, and files that Hugging Face `tokenizers` serves.
pub(crate) fn tokenizer_files() -> Vec<Vec<u8>> {
    let mut searching = llama();
    searching["normalizer"] = json!({"type": "Sequence", "normalizers": [
        {"type": "Replace", "pattern": {"Regex": "a+"}, "content": "aa"}, {"type": "NFKC"},
        {"type": "Prepend", "prepend": "▁"}]});
    searching["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "(e+)+t|\\s+"}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]});
    searching["decoder"] = json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]});
    let mut unigram = llama();
    unigram["model"] = json!({"type": "Unigram", "unk_id": 0, "byte_fallback": false,
        "vocab": [["<unk>", 0.0], ["a", -1.5], ["at", -2.0], ["▁", -3.0]]});
    let mut files = json_files();
    files.extend([searching, unigram].map(|file| file.to_string().into_bytes()));
    files
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Returns the byte-level file with a pattern of its own.
fn split_by(pattern: &str) -> Value {
    let mut file = byte_level();
    file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
    ]});
    file
}

fn llama() -> Value {
    let mut pieces: Vec<String> = ["<unk>", "<s>", "</s>"].map(Into::into).to_vec();
    pieces.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    pieces.extend("▁abcehimnost ,€🙂é\u{301}".chars().map(String::from));
    pieces.extend(MERGES.iter().map(|(left, right)| format!("{left}{right}")));
    let merges: Vec<String> =
        MERGES.iter().map(|(left, right)| format!("{left} {right}")).collect();
    file(
        &pieces,
        &json!({
            "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
            "merges": merges, "dropout": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "ignore_merges": false,
        }),
        &json!({"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ]}),
        &Value::Null,
    )
}

fn byte_level() -> Value {
    let spelt = |text: &str| text.replace('▁', "Ġ");
    let mut pieces = vec!["<|endoftext|>".to_owned()];
    pieces.extend((0..=255_u8).map(|byte| byte_letter(byte).to_string()));
    pieces.extend(MERGES.iter().map(|(left, right)| spelt(&format!("{left}{right}"))));
    let merges: Vec<String> =
        MERGES.iter().map(|(left, right)| spelt(&format!("{left} {right}"))).collect();
    file(
        &pieces,
        &json!({
            "type": "BPE", "unk_token": null, "fuse_unk": false, "byte_fallback": false,
            "merges": merges, "dropout": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "ignore_merges": false,
        }),
        &Value::Null,
        &json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}),
    )
}

/// Returns the letter that byte-level vocabularies write for a byte.
fn byte_letter(byte: u8) -> char {
    let plain = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if plain(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|other| !plain(*other)).count();
    u32::try_from(before).ok().and_then(|before| char::from_u32(256 + before)).unwrap_or('?')
}

fn file(pieces: &[String], model: &Value, normalizer: &Value, pre_tokenizer: &Value) -> Value {
    let vocab: serde_json::Map<String, Value> =
        pieces.iter().zip(0..).map(|(piece, id)| (piece.clone(), Value::from(id))).collect();
    let mut model = model.clone();
    model["vocab"] = Value::Object(vocab);
    let special = |(id, content): (usize, &String)| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false, "special": true})
    };
    let specials = pieces
        .iter()
        .enumerate()
        .filter(|(_, piece)| matches!(piece.as_str(), "<unk>" | "<s>" | "</s>" | "<|endoftext|>"));
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": specials.map(special).collect::<Vec<Value>>(),
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": null,
        "decoder": null, "model": model,
    })
}

/// Returns SentencePiece models.
pub(crate) fn models() -> Vec<Vec<u8>> {
    let mut model = Vec::new();
    let mut piece = |text: &str, score: f32, kind: u8| {
        let mut bytes = Vec::new();
        field(&mut bytes, 1, text.as_bytes());
        bytes.push(2 << 3 | 5);
        bytes.extend(score.to_le_bytes());
        bytes.extend([3 << 3, kind]);
        field(&mut model, 1, &bytes);
    };
    piece("<unk>", 0.0, 2);
    piece("<s>", 0.0, 3);
    piece("</s>", 0.0, 3);
    (0..=255_u8).for_each(|byte| piece(&format!("<0x{byte:02X}>"), 0.0, 6));
    for (number, (left, right)) in (0_i16..).zip(MERGES) {
        piece(&format!("{left}{right}"), -f32::from(number), 1);
    }
    for (number, letter) in (20_i16..).zip("▁abcehimnost".chars()) {
        piece(&letter.to_string(), -f32::from(number), 1);
    }
    // A trainer of type BPE with byte fallback, whose field has a number of two bytes.
    field(&mut model, 2, &[3 << 3, 2, 0x98, 0x02, 1]);
    field(&mut model, 3, &[3 << 3, 1, 4 << 3, 0, 5 << 3, 1]);
    vec![model]
}

/// Appends a field of bytes to a protobuf message.
fn field(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    let mut len = bytes.len() as u64;
    while len > 0x7f {
        message.push(len.to_le_bytes()[0] | 0x80);
        len >>= 7;
    }
    message.push(len.to_le_bytes()[0]);
    message.extend_from_slice(bytes);
}

/// Returns task files and templates.
pub(crate) fn tasks() -> Vec<Vec<u8>> {
    let task = "prompt = \"Q: {a.b.0} {{x}}\\nA:\"\n[splits.train]\nsource = \"x.jsonl\"\n\
                answers = [\"answers.*.text\"]\nsample = { rows = 2, seed = 1 }\n";
    vec![task.into(), b"Story: {a.b}\n\n{{not}} {c.0.d}:".to_vec()]
}

/// Returns texts.
pub(crate) fn texts() -> Vec<Vec<u8>> {
    let texts = ["the cat sat on  the cat,\n\nit's 12 times", "e\u{301}é▁▁ <s></s> €🙂 thethethe"];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// Gives each of the small tokenizers to `each`; they are loaded once.
pub(crate) fn with_small(each: impl FnMut(&Tokenizer)) {
    static SMALL: OnceLock<Vec<Tokenizer>> = OnceLock::new();
    let load = |(name, bytes): (&str, &Vec<u8>)| {
        let folder = tempfile::tempdir().ok()?;
        let path = folder.path().join(name);
        File::create(&path).ok()?.write_all(bytes).ok()?;
        Tokenizer::load(&path).ok()
    };
    let all = SMALL.get_or_init(|| {
        let (files, models) = (json_files(), models());
        let json = files.iter().map(|file| ("tokenizer.json", file));
        let model = models.iter().map(|model| ("tokenizer.model", model));
        json.chain(model).filter_map(load).collect()
    });
    all.iter().for_each(each);
}

#[cfg(test)]
mod tests {
    use super::with_small;

    #[test]
    fn the_small_vocabularies_are_the_engines() {
        let mut covered = 0;
        with_small(|tokenizer| {
            assert_eq!(tokenizer.uncovered(), None);
            covered += 1;
        });
        assert_eq!(covered, 6);
    }
}
