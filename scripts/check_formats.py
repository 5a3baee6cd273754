#!/usr/bin/env python3
"""Compares ids of ratdata with those of tiktoken, mistral_common and sentencepiece.

usage: check_formats.py --ids PROGRAM TOKENIZER... [--text FILE_OR_FOLDER]... [--random N] [--code-points N]

PROGRAM is the example `ids` of the crate `ratdata-tokenize`. A tokenizer is a `.tiktoken` file that is named after its
encoding, a `tekken.json`, or a SentencePiece `.model`. What is compared:

- every N-th code point (all by default), each alone, between letters, between spaces, and doubled;
- the lines and the whole of each text file, and the column `text` of each parquet file;
- N texts (200 by default) of random pieces, spaces, special tokens and characters, long and short.

Needs `pip install tiktoken mistral-common sentencepiece`, and `pyarrow` for parquet files. Exits with status 1 at the
first difference, and says where it is.
"""

import argparse
import base64
import itertools
import json
import pathlib
import random
import subprocess
import sys
import tempfile


def tiktoken_peer(path):
    import tiktoken
    import tiktoken_ext.openai_public as public

    lines = [line.split() for line in open(path, "rb") if line.strip()]
    ranks = {base64.b64decode(piece): int(rank) for piece, rank in lines}
    public.load_tiktoken_bpe = lambda *_, **__: ranks
    parts = public.ENCODING_CONSTRUCTORS[path.stem]()
    parts.pop("explicit_n_vocab", None)  # a small vocabulary has fewer
    encoding = tiktoken.Encoding(**parts)
    pieces = [piece.decode("utf-8", "replace") for piece in random.sample(list(ranks), min(4000, len(ranks)))]
    return {
        "parse": lambda text: encoding.encode(text, allowed_special="all"),
        "plain": encoding.encode_ordinary,
    }, pieces + list(encoding.special_tokens_set)[:20]


def tekken_peer(path):
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    tekken = Tekkenizer.from_file(path)
    pieces = [tekken.id_to_piece(number) for number in random.sample(range(tekken.n_words), min(4000, tekken.n_words))]
    return {"plain": lambda text: tekken.encode(text, bos=False, eos=False)}, pieces


def model_peer(path):
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    size = model.get_piece_size()
    pieces = [model.id_to_piece(number).replace("\u2581", " ") for number in random.sample(range(size), min(4000, size))]
    return {"plain": model.encode}, pieces


def peer(path):
    if path.suffix == ".tiktoken":
        return tiktoken_peer(path)
    return tekken_peer(path) if path.suffix == ".json" else model_peer(path)


def code_points(step):
    """Texts with every code point in four surroundings."""
    points = [chr(code) for code in range(0, 0x110000, step) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(points), 256):
        for surround in ("{0}", "x{0}x", " {0} ", "{0}{0}\n"):
            yield "".join(surround.format(point) for point in points[start : start + 256])


def texts_of(path):
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        if file.suffix == ".parquet":
            import pyarrow.parquet

            table = pyarrow.parquet.read_table(file)
            if "text" in table.column_names:
                yield from (text for text in table.column("text").to_pylist() if text)
        elif file.is_file():
            try:
                text = file.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            yield from text.split("\n")
            yield from (text[at : at + 100_000] for at in range(0, len(text), 100_000))


def random_texts(count, pieces):
    odd = [" ", "  ", "\n", "\r\n", "\t", "\u2581", "\u3000", "\xa0", "e\u0301", "\u00e9", "\u0130", "\0", "\ufb01", "\u200b",
           "\U0001f469\u200d\U0001f4bb", "\uff21", "1234567", "'s", "'LL", "\u0905\u0902", "\ud55c\uad6d", "\u4e2d\u6587"]
    for number in range(count):
        length = random.choice([1, 3, 20, 200, 2000]) if number % 50 else 20_000
        parts = []
        for _ in range(length):
            kind = random.random()
            if kind < 0.6:
                parts.append(random.choice(pieces))
            elif kind < 0.9:
                parts.append(random.choice(odd))
            else:
                code = random.randrange(0x110000 - 0x800)
                parts.append(chr(code if code < 0xD800 else code + 0x800))
        yield "".join(parts)


def compare(program, path, how, encode, texts):
    with tempfile.TemporaryFile("w+") as lines, tempfile.TemporaryFile("w+") as found:
        lines.writelines(json.dumps(text) + "\n" for text in texts)
        lines.flush()
        lines.seek(0)
        subprocess.run([program, path, how], stdin=lines, stdout=found, check=True)
        found.seek(0)
        for text, line in zip(texts, found, strict=True):
            ours, theirs = json.loads(line), encode(text)
            if ours != theirs:
                at = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs)))
                sys.exit(
                    f"{path} ({how}): from id {at} on, found {ours[at:at + 8]}, expected {theirs[at:at + 8]}: {text[:200]!r}"
                )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ids", required=True)
    parser.add_argument("tokenizers", nargs="+", type=pathlib.Path)
    parser.add_argument("--text", action="append", default=[], type=pathlib.Path)
    parser.add_argument("--random", type=int, default=200)
    parser.add_argument("--code-points", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--oracle", action="store_true", help="compare the slow twin, too")
    arguments = parser.parse_args()
    for path in arguments.tokenizers:
        random.seed(arguments.seed)
        ways, pieces = peer(path)
        texts = list(code_points(arguments.code_points))
        texts += [text for source in arguments.text for text in texts_of(source)]
        texts += random_texts(arguments.random, pieces)
        for how, encode in ways.items():
            compare(arguments.ids, path, how, encode, texts)
        if arguments.oracle:
            few = [text for text in texts if len(text) < 2000]
            compare(arguments.ids, path, "oracle", ways["plain"], few)
        size = sum(len(text.encode()) for text in texts)
        print(f"{path}: equal on {len(texts)} texts, {size / 1e6:.1f} MB ({', '.join(ways)})")


if __name__ == "__main__":
    main()
