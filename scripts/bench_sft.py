#!/usr/bin/env python3
"""Time `ratdata sft` where many questions share a story, as NarrativeQA's do.

    cargo build --release
    scripts/bench_sft.py DATA TOKENIZER [--questions 59] [--stories 100] [--peer]

DATA is a folder with `narrativeqa/train.parquet`. Each of its first stories is asked so many
questions; a second file has the same rows with a number in front of each story, so that none is
shared. With --peer, the same prompts are encoded by Hugging Face `tokenizers`, row by row.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

import pyarrow as pa
import pyarrow.parquet as pq


def rows(path, stories, questions, distinct):
    seen = {}
    for row in pq.read_table(path).to_pylist():
        seen.setdefault(row["document"]["id"], row)
    made = []
    for number, row in enumerate(list(seen.values())[:stories]):
        for question in range(questions):
            copy = json.loads(json.dumps(row))
            copy["question"]["text"] = f"{row['question']['text']} ({question})"
            if distinct:
                copy["document"]["text"] = f"{number}-{question} {row['document']['text']}"
            made.append(copy)
    return made


def run(folder, tokenizer, out):
    command = ["target/release/ratdata", "sft", "--task", "narrativeqa_text", "--split", "train", "--json", "--quiet",
               "--force", "--input", folder, "--tokenizer", tokenizer, "--out", out]
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("tokenizer")
    parser.add_argument("--questions", type=int, default=59)
    parser.add_argument("--stories", type=int, default=100)
    parser.add_argument("--peer", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seconds = {}
        for kind in ["shared", "distinct"]:
            made = rows(f"{options.data}/narrativeqa/train.parquet", options.stories, options.questions, kind == "distinct")
            os.makedirs(f"{folder}/{kind}/narrativeqa")
            pq.write_table(pa.Table.from_pylist(made), f"{folder}/{kind}/narrativeqa/train.parquet", compression="zstd")
            seconds[kind] = run(f"{folder}/{kind}", options.tokenizer, f"{folder}/out-{kind}")
            if kind == "shared":
                text = sum(len(row["document"]["text"].encode()) for row in made)
                prompts = [f"Story: {row['document']['text']}\n\nQuestion: {row['question']['text']}\n\nAnswer:" for row in made]
        print(f"{len(prompts):,} rows, {text / 1e6:,.0f} MB of stories")
        print(f"stories shared    {seconds['shared']:8.2f} s")
        print(f"stories distinct  {seconds['distinct']:8.2f} s   ({seconds['distinct'] / seconds['shared']:.1f} times)")
        if options.peer:
            from tokenizers import Tokenizer
            peer = Tokenizer.from_file(os.path.join(os.path.dirname(options.tokenizer), "tokenizer.json"))
            begun = time.perf_counter()
            peer.encode_batch(prompts[: len(prompts) // 20])
            peer_seconds = (time.perf_counter() - begun) * 20
            print(f"tokenizers        {peer_seconds:8.2f} s   ({peer_seconds / seconds['shared']:.0f} times), encoding alone, from a twentieth")


if __name__ == "__main__":
    main()
