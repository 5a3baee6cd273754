"""Rounds of measurements: every program once, in turn, each in a process of its own."""

import array
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from .material import without_template

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LEVELS = ("plain", "avx2", "avx512", "neon")
SLOW = 8.0
"""A peer below so many megabytes a second gets one round, and a share of the text."""


class Failed(Exception):
    """A program that ended with an error."""


def environment(threads, level=None):
    said = {"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false"}
    said |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(threads)}
    return {**os.environ, **said, **({"RATDATA_CPU": level} if level else {})}


def call(command, environment, limit=900):
    """Runs a program; returns its output, its wall time, and its processor time."""
    begun = time.perf_counter()
    usage = os.times()
    try:
        done = subprocess.run(command, capture_output=True, env=environment, timeout=limit)
    except subprocess.TimeoutExpired:
        raise Failed(f"it took longer than {limit} s") from None
    wall, after = time.perf_counter() - begun, os.times()
    processor = after.children_user + after.children_system - usage.children_user - usage.children_system
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise Failed(said[-1][:200] if said else f"status {done.returncode}")
    return done.stdout, {"wall": wall, "processor": processor}


class Bench:
    """The texts, and how each program is called."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.text = options.text
        self.sample = folder / "sample.txt"
        self.share = folder / "share.txt"
        self.parquet = [folder / "text.parquet"]

    def program(self, name):
        return self.options.python.get(name, sys.executable)

    def ours(self, name):
        return self.options.target / name

    def ids(self, program, path):
        """Returns the ids of each document of the sample."""
        if program == "ratdata":
            command = [self.ours("examples/encode_bench"), "ids", path, self.sample]
            raw = array.array("I", call(command, environment(1))[0])
        else:
            out = self.folder / "ids"
            job = {"kind": "ids", "peer": program, "threads": 1, "text": str(self.sample), "out": str(out)}
            self.peer(job, path)
            raw = array.array("I", out.read_bytes())
        documents, at = [], 0
        while at < len(raw):
            documents.append(raw[at + 1 : at + 1 + raw[at]])
            at += 1 + raw[at]
        return documents

    def peer(self, job, path):
        plain = without_template(path, self.folder / "plain" / path.parent.name)
        said = json.dumps({**job, "tokenizer": str(plain)})
        command = [self.program(job["peer"]), str(HERE / "peers.py"), said]
        return call(command, environment(job["threads"]))

    def time(self, program, level, path, threads, slow):
        """Times loading, the head and the warm text."""
        head = str(self.options.head * 1_000_000)
        text, runs = (self.share, 1) if slow else (self.text, self.options.passes)
        if program == "ratdata":
            command = [self.ours("examples/encode_bench"), "time", path, str(threads), str(runs), head, text]
            return json.loads(call(command, environment(threads, level))[0])
        job = {"kind": "time", "peer": program, "threads": threads, "runs": runs, "head": int(head)}
        return json.loads(self.peer({**job, "text": str(text)}, path)[0])

    def job(self, program, level, path, threads, eos):
        """Times Parquet to bins on disk."""
        out = self.folder / "out"
        subprocess.run(["rm", "-rf", out], check=True)
        os.sync()  # what the program before has left to be written is not this one's to wait for
        if program == "ratdata":
            command = [self.ours("ratdata"), "tokenize", "--quiet", "--num-proc", str(threads), "--out", out]
            command += ["--tokenizer", path, "--input", self.parquet[0].parent, *(["--eos", eos] if eos else [])]
            return call(command, environment(threads, level))[1]
        dtype = "uint16" if self.options.width == 2 else "uint32"
        job = {"kind": "job", "peer": program, "threads": threads, "out": str(out), "dtype": dtype}
        return json.loads(self.peer({**job, "parquet": [str(path) for path in self.parquet]}, path)[0])["job"]


def agreement(bench, path, peers):
    """Compares ids with the oracle's; returns a verdict for each program: `None` where all are equal."""
    oracle = "sentencepiece" if path.suffix == ".model" else "tokenizers"
    expected = bench.ids(oracle, path)
    verdicts = {}
    for program in ["ratdata", *peers]:
        try:
            found = bench.ids(program, path)
        except Failed as failed:
            verdicts[program] = f"cannot run it: {failed}"
            continue
        wrong = sum(one != other for one, other in zip(found, expected))
        if len(found) != len(expected):
            verdicts[program] = f"{len(found)} documents of {len(expected)}"
        else:
            verdicts[program] = f"ids of {wrong} of {len(expected)} documents differ" if wrong else None
    return verdicts


def levels_of_machine():
    """Returns the levels that this machine has."""
    flags = set(Path("/proc/cpuinfo").read_text().split()) if Path("/proc/cpuinfo").exists() else set()
    has = {
        "plain": True,
        "avx2": {"avx2", "bmi2"} <= flags,
        "avx512": {"avx512vbmi", "avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags,
        "neon": bool({"asimd", "neon"} & flags),
    }
    return [level for level in LEVELS if has[level]]


def installed(bench, peers):
    """Tells the peers that can be imported from those that cannot, and the version of each."""
    there, missing = {}, {}
    for peer in peers:
        code = f"import importlib.metadata as m; print(m.version({peer!r}))"
        try:
            there[peer] = call([bench.program(peer), "-c", code], environment(1))[0].decode().strip()
        except Failed as failed:
            missing[peer] = str(failed)
    return there, missing

