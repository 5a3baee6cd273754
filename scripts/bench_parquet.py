#!/usr/bin/env python3
"""Times parquet -> uint16 bins on disk against peers, in one sitting, and prints medians and ratios.

    python3 -m venv venv && venv/bin/pip install gigatoken datatrove datasets sentencepiece tokenizers orjson
    cargo build --release
    venv/bin/python scripts/bench_parquet.py --llama DIR --input FILE.parquet [--runs 5] [--slow-share 0.2]

DIR holds `tokenizer.json` and `tokenizer.model`. Every program is a process of its own, timed from its
start to its end, Python's imports taken off. The slow peers, the reference's way (Hugging Face
`datasets.map` with SentencePiece in Python, then one write a split) and datatrove's `DocumentTokenizer`,
get a share of the rows and are placed by their rate.
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
    ids = tokenizer.encode_files(gigatoken.ParquetFileSource([job["input"]], "text"))
    import awkward

    np.asarray(awkward.flatten(ids)).astype(np.uint16).tofile(job["out"] + "/flat.bin")
    return time.perf_counter() - begun


def reference(job):
    import datasets
    import numpy as np
    import sentencepiece

    datasets.disable_progress_bars()
    begun = time.perf_counter()
    model = sentencepiece.SentencePieceProcessor(model_file=job["llama"] + "/tokenizer.model")
    rows = datasets.load_dataset("parquet", data_files=job["input"], split="train", cache_dir=job["out"] + "/cache")
    split = rows.train_test_split(test_size=0.005, seed=1005, shuffle=True)

    def encode(row):
        ids = model.encode(row["text"]) + [2]
        return {"ids": ids, "len": len(ids)}

    for name, part in split.items():
        part = part.map(encode, remove_columns=part.column_names, num_proc=job["threads"] if len(part) > 64 else 1)
        bin = np.memmap(f"{job['out']}/{name}.bin", dtype=np.uint16, mode="w+", shape=(int(np.sum(part["len"])),))
        at = 0
        for row in part.with_format("numpy").iter(batch_size=256):
            ids = np.concatenate(row["ids"])
            bin[at : at + len(ids)] = ids
            at += len(ids)
        bin.flush()
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
        tasks=1,
        workers=1,
    ).run()
    return time.perf_counter() - begun


def ratdata(job):
    command = [ROOT / "target/release/ratdata", "tokenize", "--quiet", "--num-proc", str(job["threads"])]
    command += ["--tokenizer", job["llama"] + "/tokenizer.json", "--input", job["input"], "--out", job["out"] + "/bins"]
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


PROGRAMS = {"ratdata": ratdata, "gigatoken": gigatoken, "reference": reference, "datatrove": datatrove}


def measure(program, llama, path, threads):
    """Returns the seconds that one program takes, in a process of its own."""
    out = tempfile.mkdtemp()
    try:
        job = {"llama": str(llama), "input": str(path), "out": out, "threads": threads}
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": out}
        command = [sys.executable, __file__, "--program", program, json.dumps(job)]
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
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--threads", type=int, default=4)
    options.add_argument("--slow-share", type=float, default=0.2)
    given = options.parse_args()

    import pyarrow.compute
    import pyarrow.parquet

    with tempfile.TemporaryDirectory() as folder:
        table = pyarrow.parquet.read_table(given.input, columns=["text"])
        size = lambda table: pyarrow.compute.sum(pyarrow.compute.binary_length(table["text"])).as_py() / 1e6
        share = Path(folder) / "share.parquet"
        step = max(1, round(1 / given.slow_share))
        part = table.take(list(range(0, table.num_rows, step)))
        pyarrow.parquet.write_table(part, share, compression="zstd", row_group_size=500)
        whole = Path(folder) / "whole.parquet"
        pyarrow.parquet.write_table(table, whole, compression="zstd", row_group_size=500)
        inputs = {"ratdata": (whole, size(table)), "gigatoken": (whole, size(table))}
        rates = {program: [] for program in PROGRAMS}
        for number in range(given.runs):
            for program in PROGRAMS:
                if program in inputs or number < 2:
                    path, megabytes = inputs.get(program, (share, size(part)))
                    rates[program].append(megabytes / measure(program, given.llama, path, given.threads))
        ours = statistics.median(rates["ratdata"])
        print("| program | MB/s of text, median | min–max | ratdata is |\n|---|---|---|---|")
        for program, seen in rates.items():
            median = statistics.median(seen)
            print(f"| {program} | {median:.1f} | {min(seen):.1f}–{max(seen):.1f} | {ours / median:.1f}× |")


if __name__ == "__main__":
    main()
