#!/usr/bin/env python3
"""Measures `ratdata decontaminate` on the shared texts: planted passages that are found, and rows that are left out
without one, for several thresholds.

    python3 -m venv v && v/bin/pip install pyarrow
    v/bin/python scripts/check_decontaminate.py target/release/ratdata ../shared
    v/bin/python scripts/check_decontaminate.py target/release/ratdata ../shared --tokenizer ../shared/tokenizers/gpt2

The benchmarks are short texts of the shared instruction data. Some are planted into rows: whole, with a share of
their words exchanged, and in capitals without punctuation. A row is contaminated by nature if a passage is in it word
for word, which a plain search for the normalized text finds; the other rows that are left out have a part of one, as much as
the threshold. The script ends with status 1 if a row with a whole passage is not left out, or at a threshold of 1
another row is. By tokens, a passage in capitals is another, and a passage by nature may be written otherwise.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import pyarrow.parquet

THRESHOLDS = [0.01, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0]


def texts_of(value) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for item in value for text in texts_of(item)] if isinstance(value, list) else []


def benchmark(shared: pathlib.Path) -> list[str]:
    """Returns questions and short passages of the shared data."""
    found = []
    for path in sorted((shared / "data/sft").rglob("*.jsonl")):
        for line in path.read_text().splitlines()[:400]:
            for text in texts_of(json.loads(line)):
                if 8 <= len(text.split()) <= 200:
                    found.append(text)
    for path in sorted((shared / "data/sft").rglob("*.parquet")):
        for row in pyarrow.parquet.read_table(path).slice(0, 400).to_pylist():
            for text in texts_of(row):
                if 8 <= len(text.split()) <= 200:
                    found.append(text)
    return sorted(set(found))


def normal(text: str) -> str:
    """Returns the words of a text as they are compared, each between two spaces."""
    kept = "".join(sign for sign in text.lower() if sign.isalnum() or sign.isspace())
    return " " + " ".join(kept.split()) + " "


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("shared", type=pathlib.Path)
    parser.add_argument("--tokenizer", help="look for n-grams of its ids, not of words")
    arguments = parser.parse_args()
    draw = random.Random(11)
    texts = []
    for path in sorted((arguments.shared / "data/fineweb_edu").glob("*.parquet")):
        texts += pyarrow.parquet.read_table(path, columns=["text"])["text"].to_pylist()
    passages = benchmark(arguments.shared)
    planted: dict[int, str] = {}
    rows = draw.sample(range(len(texts)), min(600, len(texts) // 3))
    exchange = lambda text, share: " ".join(
        "other" if draw.random() < share else word for word in text.split(" ")
    )
    for number, row in enumerate(rows):
        passage = draw.choice([text for text in passages if len(text.split()) >= 16])
        kind = ["whole", "capitals", "5% exchanged", "15% exchanged"][number % 4]
        if kind == "capitals":
            passage = "".join(sign for sign in passage.upper() if sign.isalnum() or sign.isspace())
        elif kind != "whole":
            passage = exchange(passage, 0.05 if kind.startswith("5") else 0.15)
        words = texts[row].split(" ")
        at = draw.randrange(len(words) + 1)
        texts[row] = " ".join(words[:at] + [passage] + words[at:])
        planted[row] = kind
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        with open(root / "texts.jsonl", "w") as file:
            file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        with open(root / "bench.jsonl", "w") as file:
            file.writelines(json.dumps({"text": text}) + "\n" for text in passages)
        command = [arguments.program, "decontaminate", str(root / "texts.jsonl"), "--against", str(root / "bench.jsonl")]
        if arguments.tokenizer:
            command += ["--ngram-unit", "tokens", "--tokenizer", arguments.tokenizer]
        subprocess.run([*command, "--out", str(root / "o"), "--quiet"], check=True, stdout=subprocess.DEVNULL)
        lines = subprocess.run(["zstdcat", root / "o/hits/texts.hits.zst"], check=True, capture_output=True).stdout
        best: dict[int, float] = {}
        for line in lines.decode().split("\n"):
            if line:
                hit = json.loads(line)
                best[hit["row"]] = max(best.get(hit["row"], 0.0), hit["score"])
    searched = [normal(passage) for passage in passages]
    searched = [passage for passage in searched if passage.count(" ") > 8]
    nature = set()
    for row, text in enumerate(texts):
        if row not in planted and row in best:
            text = normal(text)
            if any(passage in text for passage in searched):
                nature.add(row)
    print(f"{len(texts)} rows, {len(passages)} passages, {len(planted)} planted, {len(nature)} contaminated by nature")
    print("rows left out, and the share of those with a passage that are:")
    kinds = sorted(set(planted.values()))
    print(f"{'threshold':>10} {'a part':>8} {'by nature':>10} " + " ".join(f"{kind:>14}" for kind in kinds))
    wrong = 0
    for threshold in THRESHOLDS:
        left_out = {row for row, score in best.items() if score >= threshold}
        part = len(left_out - planted.keys() - nature)
        wrong += not nature <= left_out and not arguments.tokenizer
        cells = []
        for kind in kinds:
            rows_of_kind = [row for row, other in planted.items() if other == kind]
            share = sum(row in left_out for row in rows_of_kind) / len(rows_of_kind)
            cells.append(f"{share:>14.1%}")
            wrong += kind in (["whole"] if arguments.tokenizer else ["whole", "capitals"]) and share < 1
        wrong += threshold == 1 and part > 0
        of_nature = len(left_out & nature) / max(len(nature), 1)
        print(f"{threshold:>10} {part:>8} {of_nature:>10.1%} " + " ".join(cells))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
