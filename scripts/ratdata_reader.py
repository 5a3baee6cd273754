"""Reads ratdata's token bins with NumPy alone; with PyTorch installed, `Sequences` is a `Dataset`.

Copy it into your project, or run it: `python3 ratdata_reader.py data/tokens train`.
"""

import bisect
import json
import os
import sys

import numpy as np

try:
    from torch.utils.data import Dataset
except ImportError:  # NumPy is enough for everything here.
    Dataset = object


class Tokens:
    """One split of an artifact, as one stream of ids."""

    def __init__(self, root, split="train"):
        with open(os.path.join(root, "manifest.json"), encoding="utf-8") as file:
            self.manifest = json.load(file)
        if self.manifest["format_version"] not in (1, 2):
            raise ValueError(f"format version {self.manifest['format_version']}, expected 1 or 2")
        record = self.manifest["splits"][split]
        if record["layout"] != "shards":
            raise ValueError(f"split {split} holds {record['layout']}, expected shards")
        dtype = {"u16": np.dtype("<u2"), "u32": np.dtype("<u4")}[self.manifest["dtype"]]
        self.shards, self.ends, self.first = [], [], [0]
        for shard in record["shards"]:
            self.shards.append(self._map(root, shard["bin"], dtype, shard["tokens"]))
            self.ends.append(self._map(root, shard["idx"], np.dtype("<u8"), shard["documents"]))
            self.first.append(self.first[-1] + shard["tokens"])

    @staticmethod
    def _map(root, record, dtype, count):
        path = os.path.join(root, *record["path"].split("/"))
        size = os.path.getsize(path)
        if size != count * dtype.itemsize:
            raise ValueError(f"{path}: {size} bytes, expected {count * dtype.itemsize}")
        # An empty file cannot be mapped.
        return np.memmap(path, dtype, "r") if count else np.empty(0, dtype)

    def __len__(self):
        return self.first[-1]

    def read(self, start, count):
        """Returns `count` ids from position `start` of the stream, across shards."""
        if not 0 <= start <= start + count <= len(self):
            raise IndexError(f"{start} + {count} of {len(self)} tokens")
        parts, shard = [], bisect.bisect_right(self.first, start) - 1
        while count:
            begin = start - self.first[shard]
            part = self.shards[shard][begin : begin + count]
            parts.append(part)
            start, count, shard = start + len(part), count - len(part), shard + 1
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def documents(self):
        """Yields the ids of every document, in order."""
        for shard, ends in zip(self.shards, self.ends):
            start = 0
            for end in ends:
                yield shard[start : int(end)]
                start = int(end)


class Sequences(Dataset):
    """Sequences of `seq_len` inputs and labels, read from `seq_len` + 1 ids with a stride of `seq_len`.

    A label is -100 where the input is EOS, so no document is trained on to predict the next one. The
    trainer and the reference read the same bins in this way.
    """

    def __init__(self, root, split="train", seq_len=1024):
        self.tokens, self.seq_len = Tokens(root, split), seq_len
        self.eos = self.tokens.manifest["tokenizer"]["eos"]

    def __len__(self):
        return max(0, (len(self.tokens) - 1) // self.seq_len)

    def __getitem__(self, row):
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        ids = self.tokens.read(row * self.seq_len, self.seq_len + 1).astype(np.int64)
        inputs, labels = ids[:-1], ids[1:].copy()
        if self.eos is not None:
            labels[inputs == self.eos] = -100
        return inputs, labels


def main():
    root, split = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "train"
    tokens, sequences = Tokens(root, split), Sequences(root, split, 128)
    documents = sum(1 for _ in tokens.documents())
    first = range(min(100, len(sequences)))
    labels = sum(int((sequences[row][1] != -100).sum()) for row in first)
    print(f"{len(tokens)} tokens, {documents} documents, {len(sequences)} sequences of 128")
    print(f"{labels} labels count in the first {len(first)} sequences")


if __name__ == "__main__":
    main()
