#!/usr/bin/env python3
"""Checks the Jobs that `ratdata run --executor kubernetes` writes, and that they make what a local run makes.

usage: check_kubernetes.py --program target/debug/ratdata [--venv DIR]

Every Job is checked against the schema of Kubernetes, which the package kubernetes-validate has, strictly. Then the script
that applies them runs with a `kubectl` that runs each task of a Job as a process, with the variable that Kubernetes gives to
a task of an indexed Job. The store must have the bytes of a local run's.

Without `--venv` a venv is made in the program's folder. Where that cannot be done, one line says so, and the exit status is 0.
"""

import argparse
import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile

from venv_of_check import Skipped, enter_venv, venv_options

PACKAGES = ["kubernetes-validate", "pyyaml"]
PIPELINE = """
[executor.kubernetes]
image = "ratdata:test"
namespace = "data"
cpus = 1
mem = "1Gi"
array = 3
volumes = ["corpora:/corpora"]
secret = "bucket"

[executor.kubernetes.kinds.pack]
cpus = 2

[steps.tokens]
kind = "tokenize"
tokenizer = "sample/tokenizer"
input = "sample/corpus"
name = "t"

[steps.packed]
kind = "pack"
input = "@tokens"
seq_len = 128
"""
# Runs each task of a Job as a process, one after the other, and says afterwards that it is complete.
KUBECTL = """#!{python}
import json, os, pathlib, subprocess, sys, yaml
words = [word for word in sys.argv[1:] if not word.startswith("--namespace")]
state = pathlib.Path(os.environ["STATE"])
if words[0] == "get":
    print((state / words[2]).read_text())
    sys.exit()
job = yaml.safe_load(pathlib.Path(words[2]).read_text())
[container] = job["spec"]["template"]["spec"]["containers"]
count = job["spec"].get("completions", 1)
ended = "Complete"
for number in range(count):
    variables = dict(os.environ)
    if job["spec"].get("completionMode") == "Indexed":
        variables["JOB_COMPLETION_INDEX"] = str(number)
    command = [os.environ["PROGRAM"], *container["command"][1:]]
    if subprocess.run(command, env=variables, cwd=container["workingDir"]).returncode != 0:
        ended = "Failed"
(state / job["metadata"]["name"]).write_text(ended)
"""


def say(text):
    print(f"check_kubernetes: {text}", flush=True)


def fail(text):
    sys.exit(f"check_kubernetes: {text}")


def results(store):
    """Returns the bytes of all results in a store by their paths there."""
    files = [path for path in store.rglob("*") if path.is_file()]
    named = {str(path.relative_to(store)): path for path in files}
    kept = {name: path for name, path in named.items() if not name.startswith((".", "runs/")) and not name.endswith(".ratdata-lock")}
    return {name: path.read_bytes() for name, path in kept.items()}


def check(program, work):
    import kubernetes_validate
    import yaml

    def run(*words, status=0, **environment):
        variables = dict(os.environ, HF_HUB_OFFLINE="1", PROGRAM=str(program), **environment)
        done = subprocess.run(list(map(str, words)), cwd=work, env=variables, capture_output=True, text=True)
        if done.returncode != status:
            fail(f"{words}: status {done.returncode}, expected {status}:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
        return done

    run(program, "sample", "--out", "sample", "--quiet")
    (work / "pipeline.toml").write_text(PIPELINE)
    run(program, "run", "pipeline.toml", "--store", "local", "--quiet")
    def submit():
        """Returns what the program has written, which stands between two events of the run."""
        done = run(program, "run", "pipeline.toml", "--executor", "kubernetes", "--store", "jobs", "--json")
        return next(line for line in map(json.loads, done.stdout.splitlines()) if "jobs" in line)

    written = submit()
    jobs = [yaml.safe_load(pathlib.Path(work / path).read_text()) for path in written["jobs"]]
    version = kubernetes_validate.latest_version()
    for job in jobs:
        kubernetes_validate.validate(job, version, strict=True)
    modes = [(job["spec"].get("completionMode"), job["spec"].get("completions")) for job in jobs]
    if modes != [("Indexed", 3), (None, None), (None, None)]:
        fail(f"expected an indexed Job of 3 tasks, one that joins them, and one that packs: found {modes}")
    say(f"{len(jobs)} Jobs, as the schema of Kubernetes {version} has them")
    folder, state = work / "bin", work / "state"
    folder.mkdir()
    state.mkdir()
    kubectl = folder / "kubectl"
    kubectl.write_text(KUBECTL.replace("{python}", sys.executable))
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    run("sh", written["script"], PATH=f"{folder}:{os.environ['PATH']}", STATE=str(state), RATDATA_POLL="0")
    local, applied = results(work / "local"), results(work / "jobs")
    if not local or local != applied:
        fail(f"the Jobs made other results: {sorted(applied)}, expected {sorted(local)}")
    say(f"{len(local)} files of the store are those of a local run")
    again = submit()
    if again["jobs"]:
        fail(f"what is done has Jobs again: {again['jobs']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--program", type=lambda text: pathlib.Path(text).absolute(), required=True)
    venv_options(parser)
    args = parser.parse_args()
    try:
        enter_venv(args, "kubernetes-venv", "kubernetes_validate, yaml", PACKAGES)
    except Skipped as skipped:
        say(f"skipped: {skipped}")
        return
    with tempfile.TemporaryDirectory() as folder:
        check(args.program, pathlib.Path(folder).resolve())


if __name__ == "__main__":
    main()
