#!/usr/bin/env python3
"""Times parquet -> uint16 bins on disk against peers, in one sitting, and prints medians and ratios.

    python3 -m venv venv
    venv/bin/pip install gigatoken datatrove datasets sentencepiece tokenizers 'transformers<5' orjson
    cargo build --release
    venv/bin/python scripts/bench_parquet.py --llama DIR --input FILE.parquet [--copies 1] [--runs 5] [--slow-share 0.2]

DIR holds `tokenizer.json` and `tokenizer.model`. Every program is a process of its own, timed from its
start to its end, Python's imports taken off. The slow peers get a share of the rows, cut into a file a
worker, and are placed by their rate:

- reference: what the paper's scripts do, `datasets.map` with `transformers`' slow `LlamaTokenizer`, then one
  write a split;
- reference, C++: the same with SentencePiece itself in the place of `transformers`;
- datatrove: its `DocumentTokenizer`, parquet to `.ds`, a task a file;
- tokenizers, sentencepiece: rows read by pyarrow, one call of `encode_batch_fast` or `encode`, one write.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def gigatoken(job):
    import gigatoken
    import numpy as np

    begun = time.perf_counter()
    tokenizer = gigatoken.Tokenizer(job["llama"] + "/tokenizer.json")
    files = sorted(str(file) for file in Path(job["input"]).glob("*.parquet"))
    ids = tokenizer.encode_files(gigatoken.ParquetFileSource(files, "text"))
    import awkward

    np.asarray(awkward.flatten(ids)).astype(np.uint16).tofile(job["out"] + "/flat.bin")
    return time.perf_counter() - begun


def mapped(job, encode):
    """The reference's way: a map over rows in processes, then one write a split."""
    import datasets
    import numpy as np

    datasets.disable_progress_bars()
    rows = datasets.load_dataset("parquet", data_files=job["input"], split="train", cache_dir=job["out"] + "/cache")
    split = rows.train_test_split(test_size=0.005, seed=1005, shuffle=True)

    def one(row):
        ids = encode(row["text"]) + [2]
        return {"ids": ids, "len": len(ids)}

    for name, part in split.items():
        part = part.map(one, remove_columns=part.column_names, num_proc=job["threads"] if len(part) > 64 else 1)
        bin = np.memmap(f"{job['out']}/{name}.bin", dtype=np.uint16, mode="w+", shape=(int(np.sum(part["len"])),))
        at = 0
        for row in part.with_format("numpy").iter(batch_size=256):
            ids = np.concatenate(row["ids"])
            bin[at : at + len(ids)] = ids
            at += len(ids)
        bin.flush()


def reference(job):
    import datasets  # not counted, as all imports
    import transformers

    begun = time.perf_counter()
    model = transformers.LlamaTokenizer(vocab_file=job["llama"] + "/tokenizer.model", legacy=True)
    mapped(job, lambda text: model(text, add_special_tokens=False)["input_ids"])
    return time.perf_counter() - begun


def reference_cpp(job):
    import datasets
    import sentencepiece

    begun = time.perf_counter()
    model = sentencepiece.SentencePieceProcessor(model_file=job["llama"] + "/tokenizer.model")
    mapped(job, model.encode)
    return time.perf_counter() - begun


def read_texts(job):
    import glob

    import pyarrow.parquet

    files = sorted(glob.glob(job["input"]))
    return [text for file in files for text in pyarrow.parquet.read_table(file, columns=["text"])["text"].to_pylist()]


def write_ids(job, ids):
    import numpy as np

    np.concatenate([np.asarray(one + [2], dtype=np.uint16) for one in ids]).tofile(job["out"] + "/flat.bin")


def hf_tokenizers(job):
    import numpy
    import pyarrow.parquet
    import tokenizers

    begun = time.perf_counter()
    tokenizer = tokenizers.Tokenizer.from_file(job["llama"] + "/tokenizer.json")
    encoded = tokenizer.encode_batch_fast(read_texts(job), add_special_tokens=False)
    write_ids(job, (one.ids for one in encoded))
    return time.perf_counter() - begun


def sentencepiece_cpp(job):
    import numpy
    import pyarrow.parquet
    import sentencepiece

    begun = time.perf_counter()
    model = sentencepiece.SentencePieceProcessor(model_file=job["llama"] + "/tokenizer.model")
    write_ids(job, model.encode(read_texts(job), num_threads=job["threads"]))
    return time.perf_counter() - begun


def datatrove(job):
    import logging

    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.tokens import DocumentTokenizer

    logging.disable(logging.CRITICAL)
    begun = time.perf_counter()
    LocalPipelineExecutor(
        pipeline=[
            ParquetReader(str(Path(job["input"]).parent), glob_pattern=Path(job["input"]).name),
            DocumentTokenizer(job["out"] + "/ds", job["llama"] + "/tokenizer.json", eos_token="</s>", shuffle_documents=False),
        ],
        logging_dir=job["out"] + "/logs",
        tasks=job["threads"],
        workers=job["threads"],
    ).run()
    return time.perf_counter() - begun


def ratdata(job):
    command = [ROOT / "target/release/ratdata", "tokenize", "--quiet", "--num-proc", str(job["threads"])]
    command += ["--tokenizer", job["llama"] + "/tokenizer.json", "--input", job["input"], "--out", job["out"] + "/bins"]
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


PROGRAMS = {
    "ratdata": ratdata,
    "gigatoken": gigatoken,
    "reference": reference,
    "reference, C++": reference_cpp,
    "datatrove": datatrove,
    "tokenizers": hf_tokenizers,
    "sentencepiece": sentencepiece_cpp,
}


def measure(program, llama, path, threads):
    """Returns the seconds that one program takes, in a process of its own."""
    out = tempfile.mkdtemp()
    try:
        job = {"llama": str(llama), "input": str(path), "out": out, "threads": threads}
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": out, "RAYON_NUM_THREADS": str(threads)}
        environment["TOKENIZERS_PARALLELISM"] = "true"
        command = [sys.executable, __file__, "--program", program, json.dumps(job)]
        os.sync()  # what the program before has left to be written is not this one's to wait for
        done = subprocess.run(command, check=True, capture_output=True, env=environment)
        return float(done.stdout.split()[-1])
    finally:
        shutil.rmtree(out)


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--program":
        return print(PROGRAMS[sys.argv[2]](json.loads(sys.argv[3])))
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--llama", type=Path, required=True)
    options.add_argument("--input", type=Path, required=True)
    options.add_argument("--copies", type=int, default=1, help="files of the whole, for the fast ones")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--threads", type=int, default=4)
    options.add_argument("--slow-share", type=float, default=0.2)
    options.add_argument("--slow-runs", type=int, default=5)
    given = options.parse_args()

    import pyarrow.compute
    import pyarrow.parquet

    with tempfile.TemporaryDirectory() as folder:
        table = pyarrow.parquet.read_table(given.input, columns=["text"])
        size = lambda table: pyarrow.compute.sum(pyarrow.compute.binary_length(table["text"])).as_py() / 1e6
        step = max(1, round(1 / given.slow_share))
        part = table.take(list(range(0, table.num_rows, step)))
        (Path(folder) / "share").mkdir()
        for number in range(given.threads):
            piece = part.take(list(range(number, part.num_rows, given.threads)))
            pyarrow.parquet.write_table(piece, Path(folder) / f"share/{number}.parquet", compression="zstd")
        share = Path(folder) / "share" / "*.parquet"
        whole = Path(folder) / "whole"
        whole.mkdir()
        for number in range(given.copies):
            pyarrow.parquet.write_table(table, whole / f"{number}.parquet", compression="zstd", row_group_size=500)
        inputs = dict.fromkeys(("ratdata", "gigatoken"), (whole, size(table) * given.copies))
        rates = {program: [] for program in PROGRAMS}
        for number in range(given.runs):
            for program in PROGRAMS:
                if program in inputs or number < given.slow_runs:
                    path, megabytes = inputs.get(program, (share, size(part)))
                    rates[program].append(megabytes / measure(program, given.llama, path, given.threads))
        ours = statistics.median(rates["ratdata"])
        print("| program | MB/s of text, median | min–max | ratdata is |\n|---|---|---|---|")
        for program, seen in rates.items():
            median = statistics.median(seen)
            print(f"| {program} | {median:.1f} | {min(seen):.1f}–{max(seen):.1f} | {ours / median:.1f}× |")


if __name__ == "__main__":
    main()
