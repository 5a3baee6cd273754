#!/usr/bin/env python3
"""Compares the ids of random small tokenizers with those of Hugging Face `tokenizers`.

Usage: check_added_tokens.py RATDATA [CASES [SEED]]

Needs `pip install tokenizers==0.23.3`. Each case is a tokenizer of a few pieces, with holes, added tokens
that are pieces, that come twice, that lie far beyond the vocabulary, and one text, which `ratdata tokenize`
encodes. Ids, the size of the vocabulary and the width have to be those of `tokenizers`.
"""

import array
import json
import pathlib
import random
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer

PIECES = ["a", "b", "c", "▁", "ab", "bc", "abc", "▁a", "<unk>", "cc"]
CONTENTS = ["<x>", "<y>", "<xy>", "<z>", "ab", "cc", "▁a", "b", ""]


def model_of(rng):
    ids = list(range(14)) if rng.random() < 0.8 else [n * 7001 for n in range(14)]
    rng.shuffle(ids)
    vocab = dict(zip(PIECES, ids))
    kind = rng.choice(["BPE", "BPE", "BPE", "WordLevel", "Unigram"])
    if kind == "BPE":
        merges = ["a b", "b c", "ab c", "▁ a"]
        return {"type": kind, "unk_token": "<unk>", "vocab": vocab, "merges": merges,
                "fuse_unk": rng.random() < 0.5, "dropout": rng.choice([None, 0.0])}
    if kind == "WordLevel":
        return {"type": kind, "unk_token": "<unk>", "vocab": vocab}
    listed = PIECES + rng.choices(PIECES, k=rng.randrange(3))
    return {"type": kind, "unk_id": 8, "vocab": [[piece, -float(n)] for n, piece in enumerate(listed)]}


def file_of(rng):
    mixed = rng.random() < 0.5
    added = [
        {"id": rng.choice([rng.randrange(20), 70_000 + rng.randrange(9)]),
         "content": rng.choice([*CONTENTS, "".join(rng.choices("abc<> ", k=3))]),
         "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": mixed and rng.random() < 0.4, "special": rng.random() < 0.5}
        for _ in range(rng.randrange(9))
    ]
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": rng.choice(["first", "always", "never"]),
             "split": True}
    normalizer, cutter = rng.choice([(replace, None), (None, None), (None, space)])
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": normalizer, "pre_tokenizer": cutter, "post_processor": None, "decoder": None,
            "model": model_of(rng)}


def encoded(ratdata, folder, text):
    """Returns the ids, the size of the vocabulary and the width that `ratdata tokenize` gives."""
    (folder / "a.jsonl").write_text(json.dumps({"text": text}) + "\n")
    out = folder / "out"
    subprocess.run(
        [ratdata, "tokenize", "--tokenizer", folder / "tokenizer.json", "--input", folder / "a.jsonl",
         "--out", out, "--eos", "off", "--force", "-q", "--num-proc", "1"],
        check=True, capture_output=True)
    manifest = json.loads((out / "manifest.json").read_text())
    dtype = "u16" if '"u16"' in json.dumps(manifest) else "u32"
    ids = array.array("H" if dtype == "u16" else "I")
    for bin in sorted(out.rglob("*.bin")):
        ids.frombytes(bin.read_bytes())
    return list(ids), manifest["tokenizer"]["vocab_size"], dtype


def main():
    ratdata = sys.argv[1]
    cases = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    wide = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for case in range(cases):
            file = json.dumps(file_of(rng))
            (folder / "tokenizer.json").write_text(file)
            oracle = Tokenizer.from_str(file)
            text = "".join(rng.choices([*CONTENTS, "a", "b", "c", " ", "é"], k=rng.randrange(1, 30))) or "a"
            ids, size, dtype = encoded(ratdata, folder, text)
            expected = oracle.encode(text, add_special_tokens=False).ids
            largest = max(oracle.get_vocab(with_added_tokens=True).values())
            assert ids == expected, f"case {case}: {file}\n{text!r}: {ids}, expected {expected}"
            assert size == largest + 1, f"case {case}: {file}\nsize {size}, expected {largest + 1}"
            assert dtype == ("u16" if size <= 65536 else "u32"), f"case {case}: {dtype} for {size} ids"
            wide += dtype == "u32"
    print(f"{cases} tokenizers, {wide} of them wide: the same ids")


if __name__ == "__main__":
    main()
