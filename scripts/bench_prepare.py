#!/usr/bin/env python3
"""Times `ratdata filter`, `dedup` and `decontaminate` next to datatrove, with the same rules and two processes each.

    python3 -m venv v && v/bin/pip install 'datatrove[processing]' spacy xxhash pyarrow
    v/bin/python scripts/bench_prepare.py target/release/ratdata ../shared

The input is the shared FineWeb-Edu sample, repeated to `--megabytes` for ratdata and to `--theirs` for datatrove,
whose rate does not depend on the size. Copies differ in one word, so that exact deduplication has work to do.
For each job the rates, their ratio and the peak memory of all processes are printed. The rates by processor time
hold on a busy machine, too. `--side ours` or `theirs` runs one program alone, where both would take too long at once.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import pyarrow.parquet

FILES = 4
QUESTION = "What is the least number of colours that a map on the plane needs so that no two neighbours are alike?"


def write(folder: pathlib.Path, texts: list[str], megabytes: float) -> int:
    """Writes texts, repeated, as files of JSON lines; returns how many bytes of text that are."""
    folder.mkdir(parents=True)
    files = [open(folder / f"{number}.jsonl", "w") for number in range(FILES)]
    written, number = 0, 0
    while written < megabytes * 1e6:
        text = texts[number % len(texts)]
        text = f"{text} copy {number // len(texts) // 2}"
        files[number % FILES].write(json.dumps({"text": text, "id": str(number)}) + "\n")
        written += len(text.encode())
        number += 1
    for file in files:
        file.close()
    return written


def timed(command: list[str]) -> tuple[float, float, float]:
    """Runs a command; returns its seconds, those of processors, and the peak memory of its processes in megabytes."""
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak, ticks = 0, {}
    while process.poll() is None:
        peak = max(peak, look_at(process.pid, ticks))
        time.sleep(0.02)
    if process.returncode:
        sys.exit(f"failed: {' '.join(command)}")
    return time.monotonic() - begun, sum(ticks.values()) / os.sysconf("SC_CLK_TCK"), peak / 1e3


def look_at(root: int, ticks: dict[int, int]) -> int:
    """Returns the resident kilobytes of a process and all below it, and notes how long each has worked.

    A process that another one starts for it, as a fork server does, is counted from the first look on; who waits
    for it in the end does not matter.
    """
    total, wanted = 0, [root]
    while wanted:
        pid = wanted.pop()
        try:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            total += next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks[pid] = int(fields[11]) + int(fields[12])
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                wanted += map(int, (task / "children").read_text().split())
        except (OSError, StopIteration):
            pass
    return total


THEIRS = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.pipeline import filters, dedup
job, data, out = sys.argv[1:]
def run(*steps, tasks=2):
    executor = LocalPipelineExecutor(pipeline=list(steps), tasks=tasks, workers=2, skip_completed=False, logging_dir=out + "/logs/" + str(id(steps)))
    executor.run()
read, write = JsonlReader(data), JsonlWriter(out + "/kept")
if __name__ == "__main__":
    if job == "filter":
        run(read, filters.GopherRepetitionFilter(), filters.GopherQualityFilter(), filters.C4QualityFilter(), filters.FineWebQualityFilter(), write)
    elif job == "exact":
        config = dedup.ExactDedupConfig(content_getter=lambda document: document.text)
        run(read, dedup.ExactDedupSignature(output_folder=out + "/sigs", config=config, finder_workers=2))
        run(dedup.ExactFindDedups(data_folder=out + "/sigs", output_folder=out + "/dups", config=config))
        run(read, dedup.ExactDedupFilter(data_folder=out + "/dups", config=config), write)
    elif job == "minhash":
        config = dedup.MinhashConfig()
        run(read, dedup.MinhashDedupSignature(output_folder=out + "/sigs", config=config))
        run(dedup.MinhashDedupBuckets(input_folder=out + "/sigs", output_folder=out + "/buckets", config=config), tasks=config.num_buckets)
        run(dedup.MinhashDedupCluster(input_folder=out + "/buckets", output_folder=out + "/remove", config=config), tasks=1)
        run(read, dedup.MinhashDedupFilter(input_folder=out + "/remove"), write)
    else:
        from datatrove.pipeline.decont import n_grams
        import numpy, os
        config = n_grams.NGramsDecontConfig(n_grams=13)
        os.makedirs(out + "/index")
        grams = open(out + "/../bench.txt").read()
        index = object.__new__(n_grams.NGramsDecontIndexer)
        index.config, index.tokenizer = config, n_grams.load_word_tokenizer("en")
        index.hash_func = n_grams.create_hash_func(config.hash_config)
        config.find_query_ngrams = True
        numpy.array(index.compute_hashes(grams), dtype=config.hash_config.np_descr).tofile(out + "/index/bench.index.hashes")
        run(read, n_grams.NGramsDecontFilter(index_folder=out + "/index", config=config), write)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("shared", type=pathlib.Path)
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--theirs", type=float, default=12)
    parser.add_argument("--jobs", default="filter,exact,minhash,decontaminate")
    parser.add_argument("--side", choices=["both", "ours", "theirs"], default="both")
    arguments = parser.parse_args()
    texts = []
    for path in sorted((arguments.shared / "data/fineweb_edu").glob("*.parquet")):
        texts += pyarrow.parquet.read_table(path, columns=["text"])["text"].to_pylist()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        ours = write(root / "ours", texts, arguments.megabytes if arguments.side != "theirs" else 0)
        theirs = write(root / "theirs", texts, arguments.theirs if arguments.side != "ours" else 0)
        (root / "bench.jsonl").write_text(json.dumps({"question": QUESTION}) + "\n")
        (root / "bench.txt").write_text(QUESTION)
        (root / "theirs.py").write_text(THEIRS)
        rules = ["--rules", "gopher_repetition", "gopher_quality", "c4", "fineweb"]
        jobs = {
            "filter": ["filter", str(root / "ours"), *rules],
            "exact": ["dedup", str(root / "ours")],
            "minhash": ["dedup", str(root / "ours"), "--method", "minhash"],
            "decontaminate": ["decontaminate", str(root / "ours"), "--against", str(root / "bench.jsonl")],
        }
        print(f"{ours / 1e6:.0f} MB for ratdata, {theirs / 1e6:.0f} MB for datatrove; two threads, two processes")
        for job in arguments.jobs.split(","):
            sides = {
                "ours": (ours, [arguments.program, *jobs[job], "--num-proc", "2", "--quiet", "--out", str(root / "o")]),
                "theirs": (theirs, [sys.executable, str(root / "theirs.py"), job, str(root / "theirs"), str(root / "t")]),
            }
            rates = []
            for side, (size, command) in sides.items():
                if arguments.side in (side, "both"):
                    seconds, worked, memory = timed(command)
                    shutil.rmtree(command[-1])
                    rate, by_work = size / 1e6 / seconds, size / 1e6 / worked
                    rates.append((rate, by_work))
                    program = {"ours": "ratdata", "theirs": "datatrove"}[side]
                    print(
                        f"{job:14} {program:10} {rate:8.2f} MB/s, {by_work:8.2f} MB a second of a processor, "
                        f"{seconds:7.1f} s, {memory:6.0f} MB of memory",
                        flush=True,
                    )
            if len(rates) == 2:
                (rate, by_work), (their_rate, their_by_work) = rates
                print(f"{job:14} {rate / their_rate:.1f} times, {by_work / their_by_work:.1f} times by processor time", flush=True)


if __name__ == "__main__":
    main()
