"""Texts and tokenizers to measure with, made from what a machine has."""

import gzip
import json
import random
from pathlib import Path

KINDS = {".md", ".py", ".rs", ".txt"}
TRAINING_MB = 12
PIECES = 30_000


def texts_of(source):
    """Yields the documents of a Parquet file, or of the files below a folder, in a fixed order."""
    if source.is_file() and source.suffix == ".parquet":
        import pyarrow.parquet

        yield from pyarrow.parquet.read_table(source, columns=["text"])["text"].to_pylist()
        return
    files = [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    random.Random(1).shuffle(files)
    for path in files:
        if path.suffix not in KINDS and path.suffix != ".gz" and path != source:
            continue
        try:
            data = path.read_bytes()
            text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
        except (OSError, UnicodeDecodeError, EOFError):
            continue
        if 200 < len(text) < 2_000_000:
            yield text


def mixed(sources):
    """Returns so many megabytes of each source, document by document in random order."""
    taken = []
    for source, megabytes in sources:
        size = 0
        for text in texts_of(source):
            if size >= megabytes * 1e6:
                break
            # The separators of `peers.py`, and NUL, which some peers do not take.
            text = text.replace("\x1e", "").replace("\0", "").replace("\r\n", "\n")
            taken.append(text if text.endswith("\n") else text + "\n")
            size += len(text.encode())
        print(f"{source}: {size / 1e6:.1f} MB")
    random.Random(1).shuffle(taken)
    return "".join(taken)


def write_parquet(parts, path):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"text": parts}), path, compression="zstd", row_group_size=500)


def train(text, folder):
    """Trains a Unigram and a WordPiece tokenizer of 30,000 pieces, in the forms of T5 and BERT."""
    lines = text[: TRAINING_MB * 1_000_000].decode(errors="ignore").splitlines()
    unigram, wordpiece = folder / "unigram", folder / "wordpiece"
    for made in (unigram, wordpiece):
        made.mkdir(parents=True, exist_ok=True)
    train_unigram([line for line in lines if line.strip()], unigram)
    train_wordpiece(lines, wordpiece)


def train_unigram(lines, folder):
    import base64

    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as schema

    options = {"model_type": "unigram", "vocab_size": PIECES, "character_coverage": 0.9995, "num_threads": 2}
    with open(folder / "tokenizer.model", "wb") as out:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=out, max_sentence_length=20_000, minloglevel=2, **options
        )
    model = schema.ModelProto()
    model.ParseFromString((folder / "tokenizer.model").read_bytes())
    special = [piece.piece for piece in model.pieces if piece.type in (2, 3)]
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    charsmap = base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    said = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": id, "content": piece.piece, **flags}
            for id, piece in enumerate(model.pieces)
            if piece.piece in special
        ],
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": charsmap},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "post_processor": None,
        "decoder": metaspace,
        "model": {
            "type": "Unigram",
            "unk_id": model.trainer_spec.unk_id,
            "vocab": [[piece.piece, piece.score] for piece in model.pieces],
            "byte_fallback": False,
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(said, ensure_ascii=False))


def train_wordpiece(lines, folder):
    import tokenizers

    tokenizer = tokenizers.BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(lines, vocab_size=PIECES, show_progress=False)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)


def without_template(path, folder):
    """Writes a `tokenizer.json` that adds no BOS and EOS, for peers that cannot leave them out."""
    if path.suffix != ".json":
        return path
    text = path.read_text()
    said = json.loads(text)
    if not any(said.get(key) for key in ("post_processor", "truncation", "padding")):
        return path
    said.update({"post_processor": None, "truncation": None, "padding": None})
    folder.mkdir(parents=True, exist_ok=True)
    plain = folder / "tokenizer.json"
    # Indented where the file was, so that reading it takes as long.
    indent = 2 if text.startswith("{\n") else None
    plain.write_text(json.dumps(said, ensure_ascii=False, indent=indent))
    model = path.with_name("tokenizer.model")
    if model.exists():
        (folder / "tokenizer.model").write_bytes(model.read_bytes())
    for name in ("tokenizer_config.json", "special_tokens_map.json", "config.json"):
        if path.with_name(name).exists():
            (folder / name).write_bytes(path.with_name(name).read_bytes())
    return plain


def vocabulary_size(path):
    """Returns about how many ids a tokenizer has: enough to know how wide they are."""
    if path.suffix != ".json":
        return 1 << 15
    said = json.loads(path.read_bytes())
    added = [token["id"] + 1 for token in said.get("added_tokens") or []]
    return max([len(said["model"]["vocab"]), *added])
