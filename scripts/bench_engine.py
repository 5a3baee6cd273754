#!/usr/bin/env python3
"""Times the engine and its peers on the same text, in turn, and prints one table with ratios.

    python3 -m venv venv
    venv/bin/pip install gigatoken tokie splintr-rs iree-tokenizer kitoken fastokens tokenizers sentencepiece tiktoken pyarrow protobuf
    python3 -m venv cachefix && cachefix/bin/pip install gigatoken-cachefix pyarrow    # it has gigatoken's module
    cargo build --release -p ratdata -p ratdata-tokenize --bins --examples

    venv/bin/python scripts/bench_engine.py text --out mix.txt FOLDER=8 FILE.parquet=12     # MB of each
    venv/bin/python scripts/bench_engine.py train --text mix.txt --out trained              # Unigram and WordPiece
    venv/bin/python scripts/bench_engine.py time --text mix.txt --python gigatoken-cachefix=cachefix/bin/python \\
        --results results.json gpt2=gpt2/tokenizer.json llama2=llama/tokenizer.json
    venv/bin/python scripts/bench_engine.py table --results results.json
    venv/bin/python scripts/bench_engine.py hard gpt2=gpt2/tokenizer.json                   # hard texts

`time` first compares the ids of a sample with those of `tokenizers` (of SentencePiece for a `.model`). A program
whose ids differ, or that cannot run the tokenizer, is named and not timed. Then every program runs once a round,
in turn, each time in a process of its own; the table has medians over all rounds in the results file, to which
each call adds. Rates are MB of text a second: of processor time for one thread, of wall time for all threads.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from bench_engine import hard, material, rounds
from bench_engine.peers import PEERS, documents
from bench_engine.table import table

ROOT = Path(__file__).resolve().parent.parent


def pair(text):
    name, _, value = text.partition("=")
    if not value:
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=VALUE")
    return name, value


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    text = commands.add_parser("text", help="make a mixed text")
    text.add_argument("sources", nargs="+", type=pair, help="a folder, file or Parquet file, and how many MB of it")
    text.add_argument("--out", type=Path, required=True)

    train = commands.add_parser("train", help="train a Unigram and a WordPiece tokenizer")
    train.add_argument("--text", type=Path, required=True)
    train.add_argument("--out", type=Path, required=True)

    time = commands.add_parser("time", help="run rounds, and add them to the results")
    time.add_argument("tokenizers", nargs="+", type=pair, help="NAME=FILE")
    time.add_argument("--text", type=Path, required=True)
    time.add_argument("--results", type=Path, required=True)
    time.add_argument("--peers", default=",".join(PEERS), help="the peers, with commas between them")
    time.add_argument("--python", type=pair, action="append", default=[], help="PEER=PYTHON, where it has its own")
    time.add_argument("--levels", default=",".join(rounds.levels_of_machine()), help="our levels")
    time.add_argument("--rounds", type=int, default=3)
    time.add_argument("--passes", type=int, default=3, help="warm passes in a process; their median is one figure")
    time.add_argument("--threads", type=int, default=os.cpu_count())
    time.add_argument("--head", type=int, default=20, help="MB of the first, cold pass")
    time.add_argument("--only", default="one,all,job", help="what is timed: one thread, all threads, whole jobs")
    time.add_argument("--eos", type=pair, action="append", default=[], help="NAME=PIECE, for the whole job")
    time.add_argument("--slow", type=float, default=rounds.SLOW, help="peers below so many MB/s are not run again")

    shown = commands.add_parser("table", help="print the table of the results")
    shown.add_argument("--results", type=Path, required=True)
    shown.add_argument("--spread", action="store_true", help="with the least and the most")

    tough = commands.add_parser("hard", help="time hard texts, each one unit or one document")
    tough.add_argument("tokenizers", nargs="+", type=pair)
    tough.add_argument("--sizes", default="1,10,100", help="MB")
    tough.add_argument("--kinds", default=",".join(hard.KINDS))
    for command in (time, tough):
        command.add_argument("--target", type=Path, default=ROOT / "target/release", help="where cargo has built")
    return parser.parse_args()


def main():
    given = options()
    if given.command == "text":
        sources = [(Path(name), float(megabytes)) for name, megabytes in given.sources]
        return given.out.write_text(material.mixed(sources))
    if given.command == "train":
        return material.train(given.text.read_bytes(), given.out)
    if given.command == "table":
        return print(table(json.loads(given.results.read_text()), given.spread))
    with tempfile.TemporaryDirectory() as folder:
        if given.command == "hard":
            return hard.run(given, Path(folder))
        given.python, given.eos = dict(given.python), dict(given.eos)
        timed(given, Path(folder))
        print(table(json.loads(given.results.read_text())))


def timed(given, folder):
    """Runs the rounds, and writes the results after each program."""
    results = {"settings": {}, "missing": {}, "versions": {}, "agreement": {}, "rates": {}}
    if given.results.exists():
        results = json.loads(given.results.read_text())
    bench = rounds.Bench(given, folder)
    parts = documents(given.text.read_bytes())
    every = max(1, len(parts) // 250)
    bench.sample.write_text("".join(parts[::every]))
    bench.share.write_text("".join(parts[:: max(1, len(parts) // 400)]))
    bench.parquet = [folder / "parquet" / "text.parquet"]
    bench.parquet[0].parent.mkdir()
    material.write_parquet(parts, bench.parquet[0])
    results["settings"] = {"head": given.head, "threads": given.threads, "bytes": given.text.stat().st_size}
    results["versions"], results["missing"] = rounds.installed(bench, given.peers.split(","))

    for name, path in given.tokenizers:
        path = Path(path)
        if name not in results["agreement"]:
            results["agreement"][name] = rounds.agreement(bench, path, results["versions"])
        if results["agreement"][name]["ratdata"]:
            sys.exit(f"{name}: ratdata: {results['agreement'][name]['ratdata']}")
        save(given.results, results)
    for number in range(given.rounds):
        for name, path in given.tokenizers:
            print(f"round {number + 1}, {name}", file=sys.stderr)
            exact = [peer for peer in results["versions"] if results["agreement"][name][peer] is None]
            programs = [("ratdata", level) for level in given.levels.split(",")] + [(peer, None) for peer in exact]
            for program, level in programs:
                one_round(given, bench, results, name, Path(path), program, level)
                save(given.results, results)


def save(path, results):
    path.write_text(json.dumps(results, indent=1))


def one_round(given, bench, results, name, path, program, level):
    """Times one program with one tokenizer, and adds its rates."""
    rates = results["rates"].setdefault(name, {}).setdefault(f"{program} {level}" if level else program, {})
    add = lambda column, value: rates.setdefault(column, []).append(value)
    size = bench.text.stat().st_size / 1e6
    bench.options.width = 4 if material.vocabulary_size(path) > 1 << 16 else 2
    slow = rates.get("slow", False)
    if slow and program != "ratdata":
        return
    try:
        if program != "ratdata" and not rates:
            # One look at a share of the text: a slow peer is placed by it alone.
            found = bench.time(program, level, path, 1, True)
            rate = found["bytes"] / 1e6 / found["warm"]["processor"]
            if rate < given.slow:
                rates.update({"slow": True, "load": [found["load"]["processor"] * 1e3], "warm": [rate]})
                return
        if "one" in given.only:
            found = bench.time(program, level, path, 1, False)
            add("load", found["load"]["processor"] * 1e3)
            add("cold", found["head"] / 1e6 / found["cold"]["processor"])
            add("warm", size / found["warm"]["processor"])
        if "all" in given.only:
            found = bench.time(program, level, path, given.threads, False)
            add("warm_all", size / found["warm"]["wall"])
        if "job" in given.only:
            add("job", size / bench.job(program, level, path, given.threads, given.eos.get(name))["wall"])
    except rounds.Failed as failed:
        print(f"{name}, {program}: {failed}", file=sys.stderr)


if __name__ == "__main__":
    main()
