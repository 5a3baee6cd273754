#!/usr/bin/env python3
"""Runs a pipeline on a real Ray of two nodes with `ratdata run --executor ray`, and compares it with a local run.

usage: check_ray.py --program target/debug/ratdata [--venv DIR]

Both nodes are on 127.0.0.1, with two processors each. What is checked:

- the store has the bytes of a local run's, and both nodes had work
- a job that dies with its process is submitted again, and a run that is killed is continued: its jobs are found, what is
  done is not submitted again, and the bytes are the same
- a step that fails is reported with its exit status and its last words; Ctrl-C and `ratdata cancel` stop the jobs

The venv has ray[default] from PyPI; without `--venv` one is made in the program's folder. Where that cannot be done, or no
Ray starts, one line says so, and the exit status is 0.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from venv_of_check import Skipped, enter_venv, venv_options

PACKAGES = ["ray[default]"]
# How long a node, a job or a command may take.
PATIENCE = 120
PIPELINE = """
[executor.ray]
array = 3
setup = ["test -e fast || sleep 4"]

[executor.ray.kinds.pack]
cpus = 2
mem = "100MB"

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
STEPS = """
[steps.bad]
kind = "command"
program = ["sh", "-c", "echo this is broken >&2; exit 3"]

[steps.long]
kind = "command"
program = ["sleep", "100"]
"""


def say(text):
    print(f"check_ray: {text}", flush=True)


def fail(text):
    sys.exit(f"check_ray: {text}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait(what, until, seconds=PATIENCE):
    """Waits for something, and returns it."""
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        found = until()
        if found:
            return found
        time.sleep(0.1)
    fail(f"{what}: not within {seconds} s")


def processes(word):
    """Returns the numbers of the processes with a word on their command line, but for this one."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
        if word.encode() in line and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


class Ray:
    """A cluster of two nodes, which ends with the check."""

    def __init__(self, work):
        self.work, self.nodes = work, []
        # Sockets lie in it, whose paths are short.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        self.port = free_port()
        self.address = f"http://127.0.0.1:{free_port()}"

    def start(self):
        head = ["--head", f"--port={self.port}", "--dashboard-host=127.0.0.1", "--include-dashboard=true",
                f"--dashboard-port={self.address.rsplit(':', 1)[1]}", f"--temp-dir={self.folder}"]
        self.node(*head)
        self.until(lambda: self.ask("/api/version"), "the dashboard does not answer")
        self.node(f"--address=127.0.0.1:{self.port}")
        self.until(lambda: self.count() == 2, "the second node does not join")

    def node(self, *options):
        bounds = ["--num-cpus=2", "--num-gpus=0", "--memory=1000000000", "--object-store-memory=80000000"]
        local = ["--node-ip-address=127.0.0.1", f"--dashboard-agent-listen-port={free_port()}", "--disable-usage-stats", "--block"]
        command = [pathlib.Path(sys.executable).parent / "ray", "start", *options, *bounds, *local]
        environment = dict(os.environ, HF_HUB_OFFLINE="1", RAY_memory_monitor_refresh_ms="0", RAY_AUTH_MODE="disabled")
        log = open(self.folder / f"node-{len(self.nodes)}.txt", "wb")
        self.nodes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True))

    def until(self, is_there, wrong):
        begun = time.monotonic()
        while not is_there():
            if time.monotonic() - begun > PATIENCE or any(node.poll() is not None for node in self.nodes):
                text = (self.folder / f"node-{len(self.nodes) - 1}.txt").read_text(errors="replace")
                raise Skipped(f"Ray: {wrong}: {' '.join(text.split())[-500:]}")
            time.sleep(0.2)

    def ask(self, path):
        try:
            with urllib.request.urlopen(self.address + path, timeout=30) as answer:
                return json.load(answer)
        except OSError:
            return None

    def count(self):
        """Returns how many nodes are alive."""
        nodes = self.ask("/nodes?view=summary")
        summary = nodes["data"]["summary"] if nodes else []
        return sum(node["raylet"].get("state") == "ALIVE" for node in summary)

    def jobs(self):
        """Returns our jobs by their names."""
        jobs = self.ask("/api/jobs/") or []
        return {job["submission_id"]: job for job in jobs if (job["submission_id"] or "").startswith("ratdata-")}

    def stop(self):
        for node in self.nodes:
            node.terminate()
        for node in self.nodes:
            try:
                node.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(node.pid, signal.SIGKILL)
        # What is left of this cluster names its folder.
        for number in processes(str(self.folder)):
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)


class Check:
    """The program, its folder and the cluster."""

    def __init__(self, program, work, ray):
        self.program, self.work, self.ray = program, work, ray

    def command(self, *words):
        variables = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        variables.update(HF_HUB_OFFLINE="1", RAY_API_SERVER_ADDRESS=self.ray.address)
        return {"args": [self.program, *words], "cwd": self.work, "env": variables}

    def run(self, *words, status=0):
        done = subprocess.run(**self.command(*words), capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode != status:
            fail(f"{' '.join(words)}: status {done.returncode}, expected {status}:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
        return done

    def spawn(self, *words):
        return subprocess.Popen(**self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def results(self, store):
        """Returns the bytes of all results in a store by their paths there."""
        root = self.work / store
        files = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
        kept = {name: path for name, path in files.items() if not name.startswith((".", "runs/")) and not name.endswith(".ratdata-lock")}
        return {name: path.read_bytes() for name, path in kept.items()}

    def compare(self, store):
        local, found = self.results("local"), self.results(store)
        if not local or local != found:
            fail(f"Ray made other results in {store}: {sorted(found)}, expected {sorted(local)}")
        return len(local)

    def submitted(self, done):
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return [(event["step"], event.get("share")) for event in events if event["event"] == "job_submitted"]


def check_bytes(check):
    (check.work / "fast").touch()
    done = check.run("run", "pipeline.toml", "--executor", "ray", "--store", "store", "--json")
    files = check.compare("store")
    jobs = check.ray.jobs().values()
    nodes = {job["driver_node_id"] for job in jobs}
    if len(jobs) != 5 or len(check.submitted(done)) != 5 or any(job["status"] != "SUCCEEDED" for job in jobs):
        fail(f"expected three shares and two results: {[(job['submission_id'], job['status']) for job in jobs]}")
    if len(nodes) != 2:
        fail(f"only {len(nodes)} node had work")
    say(f"{files} files are those of a local run; {len(jobs)} jobs on {len(nodes)} nodes")
    (check.work / "fast").unlink()


def check_kills(check):
    before = set(check.ray.jobs())

    def shares(status):
        jobs = check.ray.jobs()
        return [name for name in jobs if name not in before and jobs[name]["status"] == status and "-of-" in name]

    first = check.spawn("run", "pipeline.toml", "--executor", "ray", "--store", "killed")
    wait("three shares run", lambda: len(shares("RUNNING")) == 3)
    lost = shares("RUNNING")[0]
    # The process of Ray that looks after the job dies, and with it the job, as where a node is lost.
    supervisors = [job for job in processes("ray::JobSupervisor") if lost in environment_of_children(job)]
    if len(supervisors) != 1:
        fail(f"{lost}: expected one process of Ray that looks after it, found {supervisors}")
    os.kill(supervisors[0], signal.SIGKILL)
    again = wait("the lost job is submitted again", lambda: [name for name in check.ray.jobs() if name == lost[: -len("1")] + "2"])
    first.kill()
    first.wait()
    status = check.run("status", "pipeline.toml", "--store", "killed").stdout
    if "running" not in status and "pending" not in status:
        fail(f"the jobs of a run that was killed are not shown: {status}")
    (check.work / "fast").touch()
    done = check.run("run", "pipeline.toml", "--executor", "ray", "--store", "killed", "--json")
    (check.work / "fast").unlink()
    if any(share for _, share in check.submitted(done)):
        fail(f"shares are submitted again after a kill: {check.submitted(done)}")
    check.compare("killed")
    own = sorted(name for name in check.ray.jobs() if name not in before and "-of-" in name)
    if len(own) != 4 or again[0] not in own:
        fail(f"expected three shares and one of them once more: {own}")
    say("a lost job is submitted again; after a kill of the run its jobs are found, and the bytes are the same")


def environment_of_children(process):
    """Returns the command lines of the processes that a process has started, as one text."""
    text = ""
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == process:
                text += (entry / "environ").read_bytes().decode(errors="replace")
                text += (entry / "cmdline").read_bytes().decode(errors="replace")
        except (OSError, ValueError):
            continue
    return text


def check_failures(check):
    (check.work / "steps.toml").write_text(STEPS)
    told = check.run("run", "steps.toml", "bad", "--executor", "ray", "--store", "steps", status=1).stderr
    for expected in ("bad: failed: job ratdata-bad-", "exit status: 1", "this is broken"):
        if expected not in told:
            fail(f"a failure is not told with `{expected}`:\n{told}")
    running = lambda: any(job["status"] == "RUNNING" and "ratdata-long-" in name for name, job in check.ray.jobs().items())
    for stop in ("Ctrl-C", "ratdata cancel"):
        run = check.spawn("run", "steps.toml", "long", "--executor", "ray", "--store", "steps")
        wait("the long step runs", running)
        if stop == "Ctrl-C":
            run.send_signal(signal.SIGINT)
        else:
            check.run("cancel", "steps.toml", "--store", "steps")
        _, told = run.communicate(timeout=PATIENCE)
        if run.returncode != 130 or "long: stopped" not in told:
            fail(f"{stop}: status {run.returncode}, expected 130:\n{told}")
        wait("the job is stopped", lambda: not running())
    say("a failure has its exit status and last words; Ctrl-C and `ratdata cancel` stop the jobs")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--program", type=lambda text: pathlib.Path(text).absolute(), required=True)
    venv_options(parser)
    args = parser.parse_args()
    try:
        enter_venv(args, "ray-venv", "ray.dashboard.modules.job.job_head", PACKAGES, seconds=900)
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            work = pathlib.Path(folder).resolve()
            ray = Ray(work)
            try:
                ray.start()
                started = time.monotonic() - begun
                check = Check(args.program, work, ray)
                check.run("sample", "--out", "sample", "--quiet")
                (work / "pipeline.toml").write_text(PIPELINE)
                check.run("run", "pipeline.toml", "--store", "local", "--quiet")
                check_bytes(check)
                check_kills(check)
                check_failures(check)
            finally:
                ray.stop()
    except Skipped as skipped:
        say(f"skipped: {skipped}")
        return
    say(f"{time.monotonic() - begun:.0f} s, {started:.0f} of them until both nodes were there")


if __name__ == "__main__":
    main()
