"""One peer in a process of its own: `python peers.py JOB`, with a job in JSON.

It needs the standard library and the peer alone, so that a peer can have an environment of its own. What is
timed is the fastest interface that a peer has for many documents: one buffer of ids where there is one, since a
list of Python's integers costs more than the ids do. Importing is Python's time and is not counted.
"""

import array
import json
import os
import statistics
import sys
import time
from pathlib import Path

SEPARATOR = "\x1e"
"""Stands between documents where a peer takes one buffer; no document of `material.py` has it."""


def documents(text):
    """Cuts a text as `encode_bench` does: at line ends after 8 KB."""
    parts, at = [], 0
    while len(text) - at > 8192:
        line = text.find(b"\n", at + 8192)
        end = len(text) if line < 0 else line + 1
        parts.append(text[at:end].decode())
        at = end
    if at < len(text):
        parts.append(text[at:].decode())
    return parts


def flat(ids, offsets):
    """Cuts a buffer of `u32` ids at `u64` offsets."""
    ids, offsets = array.array("I", bytes(ids)), list(array.array("Q", bytes(offsets)))
    return [ids[start:end] for start, end in zip(offsets, offsets[1:])]


class Gigatoken:
    """`gigatoken`, and `gigatoken-cachefix`, which has the same module."""

    def __init__(self, job):
        import gigatoken

        self.module, self.parallel = gigatoken, job["threads"] > 1

    def load(self, path):
        return self.module.Tokenizer(path)

    def prepare(self, parts):
        return self.module.BytesSource([SEPARATOR.join(parts).encode()], separator=SEPARATOR.encode())

    def run(self, tokenizer, source):
        return tokenizer.encode_batch(source, parallel=self.parallel)

    def ids(self, result):
        return result.to_list()

    def bins(self, tokenizer, files, dtype):
        import awkward
        import numpy

        ids = tokenizer.encode_files(self.module.ParquetFileSource(files, "text"), parallel=self.parallel)
        return numpy.asarray(awkward.flatten(ids)).astype(dtype)


class Peer:
    """What most peers have in common: a list of texts, and ids in lists or in one buffer."""

    lists = False

    def __init__(self, job):
        self.threads = job["threads"]

    def prepare(self, parts):
        return parts

    def ids(self, result):
        return result if self.lists else flat(*result)

    def bins(self, tokenizer, files, dtype):
        import numpy
        import pyarrow.parquet

        texts = [
            text for file in files for text in pyarrow.parquet.read_table(file, columns=["text"])["text"].to_pylist()
        ]
        result = self.run(tokenizer, texts)
        if self.lists:
            return numpy.concatenate([numpy.asarray(ids, dtype=dtype) for ids in self.ids(result)])
        return numpy.frombuffer(result[0], dtype=numpy.uint32).astype(dtype)


class Tokie(Peer):
    def __init__(self, job):
        import tokie

        super().__init__(job)
        self.module = tokie

    def load(self, path):
        return self.module.Tokenizer.from_json(path)

    def run(self, tokenizer, parts):
        return tokenizer.encode_batch_flat(parts, add_special_tokens=False)

    def ids(self, result):
        import numpy

        ids, lengths = result
        return flat(ids, numpy.append(numpy.uint64(0), numpy.cumsum(lengths, dtype=numpy.uint64)))


class Splintr(Peer):
    def __init__(self, job):
        import splintr

        super().__init__(job)
        self.module = splintr

    def load(self, path):
        return self.module.from_json(path)

    def run(self, tokenizer, parts):
        return tokenizer.encode_batch_flat(parts)


class Iree(Peer):
    lists = True

    def __init__(self, job):
        import iree.tokenizer

        super().__init__(job)
        self.module = iree.tokenizer

    def load(self, path):
        return self.module.Tokenizer.from_file(path)

    def run(self, tokenizer, parts):
        return [tokenizer.encode_to_array(part) for part in parts]


class Kitoken(Peer):
    lists = True

    def __init__(self, job):
        import kitoken

        super().__init__(job)
        self.module = kitoken

    def load(self, path):
        return self.module.Kitoken.from_tokenizers_file(path)

    def run(self, tokenizer, parts):
        return tokenizer.encode_all(parts, True)


class Fastokens(Peer):
    def __init__(self, job):
        import fastokens

        super().__init__(job)
        self.module = fastokens

    def load(self, path):
        return self.module.Tokenizer.from_file(path)

    def run(self, tokenizer, parts):
        return tokenizer.encode_batch_flat(parts)


class HuggingFace(Peer):
    lists = True

    def __init__(self, job):
        import tokenizers

        super().__init__(job)
        self.module = tokenizers

    def load(self, path):
        tokenizer = self.module.Tokenizer.from_file(path)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def run(self, tokenizer, parts):
        return tokenizer.encode_batch_fast(parts, add_special_tokens=False)

    def ids(self, result):
        return [encoding.ids for encoding in result]


class SentencePiece(Peer):
    lists = True

    def __init__(self, job):
        import sentencepiece

        super().__init__(job)
        self.module = sentencepiece

    def load(self, path):
        model = Path(path).with_name("tokenizer.model") if path.endswith(".json") else Path(path)
        if not model.exists():
            raise ValueError("it has no .model")
        return self.module.SentencePieceProcessor(model_file=str(model))

    def run(self, tokenizer, parts):
        return tokenizer.encode(parts, num_threads=self.threads)


class Tiktoken(Peer):
    """`tiktoken`, with the ranks and the pattern of a byte-level `tokenizer.json`."""

    lists = True

    def __init__(self, job):
        import tiktoken

        super().__init__(job)
        self.module = tiktoken

    def load(self, path):
        said = json.loads(Path(path).read_bytes())
        if said["model"].get("type", "BPE") != "BPE" or "ByteLevel" not in json.dumps(said["pre_tokenizer"]):
            raise ValueError("it is not byte-level")
        steps = said["pre_tokenizer"].get("pretokenizers", [said["pre_tokenizer"]])
        patterns = [step["pattern"]["Regex"] for step in steps if step["type"] == "Split"]
        if not patterns and said["pre_tokenizer"]["type"] == "ByteLevel":
            patterns = [r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"]
        if len(patterns) != 1 or said.get("normalizer"):
            raise ValueError("it has more than one pattern, or a normalizer")
        shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
        hidden = [byte for byte in range(256) if byte not in shown]
        byte_of = {chr(byte): byte for byte in shown} | {chr(256 + at): byte for at, byte in enumerate(hidden)}
        special = {token["content"]: token["id"] for token in said["added_tokens"]}
        pieces = {piece: id for piece, id in said["model"]["vocab"].items() if piece not in special}
        ranks = {bytes(byte_of[char] for char in piece): id for piece, id in pieces.items()}
        return self.module.Encoding("read", pat_str=patterns[0], mergeable_ranks=ranks, special_tokens=special)

    def run(self, tokenizer, parts):
        return tokenizer.encode_batch(parts, num_threads=self.threads, allowed_special="all")


PEERS = {
    "gigatoken": Gigatoken,
    "gigatoken-cachefix": Gigatoken,
    "tokie": Tokie,
    "splintr-rs": Splintr,
    "iree-tokenizer": Iree,
    "kitoken": Kitoken,
    "fastokens": Fastokens,
    "tokenizers": HuggingFace,
    "sentencepiece": SentencePiece,
    "tiktoken": Tiktoken,
}


class Stopwatch:
    """Seconds of wall time and of the processor, of all threads together."""

    def __init__(self):
        self.wall, self.processor = time.perf_counter(), time.process_time()

    def read(self):
        return {"wall": time.perf_counter() - self.wall, "processor": time.process_time() - self.processor}


def timed(peer, job):
    """Times loading, the first bytes with loading, and passes over the whole text."""
    parts = documents(Path(job["text"]).read_bytes())
    count, size = 0, 0
    while count < len(parts) and size + len(parts[count].encode()) <= job["head"]:
        size += len(parts[count].encode())
        count += 1
    head, whole = peer.prepare(parts[:count]), peer.prepare(parts)
    watch = Stopwatch()
    tokenizer = peer.load(job["tokenizer"])
    load = watch.read()
    peer.run(tokenizer, head)
    cold = watch.read()
    if job["runs"] == 0:
        return {"load": load, "cold": cold, "head": size, "threads": job["threads"]}
    # The pass before the first that counts has seen all documents.
    if count < len(parts):
        peer.run(tokenizer, whole)
    spans = []
    for _ in range(job["runs"]):
        watch = Stopwatch()
        peer.run(tokenizer, whole)
        spans.append(watch.read())
    warm = {kind: statistics.median(span[kind] for span in spans) for kind in ("wall", "processor")}
    bytes = sum(len(part.encode()) for part in parts)
    return {"load": load, "cold": cold, "warm": warm, "bytes": bytes, "head": size, "threads": job["threads"]}


def written(peer, job):
    """Times a whole job: Parquet files to one file of ids on disk."""
    import numpy
    import pyarrow.parquet

    if type(peer) is Gigatoken:
        import awkward
    watch = Stopwatch()
    tokenizer = peer.load(job["tokenizer"])
    ids = peer.bins(tokenizer, sorted(job["parquet"]), numpy.dtype(job["dtype"]))
    with open(job["out"], "wb") as file:
        ids.tofile(file)
        file.flush()
        os.fsync(file.fileno())
    return {"job": watch.read(), "ids": len(ids)}


def main():
    job = json.loads(sys.argv[1])
    peer = PEERS[job["peer"]](job)
    if job["kind"] == "ids":
        tokenizer = peer.load(job["tokenizer"])
        parts = documents(Path(job["text"]).read_bytes())
        with open(job["out"], "wb") as out:
            for ids in peer.ids(peer.run(tokenizer, peer.prepare(parts))):
                array.array("I", [len(ids), *ids]).tofile(out)
        return
    print(json.dumps(timed(peer, job) if job["kind"] == "time" else written(peer, job)))


if __name__ == "__main__":
    main()
