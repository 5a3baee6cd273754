"""The inputs that cases share: text of several formats, a tokenizer, questions, and artifacts made of them.

All of it is made on the spot, from the seed and by the program itself. Cases read it and never write it.
"""

import gzip
import json
import random
from pathlib import Path

from .judge import judge

LAYOUTS = ("megatron", "llmc", "datatrove", "olmo", "npy", "safetensors", "jsonl")
"""The layouts that `export` writes."""

READ_LAYOUTS = ("raw", "megatron", "llmc", "datatrove", "olmo", "npy")
"""The layouts that `import` reads."""

WORDS = (
    "the cat river carries every small number because a spring divides naïve Größe 川は流れる voilà while "
    "rain gathers below 3.14159 or 12 and the printer's ink — slowly — dries; see https://example.org/?q=1 "
    "по-русски 🙂 until somebody asks why light bends, and so on"
).split()


class Material:
    """The shared inputs, in one folder."""

    def __init__(self, root: Path, program, seed: int, size: int):
        self.root, self._program, self._seed = root, program, seed
        self.sample = root / "sample"
        self.tokenizer = self.sample / "tokenizer" / "tokenizer.json"
        self.questions = self.sample / "questions"
        self.corpus = root / "corpus"
        self.small_corpus = root / "small.jsonl"
        self.bins = root / "bins"
        self.more_bins = root / "more-bins"
        self.small_bins = root / "small-bins"
        self.small_pack = root / "small-pack"
        self.small_rows = root / "small-rows"
        self.small_pairs = root / "small-pairs"
        root.mkdir(parents=True)
        self._make_texts(size)
        self._make_artifacts()

    def foreign(self, layout):
        """Returns the folder of the large bins in another tool's layout."""
        return self.root / "foreign" / layout

    def small_foreign(self, layout):
        """Returns the folder of the small bins in another tool's layout."""
        return self.root / "small-foreign" / layout

    def _make_texts(self, size):
        self._ratdata("sample", "--out", self.sample)
        draw = random.Random(f"{self._seed}/material")
        self.corpus.mkdir()
        for number in range(10):
            texts = [text(draw) for _ in range(size * (1 + number % 4))]
            lines = json_lines(texts).encode()
            if number % 3 == 0:
                (self.corpus / f"{number}.jsonl.gz").write_bytes(gzip.compress(lines, 1, mtime=0))
            else:
                (self.corpus / f"{number}.jsonl").write_bytes(lines)
        for number, file in enumerate(sorted((self.sample / "corpus").iterdir())):
            (self.corpus / f"p{number}.parquet").write_bytes(file.read_bytes())
        self.small_corpus.write_text(json_lines(text(draw) for _ in range(40)), "utf-8")

    def _make_artifacts(self):
        by = ("--tokenizer", self.tokenizer)
        self._ratdata("tokenize", *by, "--input", self.corpus, "--name", "t", "--merge", "--out", self.bins)
        self._ratdata("tokenize", *by, "--input", self.sample / "corpus", "--name", "m", "--out", self.more_bins)
        small = ("--input", self.small_corpus, "--val-fraction", "0.2")
        self._ratdata("tokenize", *by, *small, "--name", "s", "--out", self.small_bins)
        pack = ("pack", "--input", self.small_bins, "--seq-len", "64")
        self._ratdata(*pack, "--out", self.small_pack)
        self._ratdata(*pack, "--materialize", "--out", self.small_rows)
        task = ("sft", "--task-file", self.questions / "task.toml", "--split", "validation", *by)
        self._ratdata(*task, "--max-length", "64", "--out", self.small_pairs)
        for layout in LAYOUTS:
            for bins, out in ((self.bins, self.foreign), (self.small_bins, self.small_foreign)):
                tokenizer = by if layout == "jsonl" else ()
                self._ratdata("export", bins, "--to", layout, "--copy", *tokenizer, "--out", out(layout))
        for bins, out in ((self.bins, self.foreign), (self.small_bins, self.small_foreign)):
            # Our own bins are the layout `raw`.
            (out("raw") / "train").mkdir(parents=True)
            for file in sorted(bins.rglob("*-train*.bin")):
                (out("raw") / "train" / file.name).write_bytes(file.read_bytes())

    def _ratdata(self, *arguments):
        environment = {"HF_HUB_OFFLINE": "1", "HOME": str(self.root), "LANG": "C.UTF-8"}
        ended = self._program.run([*arguments, "--quiet"], self.root, environment=environment)
        judge(ended, statuses={0})


def text(draw):
    """Returns a text of one to a few hundred words."""
    words = draw.choices(WORDS, k=draw.choice((1, 5, 20, 60, 300)))
    return " ".join(words) + draw.choice(("", ".", "\n\n  "))


def json_lines(texts):
    """Returns documents as JSON lines."""
    return "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
