#!/usr/bin/env python3
"""Runs the real lm-evaluation-harness against `ratdata serve`, and compares its numbers with full forward passes.

usage: check_harness.py --program target/debug/ratdata [--venv DIR] [--kit DIR] [--run RUN]

A tiny model is trained on the demo's corpus (or RUN is taken) and served. lm_eval runs four kinds of tasks: choices,
log-likelihoods, generated text, and whole texts, with 1 and 8 prompts a request, as ids and as texts. Every
log-likelihood and every "is greedy" must equal that of a full forward pass over the same ids, within 1e-4; 1 and 8 prompts
a request must give the same numbers and texts. The tasks are small ones of this script; with a kit (`--kit` or
RATDATA_HARNESS_KIT: folders `tasks` and `data`) also those of the kit, and RULER's `niah_single_1` at 512 tokens.

Needs the programs `ratdata`, `ratdata-train` and `examples/full_forward` of one build. The venv has lm_eval 0.4.13, and
for RULER wonderwords, nltk and transformers; without `--venv` one is made in the program's folder. Where that cannot be
done, one line says so, and the exit status is 0.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from venv_of_check import Skipped, venv_python

PACKAGES = ["lm_eval==0.4.13", "requests", "aiohttp", "tenacity", "wonderwords", "nltk", "transformers"]
KINDS = ["choice", "ll", "gen", "roll"]
TOLERANCE = 1e-4
# Longer than the harness's prompts: RULER's 512 tokens and 128 new ones.
SEQ_LEN = 768
EOS = 2


def say(text):
    print(f"check_harness: {text}", flush=True)


class Harness:
    """A served model, and what runs against it."""

    def __init__(self, args, work):
        self.program = args.program.resolve()
        self.work = work
        self.run_folder = args.run.resolve() if args.run else self.train()
        self.kit = args.kit
        self.tasks = work / "tasks"
        self.write_tasks()

    def ratdata(self, *arguments):
        subprocess.run([self.program, *map(str, arguments), "--quiet"], cwd=self.work, check=True, stdout=subprocess.DEVNULL)

    def train(self):
        if not self.program.with_name("ratdata-train").exists():
            raise Skipped("ratdata-train is not in the folder of ratdata")
        self.ratdata("sample", "--out", "demo")
        self.ratdata("tokenize", "--tokenizer", "demo/tokenizer", "--input", "demo/corpus", "--out", "tokens", "--name", "demo")
        sets = ["model.vocab_size=1024", f"model.seq_len={SEQ_LEN}", "training.iterations=20", "training.global_batch=4",
                "training.micro_batch=4"]
        self.ratdata("train", "demo", "--data", "tokens", "--out", "run", "--device", "cpu", *[word for s in sets for word in ("--set", s)])
        return self.work / "run"

    def write_tasks(self):
        self.tasks.mkdir()
        own_tasks(self.tasks)
        self.names = [f"own_{kind}" for kind in KINDS]
        if self.kit:
            self.names += [f"kit_{kind}" for kind in KINDS]
            for task in sorted((self.kit / "tasks").glob("*.yaml")):
                text = task.read_text().replace("@DATA@", str((self.kit / "data").resolve()))
                (self.tasks / task.name).write_text(text)

    def serve(self):
        command = [self.program, "serve", self.run_folder, "--port", "0", "--device", "cpu", "--json"]
        self.server = subprocess.Popen(command, cwd=self.work, stdout=subprocess.PIPE, text=True)
        line = self.server.stdout.readline()
        if not line:
            sys.exit("check_harness: the server did not start")
        self.url = json.loads(line)["url"]

    def post(self, path, body):
        import urllib.request

        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=300) as reply:
            return json.load(reply)

    def encode(self, text):
        return self.post("/tokenize", {"prompt": text, "add_special_tokens": False})["tokens"]

    def evaluate(self, python, tasks, batch, as_ids, more=()):
        """Runs lm_eval, and returns its samples by task."""
        out = self.work / f"out-{batch}-{'ids' if as_ids else 'text'}-{tasks[0]}"
        model = [f"model=ratdata,base_url={self.url}/v1/completions,max_length={SEQ_LEN}", f"custom_prefix_token_id={EOS}",
                 f"tokenized_requests={as_ids}"]
        environment = dict(os.environ, HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_OFFLINE="1",
                           TOKENIZERS_PARALLELISM="false", HF_HOME=str(self.work / "hf"))
        command = [python, "-m", "lm_eval", "run", "--model", "local-completions", "--model_args", ",".join(model), "--include_path",
                   self.tasks, "--tasks", ",".join(tasks), "--batch_size", str(batch), "--output_path", out, "--log_samples", *more]
        begun = time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=self.work)
        if done.returncode != 0:
            sys.exit(f"check_harness: lm_eval failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        samples = {}
        for task in tasks:
            [path] = out.rglob(f"samples_{task}_*.jsonl")
            samples[task] = [json.loads(line) for line in path.read_text().splitlines()]
        say(f"{', '.join(tasks)}: {batch} prompts a request, as {'ids' if as_ids else 'texts'}: {time.monotonic() - begun:.0f} s")
        return samples

    def full_forward(self, sequences):
        """Returns the log-probabilities of each sequence's ids, and the highest ones."""
        program = self.program.parent / "examples" / "full_forward"
        if not program.exists():
            raise Skipped(f"{program} was not built: cargo build -p ratdata-train --example full_forward")
        lines = "".join(json.dumps(ids) + "\n" for ids in sequences)
        done = subprocess.run([program, self.run_folder], input=lines, capture_output=True, text=True, check=True)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return [(row["token_logprobs"], row["best"]) for row in rows]


def own_tasks(folder):
    """Writes tasks of the four kinds."""
    rows = [
        {"question": f"It was a {word} day and", "choices": [" the rain fell", " nobody came home", " so"], "gold": i % 3,
         "answer": "the rain fell on the town", "text": f"The {word} rain fell on the town. Nobody came, and it was a long day. " * (i % 3 + 1)}
        for i, word in enumerate(["long", "short", "wet", "dry", "new", "old", "warm", "cold", "quiet"])
    ]
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    head = f"dataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {data}\ntest_split: test\nmetadata:\n  version: 1.0\n"
    metric = "metric_list:\n  - metric: {}\n"
    kinds = {
        "own_choice": 'output_type: multiple_choice\ndoc_to_text: "{{question}}"\ndoc_to_choice: choices\ndoc_to_target: gold\n' + metric.format("acc"),
        "own_ll": "output_type: loglikelihood\ndoc_to_text: \"{{question}}\"\ndoc_to_target: \"{{' '+answer}}\"\n" + metric.format("acc"),
        "own_gen": 'output_type: generate_until\ndoc_to_text: "{{question}}"\ndoc_to_target: "{{answer}}"\n'
                   'generation_kwargs:\n  until: ["."]\n  max_gen_toks: 12\n  do_sample: false\n  temperature: 0.0\n' + metric.format("exact_match"),
        "own_roll": 'output_type: loglikelihood_rolling\ndoc_to_text: ""\ndoc_to_target: "{{text}}"\n' + metric.format("byte_perplexity"),
    }
    for task, text in kinds.items():
        (folder / f"{task}.yaml").write_text(f"task: {task}\n{head}{text}")


def sequence_of(harness, context, continuation, as_ids):
    """Returns ids and where the continuation begins in them, as the harness computes both."""
    spaces = len(context) - len(context.rstrip())
    if spaces:
        context, continuation = context[:-spaces], context[-spaces:] + continuation
    if context:
        ids, begin = harness.encode(context + continuation), len(harness.encode(context))
    else:
        ids, begin = [EOS, *harness.encode(continuation)], 1
    # In place of ids the harness sends their text, which may have other ids; it relies on there being as many.
    return (ids if as_ids else harness.encode(harness.post("/detokenize", {"tokens": ids})["prompt"])), begin


def numbers(samples):
    """Returns what the model said of each sample."""
    return {task: [row["filtered_resps"] if task.endswith("gen") else row["resps"] for row in sorted(rows, key=lambda row: row["doc_id"])]
            for task, rows in samples.items()}


def compare(harness, samples, as_ids):
    """Compares the log-likelihoods of samples with full forward passes; returns how many there are and the largest error."""
    expected = []
    for task, rows in samples.items():
        for row in rows:
            if task.endswith("gen"):
                continue
            for number, response in enumerate(row["resps"]):
                arguments = row["arguments"][f"gen_args_{number}"]
                response = response[0]
                if task.endswith("roll"):
                    found, greedy = (response[0] if isinstance(response, list) else response), None
                    ids, begin = sequence_of(harness, "", arguments["arg_0"], as_ids)
                else:
                    found, greedy = response
                    ids, begin = sequence_of(harness, arguments["arg_0"], arguments["arg_1"], as_ids)
                expected.append((task, ids, begin, float(found), greedy))
    worst = 0.0
    for (task, ids, begin, found, greedy), (own, best) in zip(expected, harness.full_forward([row[1] for row in expected]), strict=True):
        total = sum(own[begin:])
        error = abs(total - found)
        worst = max(worst, error)
        # Not a number is no small error.
        if not error <= TOLERANCE:
            sys.exit(f"check_harness: {task}: the harness has {found}, a full forward pass {total}: ids {ids}, from {begin} on")
        closest = min((b - o for o, b in zip(own[begin:], best[begin:], strict=True) if o != b), default=1.0)
        if greedy is not None and closest > TOLERANCE and str(greedy) != str(own[begin:] == best[begin:]):
            sys.exit(f"check_harness: {task}: is greedy: the harness has {greedy}: ids {ids}")
    return len(expected), worst


def absolute(text):
    """Returns a path that means the same in every folder: the programs run in folders of their own."""
    return pathlib.Path(text).absolute()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--program", type=absolute, required=True, help="the program `ratdata`")
    parser.add_argument("--venv", type=absolute, help="a venv with lm_eval")
    parser.add_argument("--kit", type=absolute, default=os.environ.get("RATDATA_HARNESS_KIT") or None, help="a folder with tasks and data")
    parser.add_argument("--run", type=absolute, help="a run to serve, with sequences of 768 tokens or more")
    args = parser.parse_args()
    try:
        python = venv_python(args, "harness-venv", "lm_eval, requests, aiohttp, tenacity", PACKAGES, seconds=900)
        with tempfile.TemporaryDirectory() as work:
            check(args, python, pathlib.Path(work))
    except Skipped as missing:
        say(f"skipped: {missing}")


def check(args, python, work):
    harness = Harness(args, work)
    harness.serve()
    try:
        said = []
        for as_ids in (True, False):
            for batch in (1, 8):
                samples = harness.evaluate(python, harness.names, batch, as_ids)
                count, worst = compare(harness, samples, as_ids)
                say(f"{count} log-likelihoods equal those of a full forward pass, within {worst:.1e}")
                said.append(numbers(samples))
        # What is sent decides the answer, and nothing else does.
        if said[0] != said[1] or said[2] != said[3]:
            sys.exit("check_harness: 8 prompts a request give other numbers than 1")
        if args.kit:
            ruler(harness, python)
    finally:
        harness.server.terminate()
        if harness.server.wait(timeout=60) != 0:
            sys.exit("check_harness: the server did not end well")
    say("all equal")


def ruler(harness, python):
    """Runs a task of RULER, whose prompts have 512 tokens."""
    if subprocess.run([python, "-c", "import wonderwords, nltk, transformers"], capture_output=True).returncode != 0:
        say("niah_single_1 is skipped: the venv has no wonderwords, nltk or transformers")
        return
    tokenizer = harness.work / "demo" / "tokenizer"
    metadata = json.dumps({"max_seq_lengths": [512], "tokenizer": str(tokenizer)})
    samples = harness.evaluate(python, ["niah_single_1"], 8, True, ["--metadata", metadata, "--limit", "16"])
    rows = samples["niah_single_1"]
    say(f"niah_single_1: {len(rows)} answers, such as {rows[0]['resps'][0][0][:40]!r}")
    ruler_by_eval(harness, python, rows)


def ruler_by_eval(harness, python, expected):
    """Runs the same task by `ratdata eval`, whose rows must be the same."""
    begun = time.monotonic()
    out = harness.work / "ruler"
    command = [harness.program, "eval", harness.run_folder, "--harness", "lm-eval", "--tasks", "niah_single_1", "--ruler-lengths", "512",
               "--limit", str(len(expected)), "--python", python, "--device", "cpu", "--out", out, "--quiet"]
    environment = dict(os.environ, HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_HOME=str(harness.work / "hf"))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=harness.work)
    if done.returncode != 0:
        sys.exit(f"check_harness: ratdata eval failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    [score] = [row for row in json.loads((out / "scores.json").read_text())["scores"] if row["metric"] == "512"]
    rows = [json.loads(line) for line in (out / "samples_niah_single_1.jsonl").read_text().splitlines()]
    answers = [[row["resps"] for row in sorted(rows, key=lambda row: row["doc_id"])] for rows in (rows, expected)]
    if answers[0] != answers[1]:
        sys.exit("check_harness: ratdata eval has other answers of niah_single_1 than lm_eval by itself")
    say(f"niah_single_1 by ratdata eval: {score['rows']} rows, score {score['value']}: {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
