#!/usr/bin/env python3
"""Feeds the metrics of a training run to the installed `wandb`.

usage: wandb_bridge.py RUN [--mode offline|online] [--follow] [--offset BYTES]

RUN is the folder of a training run. Its `metrics.jsonl` becomes a run of Weights & Biases under RUN/wandb, with the names
of the RAT reference: train_loss, val_loss, val_ppl, lr and fwd+bwd (seconds an iteration) against `step`, and at the end
result_loss and result_metric, the last validation loss and its perplexity. The project is WANDB_PROJECT, or `ratdata`.

The trainer starts this program with `--follow`, where an experiment has `training.wandb`: it prints `ready`, reads what is
added to the file behind the first BYTES, and ends when its stdin ends, which may say the result. A run that was resumed has the same id, which is
kept in RUN/wandb/id, so `wandb sync` joins its parts.
"""

import argparse
import json
import os
import pathlib
import signal
import sys
import threading
import uuid


def run_id(folder):
    """Returns the id of the run, which is made once."""
    path = folder / "id"
    if not path.exists():
        path.write_text(uuid.uuid4().hex[:8])
    return path.read_text().strip()


def named(line, before):
    """Returns what a line of metrics says under the reference's names."""
    found = {"step": line["iteration"]}
    for name, key in [("train_loss", "loss"), ("val_loss", "val_loss"), ("val_ppl", "val_perplexity"), ("lr", "lr")]:
        if line.get(key) is not None:
            found[name] = line[key]
    speed = line.get("tokens_per_second")
    iterations = line["iteration"] - before.get("iteration", 0)
    if speed and iterations > 0:
        found["fwd+bwd"] = (line["tokens"] - before.get("tokens", 0)) / iterations / speed
    return found


def lines_of(path, offset, ended):
    """Yields the whole lines behind an offset, until `ended` is set and all are read."""
    rest = b""
    while True:
        was_ended = ended.is_set()
        if path.exists():
            with path.open("rb") as file:
                file.seek(offset)
                new = file.read()
            offset += len(new)
            *whole, rest = (rest + new).split(b"\n")
            yield from (json.loads(line) for line in whole if line)
        if was_ended:
            return
        ended.wait(0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--mode", choices=["offline", "online"], default="offline")
    parser.add_argument("--follow", action="store_true")
    parser.add_argument("--offset", type=int, default=0)
    args = parser.parse_args()
    try:
        import wandb
    except ImportError:
        sys.exit("this Python has no wandb")
    # Ctrl-C is for the trainer, which closes stdin when it has kept a checkpoint.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    folder = args.run / "wandb"
    folder.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(silent=True, console="off")
    project, name = os.environ.get("WANDB_PROJECT", "ratdata"), args.run.resolve().name
    run = wandb.init(project=project, name=name, id=run_id(folder), dir=str(args.run), mode=args.mode,
                     resume="allow" if args.mode == "online" else None, settings=settings)
    run.define_metric("step")
    run.define_metric("*", step_metric="step")
    ended, told = threading.Event(), []
    if args.follow:
        print("ready", flush=True)
        threading.Thread(target=lambda: (told.append(sys.stdin.read()), ended.set()), daemon=True).start()
    else:
        ended.set()
    before, last = {}, {}
    for line in lines_of(args.run / "metrics.jsonl", args.offset, ended):
        run.log(named(line, before))
        if line.get("loss") is not None:
            before = line
        if line.get("val_loss") is not None:
            last = line
    if told and told[0].strip():
        last = json.loads(told[0])
    if last:
        run.summary["result_loss"] = last["val_loss"]
        run.summary["result_metric"] = last["val_perplexity"]
    run.finish()


if __name__ == "__main__":
    main()
