#!/usr/bin/env python3
"""Runs `ratdata dedup` on millions of synthetic documents, and prints time, peak memory and disk.

    scripts/bench_dedup_memory.py target/release/ratdata --documents 3000000

Every tenth document is a copy of an earlier one, and every twentieth a copy with one word exchanged. The script
ends with status 1 if exact deduplication leaves out another number than were copied.
"""

import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

FILES = 8
WORDS = [f"{a}{b}{c}" for a in "bdfghklmnprst" for b in "aeiou" for c in ("n", "r", "s", "lt", "mp", "ck", "x")]


def write(folder: pathlib.Path, documents: int, words: int) -> int:
    """Writes the documents; returns how many are exact copies."""
    folder.mkdir()
    draw = random.Random(3)
    copies, kept = 0, []
    for number in range(FILES):
        with open(folder / f"{number}.jsonl", "w") as file:
            for at in range(documents // FILES):
                if at % 10 == 9 and kept:
                    text = draw.choice(kept)
                    copies += 1
                elif at % 20 == 4 and kept:
                    parts = draw.choice(kept).split(" ")
                    parts[draw.randrange(words)] = f"w{number}x{at}".translate(str.maketrans("0123456789", "abcdefghij"))
                    text = " ".join(parts)
                else:
                    text = " ".join(draw.choices(WORDS, k=words))
                    if at % 50 == 0:
                        kept.append(text)
                file.write(json.dumps({"text": text}) + "\n")
    return copies


def size(folder: pathlib.Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            pass
    return total


def run(command: list[str], out: pathlib.Path) -> tuple[float, float, float, dict]:
    """Returns seconds, peak megabytes of memory and of disk, and the summary."""
    disk, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            disk[0] = max(disk[0], size(out / ".job"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.monotonic()
    timed = ["/usr/bin/time", "-f", "%M", *command] if shutil.which("/usr/bin/time") else command
    process = subprocess.run(timed, capture_output=True, text=True)
    seconds = time.monotonic() - begun
    done.set()
    watcher.join()
    if process.returncode:
        sys.exit(process.stderr)
    memory = float(process.stderr.split()[-1]) / 1024 if timed is not command else float("nan")
    return seconds, memory, disk[0] / 1e6, json.loads(process.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--documents", type=int, default=3_000_000)
    parser.add_argument("--words", type=int, default=60)
    parser.add_argument("--memory", default="256MB")
    arguments = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        copies = write(root / "d", arguments.documents, arguments.words)
        print(f"{arguments.documents:,} documents, {size(root / 'd') / 1e6:,.0f} MB, {copies:,} exact copies")
        for method in ("exact", "minhash"):
            out = root / method
            command = [arguments.program, "dedup", str(root / "d"), "--method", method, "--out", str(out)]
            command += ["--memory", arguments.memory, "--num-proc", "2", "--quiet", "--json"]
            seconds, memory, disk, summary = run(command, out)
            left_out = summary["rows"] - summary["kept"]
            wrong += method == "exact" and left_out != copies
            print(
                f"{method:8} {seconds:7.1f} s, {arguments.documents / seconds:10,.0f} documents/s, "
                f"{memory:6.0f} MB of memory, {disk:8,.0f} MB in .job, {left_out:,} left out"
            )
            shutil.rmtree(out)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
