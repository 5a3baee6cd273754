#!/usr/bin/env python3
"""Make the table of our small goldens by other means: NumPy, Hugging Face `tokenizers`, SentencePiece.

    pip install numpy pyarrow tokenizers sentencepiece
    RATDATA_KEEP=/tmp/small cargo test --workspace --test tokenize_small_goldens
    scripts/golden_reference.py /tmp/small | diff - tests/tests/golden/tokenize.txt && echo equal

The test leaves its inputs in the folder: documents in `corpus`, and tokenizers beside it. Nothing here is
shared with the program but those files: the split is NumPy's permutation, the ids are the libraries' own.
Each line is a bin: tokenizer, variant, name, tokens, SHA-256.
"""
import hashlib
import json
import math
import pathlib
import re
import sys

import numpy
import pyarrow.parquet
import sentencepiece
import tokenizers

VAL_FRACTION = 0.1
TOKENIZERS = ["llama.json", "gpt2.json", "llama3.json", "qwen2.json", "gpt4o.json", "llama.model"]
VARIANTS = {
    "default": {},
    "file": {"order": "file"},
    "seed-7": {"seed": 7},
    "bos": {"bos": True, "eos": False},
    "bos-eos": {"bos": True},
    "bare": {"eos": False},
    "plain": {"plain": True},
    "merged": {"merge": True},
    "merged-file": {"merge": True, "order": "file"},
}


def documents(path):
    """Returns the texts of one file, in its order."""
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path, columns=["text"])["text"].to_pylist()
    # Not `splitlines`, which parts text at more than line feeds.
    return [json.loads(line)["text"] for line in path.read_bytes().split(b"\n") if line]


def encoder(path, plain):
    """Returns a function from text to ids, and the ids that begin and end a document."""
    if path.suffix == ".json":
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
        tokenizer.encode_special_tokens = plain
        begin, end = map(tokenizer.token_to_id, ["<s>", "</s>" if path.stem == "llama" else "<|endoftext|>"])
        return lambda text: tokenizer.encode(text, add_special_tokens=False).ids, begin, end
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    if plain:
        return model.encode, model.bos_id(), model.eos_id()
    specials = {"<unk>": model.unk_id(), "<s>": model.bos_id(), "</s>": model.eos_id()}
    parts = re.compile("(" + "|".join(specials) + ")")

    def encode(text):
        # As the slow tokenizer of `transformers` does: what lies between special tokens is encoded apart.
        ids = []
        for part in filter(None, parts.split(text)):
            ids += [specials[part]] if part in specials else model.encode(part)
        return ids

    return encode, model.bos_id(), model.eos_id()


def bins(root, tokenizer, order="reference", seed=1005, bos=False, eos=True, plain=False, merge=False):
    """Returns the bytes of each bin of one job, by name."""
    encode, begin, end = encoder(root / tokenizer, plain)
    found = {}
    for path in sorted((root / "corpus").iterdir()):
        ids = [[begin] * bos + encode(text) + [end] * eos for text in documents(path)]
        permutation = numpy.random.default_rng(seed).permutation(len(ids))
        cut = math.ceil(VAL_FRACTION * len(ids))
        for split, rows in {"train": permutation[cut:], "val": permutation[:cut]}.items():
            rows = sorted(rows) if order == "file" else rows
            name = f"t-{split}.bin" if merge else f"t-{split}-{path.stem}.bin"
            data = numpy.array([id for row in rows for id in ids[row]], dtype="<u2").tobytes()
            found[name] = found.get(name, b"") + data
    return dict(sorted(found.items()))


def main():
    root = pathlib.Path(sys.argv[1])
    for tokenizer in TOKENIZERS:
        variants = VARIANTS if tokenizer.startswith("llama.") else ["default"]
        for variant in variants:
            for name, data in bins(root, tokenizer, **VARIANTS[variant]).items():
                print(tokenizer, variant, name, len(data) // 2, hashlib.sha256(data).hexdigest())


if __name__ == "__main__":
    main()
