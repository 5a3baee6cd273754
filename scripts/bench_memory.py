#!/usr/bin/env python3
"""Prints the peak memory of tokenizing one large parquet file.

    python3 -m venv venv && venv/bin/pip install pyarrow
    cargo build --release
    venv/bin/python scripts/bench_memory.py --tokenizer llama/tokenizer.json --input data/*.parquet [--gigabytes 2]

The file is made by repeating the documents of the input, uncompressed, with one row group per 10,000.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tokenizer", required=True)
    options.add_argument("--input", nargs="+", required=True)
    options.add_argument("--gigabytes", type=float, default=2.0)
    options.add_argument("--threads", type=int, default=4)
    options.add_argument("--work", default=None, help="a folder with room for twice the file")
    given = options.parse_args()

    folder = Path(tempfile.mkdtemp(dir=given.work))
    try:
        table = pa.concat_tables([pq.read_table(path, columns=["text"]) for path in given.input])
        path = folder / "large.parquet"
        with pq.ParquetWriter(path, table.schema, compression="none", use_dictionary=False) as writer:
            while not path.exists() or path.stat().st_size < given.gigabytes * 1e9:
                writer.write_table(table, row_group_size=10_000)
        command = [ROOT / "target/release/ratdata", "tokenize", "--tokenizer", given.tokenizer, "--quiet"]
        command += ["--input", path, "--out", folder / "out", "--num-proc", str(given.threads)]
        begun = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begun
        size = path.stat().st_size
        print(f"{size / 1e9:.2f} GB of parquet, {given.threads} threads: peak {usage.ru_maxrss / 1048576:.2f} GiB, "
              f"{seconds:.1f} s, {size / seconds / 1e6:.0f} MB/s")
        sys.exit(os.waitstatus_to_exitcode(status))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
