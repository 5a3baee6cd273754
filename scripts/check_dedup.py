#!/usr/bin/env python3
"""Compares `ratdata dedup` with brute force: exact duplicates one by one, near duplicates by recall and precision.

    python3 -m venv v && v/bin/pip install pyarrow
    v/bin/python scripts/check_dedup.py target/release/ratdata ../shared

The texts are those of the shared FineWeb-Edu sample, and copies of some of them in which a share of the words is
exchanged. Brute force computes the Jaccard similarity of the 5-grams of all pairs that share one. A row is a near
duplicate at a threshold if an earlier row is as similar as that. The script ends with status 1 if exact duplicates
differ, a copy that is nearly the same is not found, or a row is left out that shares almost nothing.
"""

import argparse
import collections
import itertools
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import pyarrow.parquet


def words_of(text: str) -> list[str]:
    """Returns the words of a text: letters in lower case, every number as 0."""
    words, word = [], ""
    for sign in text + " ":
        if sign.isascii() and sign.isdigit():
            word += "" if word.endswith("0") else "0"
        elif sign.isalpha() or sign.isnumeric():
            word += sign.lower()
        elif word:
            words.append(word)
            word = ""
    return words


def ngrams(text: str, length: int = 5) -> set[int]:
    words = words_of(text)
    length = min(length, len(words))
    return {hash(tuple(words[at : at + length])) for at in range(len(words) - length + 1)} if words else set()


def changed(text: str, share: float, draw: random.Random) -> str:
    words = text.split(" ")
    for at in draw.sample(range(len(words)), int(len(words) * share)):
        words[at] = draw.choice(["another", "word", "is", "here", "instead"])
    return " ".join(words)


def run(program: str, root: pathlib.Path, out: str, more: list[str]) -> dict[int, int]:
    """Returns the rows that are left out, each with the row that stays."""
    command = [program, "dedup", str(root / "texts"), "--out", str(root / out), "--quiet", *more]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    bases = {f"{number}.jsonl": number * PER_FILE for number in range(100)}
    dropped = {}
    for path in sorted((root / out / "dropped").glob("*.zst")):
        base = bases[path.name.replace(".dropped.zst", ".jsonl")]
        lines = subprocess.run(["zstdcat", path], check=True, capture_output=True).stdout.decode()
        for line in lines.split("\n"):
            if line:
                row = json.loads(line)
                of = row["detail"]["of"]
                dropped[base + row["row"]] = bases[of["file"]] + of["row"]
    return dropped


PER_FILE = 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("shared", type=pathlib.Path)
    parser.add_argument("--copies", type=int, default=200, help="how many copies of each share of changed words")
    arguments = parser.parse_args()
    draw = random.Random(5)
    texts = []
    for path in sorted((arguments.shared / "data/fineweb_edu").glob("*.parquet")):
        texts += pyarrow.parquet.read_table(path, columns=["text"])["text"].to_pylist()
    shares = [0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12]
    for share, _ in itertools.product(shares, range(arguments.copies)):
        texts.insert(draw.randrange(len(texts) + 1), changed(draw.choice(texts), share, draw))
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "texts").mkdir()
        for number, begin in enumerate(range(0, len(texts), PER_FILE)):
            # Names in the order of the numbers: there are fewer than ten files.
            with open(root / "texts" / f"{number}.jsonl", "w") as file:
                for text in texts[begin : begin + PER_FILE]:
                    file.write(json.dumps({"text": text}) + "\n")
        assert len(texts) <= 10 * PER_FILE
        seen, expected = {}, {}
        for number, text in enumerate(texts):
            first = seen.setdefault(" ".join(text.split()), number)
            if first != number:
                expected[number] = first
        exact = run(arguments.program, root, "exact", [])
        wrong += exact != expected
        print(f"exact: {len(texts)} rows, {len(expected)} duplicates, {len(exact.items() ^ expected.items())} differ")

        near = run(arguments.program, root, "near", ["--method", "minhash"])
        grams = [ngrams(text) for text in texts]
        places = collections.defaultdict(list)
        best = [0.0] * len(texts)
        for number, own in enumerate(grams):
            shared = collections.Counter(other for gram in own for other in places[gram])
            for other, count in shared.items():
                similarity = count / (len(own) + len(grams[other]) - count)
                best[number] = max(best[number], similarity)
            for gram in own:
                places[gram].append(number)
        print(f"minhash: {len(near)} rows are left out")
        for low, high in itertools.pairwise([0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.01]):
            rows = [number for number, value in enumerate(best) if low <= value < high]
            found = sum(number in near for number in rows)
            middle = min(1.0, (low + high) / 2)
            chance = 1 - (1 - middle**8) ** 14
            print(
                f"  best similarity {low:.2f} to {min(high, 1):.2f}: {len(rows):5} rows, {found:5} left out "
                f"({found / max(len(rows), 1):6.1%}; a pair in the middle meets with {chance:.1%})"
            )
            if low >= 0.95:
                wrong += found < len(rows) * 0.99
            if high <= 0.3:
                wrong += found > 0
        duplicates = [number for number, value in enumerate(best) if value >= 0.8]
        recall = sum(number in near for number in duplicates) / max(len(duplicates), 1)
        precise = sum(best[number] >= 0.6 for number in near) / max(len(near), 1)
        print(f"  recall at 0.8: {recall:.1%}; of the rows left out, {precise:.1%} have an earlier row at 0.6 or more")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
