#!/usr/bin/env python3
"""Time packing against a first-fit-decreasing as Python trainers write it.

    cargo build --release --workspace --example pack_bench
    scripts/bench_pack.py ARTIFACT [--seq-len 4096] [--documents 1000000]

ARTIFACT is a folder of token bins; its document lengths are repeated. Both sides pack the same
lengths; ours tells its fill rate with the token that rows of a cut document share.
"""
import argparse
import glob
import json
import os
import subprocess
import time

import numpy as np


def first_fit_decreasing(lengths, capacity):
    """First-fit decreasing over a segment tree of free space: the fast form in the field."""
    order = np.argsort(-lengths, kind="stable")
    size = 1
    while size < len(lengths):
        size *= 2
    tree = [capacity] * (2 * size)
    bins = 0
    for place in order:
        length = int(lengths[place])
        node = 1
        while node < size:
            node *= 2
            if tree[node] < length:
                node += 1
        bins = max(bins, node - size + 1)
        tree[node] -= length
        node //= 2
        while node:
            left, right = tree[2 * node], tree[2 * node + 1]
            tree[node] = left if left > right else right
            node //= 2
    return bins


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("artifact")
    parser.add_argument("--seq-len", type=int, default=4096)
    parser.add_argument("--documents", type=int, default=1_000_000)
    options = parser.parse_args()

    ours = []
    for _ in range(5):
        command = ["target/release/examples/pack_bench", options.artifact, str(options.seq_len), str(options.documents)]
        ours.append(json.loads(subprocess.check_output(command)))
    ours.sort(key=lambda run: run["best_fit_seconds"])
    middle = ours[len(ours) // 2]

    lengths = []
    for path in sorted(glob.glob(os.path.join(options.artifact, "**", "*-train*.idx"), recursive=True)):
        ends = np.fromfile(path, dtype="<u8")
        lengths.append(np.diff(ends, prepend=np.uint64(0)).astype(np.int64))
    lengths = np.resize(np.concatenate(lengths), options.documents)
    capacity = options.seq_len + 1
    pieces = []
    while lengths.size:
        pieces.append(np.minimum(lengths, capacity))
        lengths = lengths[lengths > capacity] - capacity
    pieces = np.concatenate(pieces)
    pieces = pieces[pieces > 0]
    begun = time.perf_counter()
    bins = first_fit_decreasing(pieces, capacity)
    seconds = time.perf_counter() - begun

    print(f"{'':24}{'seconds':>10}{'fill':>10}{'rows':>12}")
    print(f"{'ratdata best-fit':24}{middle['best_fit_seconds']:>10.3f}{middle['best_fit_fill']:>10.4f}{middle['best_fit_rows']:>12,}")
    print(f"{'Python first-fit':24}{seconds:>10.3f}{pieces.sum() / (bins * capacity):>10.4f}{bins:>12,}")
    print(f"ratio {seconds / middle['best_fit_seconds']:.1f}; ratdata concat {middle['concat_tokens_per_second'] / 1e6:,.0f} M tokens/s on one core")


if __name__ == "__main__":
    main()
