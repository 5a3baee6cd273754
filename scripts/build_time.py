#!/usr/bin/env python3
"""Measures what a newcomer and CI wait for, on a fresh clone of HEAD with an empty target folder.

    scripts/build_time.py demo             # `cargo run --release -- demo`: time, processor time, program sizes
    scripts/build_time.py ci               # `.ci/run`: time, processor time
    scripts/build_time.py crates [--top N] # `cargo build --release --timings`: the slowest crates, as a table

The crates are downloaded before the clock starts. Run it with nothing else running; docs/design/build-time.md
has the figures.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=["demo", "ci", "crates"])
    options.add_argument("--top", type=int, default=30, help="how many crates the table has")
    options.add_argument("--log", type=Path, help="where the build's output goes (default: nowhere)")
    given = options.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        clone = fresh_clone(Path(folder))
        commands = {
            "demo": ["cargo", "run", "--release", "--", "demo", "--quiet"],
            "ci": ["bash", ".ci/run"],
            "crates": ["cargo", "build", "--release", "--locked", "--timings"],
        }
        status, wall, processor = timed(commands[given.what], clone, given.log)
        minutes = f"{wall / 60:.1f} min, {processor / 60:.1f} min of processor time, {os.cpu_count()} cores"
        print(f"{' '.join(commands[given.what])}: {minutes}, status {status}")
        print(f"{packages(clone / 'Cargo.lock')} crates in Cargo.lock")
        for name in ["ratdata", "ratdata-train"]:
            program = clone / "target/release" / name
            if program.is_file():
                print(f"{name}: {program.stat().st_size / 1e6:.1f} MB")
        if given.what == "crates":
            print(table(clone / "target/cargo-timings/cargo-timing.html", given.top))
        sys.exit(status)


def fresh_clone(folder):
    """Clones HEAD, next to what the tests find next to the project, and downloads its crates."""
    clone = folder / "ratdata"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    shared = ROOT.parent / "shared"
    if shared.is_dir():
        (folder / "shared").symlink_to(shared)
    subprocess.run(["cargo", "fetch", "--quiet", "--locked"], cwd=clone, check=True)
    return clone


def timed(command, folder, log):
    """Runs a command; returns its status, seconds, and seconds of processor time with all its children."""
    environment = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    with open(log or os.devnull, "wb") as output:
        status = subprocess.run(command, cwd=folder, env=environment, stdout=output, stderr=output).returncode
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return status, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def packages(lock):
    return sum(line == "[[package]]" for line in lock.read_text().splitlines())


def table(report, top):
    """Reads the units of Cargo's report; returns the slowest crates with all their units added up."""
    units = json.loads(re.search(r"const UNIT_DATA = (\[.*?\]);\n", report.read_text(), re.S)[1])
    seconds = {}
    for unit in units:
        crate = f"{unit['name']} {unit['version']}"
        seconds[crate] = seconds.get(crate, 0.0) + unit["duration"]
    rows = sorted(seconds.items(), key=lambda row: -row[1])[:top]
    lines = [f"{len(seconds)} crates, {sum(seconds.values()):.0f} s in all", "", "| crate | s |", "|---|---|"]
    return "\n".join(lines + [f"| {crate} | {spent:.1f} |" for crate, spent in rows])


if __name__ == "__main__":
    main()
