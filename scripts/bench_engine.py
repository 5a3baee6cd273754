#!/usr/bin/env python3
"""Times the engine and its peers on the same text, in turn, and prints medians and ratios.

    python3 -m venv venv && venv/bin/pip install gigatoken tokenizers sentencepiece
    cargo build --release -p ratdata-tokenize --example encode_bench
    venv/bin/python scripts/bench_engine.py --llama DIR --gpt2 DIR --text FILE [--runs 5] [--threads 4]

DIR holds `tokenizer.json` (and `tokenizer.model` for Llama); FILE is UTF-8 text, best 50 MB or more of
many kinds. Every program gets the same documents: the text cut at line ends after 8 KB. A round runs
each program once, in a process of its own; medians are over the rounds, ratios are ours to theirs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLD_MB = 20


def documents(text):
    """Cuts a text as the Rust benchmark does."""
    parts, at = [], 0
    while len(text) - at > 8192:
        line = text.find(b"\n", at + 8192)
        end = len(text) if line < 0 else line + 1
        parts.append(text[at:end].decode())
        at = end
    parts.append(text[at:].decode())
    return parts


def peer(job):
    """Runs one peer in this process and prints its cold and warm MB/s."""
    text = Path(job["text"]).read_bytes()
    parts, mb, threads = documents(text), len(text) / 1e6, job["threads"]
    if job["peer"] == "gigatoken":
        import gigatoken  # not counted: importing a package is Python's time, not the peer's
    begun = time.perf_counter()
    if job["peer"] == "gigatoken":

        tokenizer = gigatoken.Tokenizer(job["json"])
        # Its fastest way in: one buffer, cut at a byte that no document has.
        joined = gigatoken.BytesSource(["\x1e".join(parts).encode()], separator=b"\x1e")
        run = lambda: tokenizer.encode_batch(joined, parallel=threads > 1)
    elif job["peer"] == "tokenizers":
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_file(job["json"])
        run = lambda: tokenizer.encode_batch_fast(parts, add_special_tokens=False)
    else:
        import sentencepiece

        tokenizer = sentencepiece.SentencePieceProcessor(model_file=job["model"])
        run = lambda: tokenizer.encode(parts, num_threads=threads)
    run()
    cold = time.perf_counter() - begun
    warm = []
    for _ in range(job["repeat"]):
        begun = time.perf_counter()
        run()
        warm.append(time.perf_counter() - begun)
    print(json.dumps({"cold": mb / cold, "warm": mb / statistics.median(warm)}))


def measure(program, tokenizer, text, threads):
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"}
    if program == "ratdata":
        binary = ROOT / "target/release/examples/encode_bench"
        command = [binary, tokenizer / "tokenizer.json", str(threads), "3", text]
        out = json.loads(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)
        return {"cold": out["cold_mb_s"], "warm": out["warm_mb_s"], "memory": out["memory_mb"]}
    job = {
        "peer": program,
        "json": str(tokenizer / "tokenizer.json"),
        "model": str(tokenizer / "tokenizer.model"),
        "text": str(text),
        "threads": threads,
        "repeat": 3 if program == "gigatoken" else 1,
    }
    command = [sys.executable, __file__, "--peer", json.dumps(job)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--peer":
        return peer(json.loads(sys.argv[2]))
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--llama", type=Path, required=True)
    options.add_argument("--gpt2", type=Path)
    options.add_argument("--text", type=Path, required=True)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--threads", type=int, default=4)
    options.add_argument("--slow", action="store_true", help="time the slow peers too")
    given = options.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        head = Path(folder) / "head.txt"
        cut = given.text.read_bytes()[: COLD_MB * 1_000_000]
        head.write_bytes(cut[: cut.rfind(b"\n") + 1])
        jobs = [
            ("Llama, warm", given.llama, given.text, given.threads, "warm"),
            ("Llama, warm, 1 thread", given.llama, given.text, 1, "warm"),
            (f"Llama, first {COLD_MB} MB with loading", given.llama, head, given.threads, "cold"),
        ]
        if given.gpt2:
            jobs.append(("GPT-2, warm", given.gpt2, given.text, given.threads, "warm"))
        print(f"| job | program | MB/s, median of {given.runs} | min–max | ratdata is |\n|---|---|---|---|---|")
        for job, tokenizer, text, threads, figure in jobs:
            programs = ["ratdata", "gigatoken"]
            if given.slow and figure == "warm" and threads > 1:
                programs.append("tokenizers")
                if (tokenizer / "tokenizer.model").exists():
                    programs.append("sentencepiece")
            rounds = {program: [] for program in programs}
            for number in range(given.runs):
                for program in programs:
                    # The slow ones are steady: one round in three is enough to place them.
                    if program in ("ratdata", "gigatoken") or number % 3 == 0:
                        rounds[program].append(measure(program, tokenizer, text, threads)[figure])
            ours = statistics.median(rounds["ratdata"])
            for program in programs:
                seen = rounds[program]
                median = statistics.median(seen)
                print(f"| {job} | {program} | {median:.0f} | {min(seen):.0f}–{max(seen):.0f} | {ours / median:.1f}× |", flush=True)


if __name__ == "__main__":
    main()
