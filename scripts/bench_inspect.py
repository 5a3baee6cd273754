#!/usr/bin/env python3
"""Time `ratdata inspect` on token bins in the page cache, with long documents and with short ones.

    cargo build --release
    scripts/bench_inspect.py [--tokens 500000000] [--program target/release/ratdata]

Ids are drawn as words are, a few often and most of them rarely, and no document repeats another.
Told are the median of five runs, in bytes of ids a second, and the memory that the program holds
beside the file: its largest resident size without the pages of the maps.
"""
import argparse
import os
import statistics
import subprocess
import tempfile
import time

import numpy as np

VOCABULARY = 32_000
LENGTHS = (1000, 33)


def write(folder, mean, tokens):
    """Write a bin of documents of a mean length, and its index."""
    random = np.random.default_rng(1)
    path = os.path.join(folder, f"mean-{mean}.bin")
    with open(path, "wb") as file:
        left = tokens
        while left:
            count = min(left, 1 << 24)
            ids = (VOCABULARY ** random.random(count)).astype("<u2")
            file.write(ids.tobytes())
            left -= count
    lengths = random.geometric(1 / mean, size=tokens // mean + tokens // mean // 8)
    ends = np.cumsum(lengths)
    ends = np.append(ends[ends < tokens], tokens).astype("<u8")
    ends.tofile(os.path.join(folder, f"mean-{mean}.idx"))
    return path, len(ends)


def anonymous(pid):
    """Return the resident bytes of a process that are not a file's."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            found = [line.split()[1] for line in status if line.startswith("RssAnon")]
            return int(found[0]) * 1024 if found else 0
    except FileNotFoundError:
        return 0


def run(program, path):
    """Return the seconds of one run, and the most memory seen beside the file."""
    begun = time.perf_counter()
    process = subprocess.Popen([program, "inspect", path, "--json"], stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        most = max(most, anonymous(process.pid))
        time.sleep(0.002)
    seconds = time.perf_counter() - begun
    if process.returncode:
        raise SystemExit(f"{program} ended with status {process.returncode}")
    return seconds, most


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tokens", type=int, default=500_000_000)
    parser.add_argument("--program", default="target/release/ratdata")
    options = parser.parse_args()
    print(f"{'tokens a document':>18}{'documents':>14}{'seconds':>10}{'GB/s':>8}{'memory':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for mean in LENGTHS:
            path, documents = write(folder, mean, options.tokens)
            run(options.program, path)
            runs = [run(options.program, path) for _ in range(5)]
            seconds = statistics.median(seconds for seconds, _ in runs)
            memory = max(memory for _, memory in runs)
            rate = options.tokens * 2 / seconds / 1e9
            print(f"{mean:>18}{documents:>14,}{seconds:>10.3f}{rate:>8.2f}{memory / 1e6:>7.0f} MB")
    print(f"on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
