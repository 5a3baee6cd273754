"""Surroundings that take things away: memory, open files, stdout, HOME, room in names, the folder itself.

With too little of something a command fails with a message, never by a signal and never with other bytes; with
enough of it again, the same command ends well.
"""

import os
import shutil
import threading

from .disks import can_mount, mounted
from .jobs import JOBS, OUT, must_end
from .judge import judge, must, shown
from .place import must_equal
from .program import Limits

CLI = {job.name: job for job in JOBS}

LIMITED = (
    "tokenize",
    "tokenize-merge",
    "sft-packed",
    "pack-rows",
    "merge",
    "run",
    "export-npy",
    "import-olmo",
    "report",
    "verify",
)


def cases():
    """Yields the names of cases and what they do."""
    for name in LIMITED:
        for what, limits in BOUNDS.items():
            yield f"limits/{what}/{name}", lambda place, name=name, limits=limits: bounded(place, CLI[name], limits)
        for what, more in SURROUNDINGS.items():
            yield f"limits/{what}/{name}", lambda place, name=name, more=more: elsewhere(place, CLI[name], more)
    for name in LIMITED:
        yield f"limits/read-only/{name}", lambda place, name=name: read_only(place, CLI[name])
    for name, words in PRINTING.items():
        for what in ("full", "closed-pipe", "closed"):
            yield f"limits/stdout-{what}/{name}", lambda place, words=words, what=what: no_stdout(place, words, what)
    for name, odd in ODD_NAMES.items():
        yield f"limits/name/{name}", lambda place, odd=odd: odd_name(place, odd)
    for name, prepare in NO_FILES.items():
        yield f"limits/no-file/{name}", lambda place, prepare=prepare: no_file(place, prepare)
    for what in ("removed", "moved"):
        yield f"limits/folder-{what}/tokenize", lambda place, what=what: folder_goes(place, what)
    for name in ("tokenize", "sft-packed", "run"):
        yield f"limits/at-once/{name}", lambda place, name=name: at_once(place, CLI[name])


BOUNDS = {
    "file-1k": Limits(file_bytes=1 << 10),
    "file-100k": Limits(file_bytes=100 << 10),
    "file-5m": Limits(file_bytes=5 << 20),
    "files-8": Limits(files=8),
    "files-12": Limits(files=12),
    "files-16": Limits(files=16),
    "files-24": Limits(files=24),
    "files-64": Limits(files=64),
    "memory-300m": Limits(memory_mib=300),
    "memory-500m": Limits(memory_mib=500),
    "memory-1g": Limits(memory_mib=1024),
}

SURROUNDINGS = {
    "env-none": None,
    "no-home": {"HOME": "/nope"},
    "no-tmp": {"TMPDIR": "/nope"},
    "lang-c": {"LANG": "C", "LC_ALL": "C"},
}
"""What the environment has otherwise; `None` has nothing at all."""


def bounded(place, job, limits):
    """Runs a job with too little of something, perhaps, and then with enough."""
    words = job.words(place)
    place.run(*words, statuses={0})
    whole = job.result(place)
    shutil.rmtree(place.folder / OUT)
    ended = place.run(*words, statuses={0, 1}, limits=limits)
    place.done += 1
    if ended.status == 0:
        must_equal(job.result(place), whole, "status 0 within the bound")
    must_end(place, job, words, whole, "without the bound")


def elsewhere(place, job, more):
    """Runs a job in an environment that lacks something: the bytes are the same."""
    words = job.words(place)
    place.run(*words, statuses={0})
    whole = job.result(place)
    shutil.rmtree(place.folder / OUT)
    environment = {} if more is None else place.environment(**more)
    place.run(*words, statuses={0}, environment=environment)
    place.done += 1
    must_equal(job.result(place), whole, "in another environment")


def read_only(place, job):
    """Runs a job into a folder that cannot be written: it says so and leaves nothing."""
    words = job.words(place)
    out = place.folder / OUT
    out.mkdir()
    if can_mount():
        with mounted(out, "size=1m,ro"):
            ended = place.run(*words, statuses={1, 2})
    elif os.geteuid() != 0:
        out.chmod(0o555)
        ended = place.run(*words, statuses={1, 2})
        out.chmod(0o755)
    else:
        return
    place.done += 1
    must(OUT in ended.stderr, f"no word of the folder{shown(ended)}")
    must(not any(out.iterdir()), "something was written")


PRINTING = {
    "inspect": ("inspect", "{m}/small-bins", "--decode", "40", "--tokenizer", "{m}/sample/tokenizer/tokenizer.json"),
    "verify": ("verify", "{m}/small-bins"),
    "trace": ("trace", "{m}/small-bins", "--token", "3", "--json"),
    "plan": ("plan", "tiny", "--store", "store"),
    "help": ("tokenize", "--help"),
    "version": ("--version",),
    "completions": ("completions", "bash"),
    "pack": ("pack", "--input", "{m}/small-bins", "--seq-len", "64", "--out", OUT),
    "run-json": ("run", "tiny", "sample", "--store", "store", "--json"),
}


def no_stdout(place, words, what):
    """Runs a command whose output nobody takes: a closed pipe is no failure, a full device is one."""
    words = [word.replace("{m}", str(place.material.root)) for word in words]
    place.done += 1
    if what == "full":
        with open("/dev/full", "wb") as full:
            ended = place.program.run(words, place.folder, environment=place.environment(), stdout=full)
        return judge(ended, statuses={1})
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as pipe:
        if what == "closed-pipe":
            ended = place.program.run(words, place.folder, environment=place.environment(), stdout=pipe)
            return judge(ended, statuses={0})
    # The program has no stdout at all, and must not take another file for it.
    script = '"$@" >&-'
    shell = type(place.program)(path="/bin/sh", patience=place.program.patience)
    ended = shell.run(["-c", script, "sh", place.program.path, *words], place.folder, environment=place.environment())
    judge(ended, statuses={0, 1})


ODD_NAMES = {
    "not-utf8": b"a\xff\xfeb.jsonl",
    "newline": b"a\nb.jsonl",
    "escape": b"a\x1b[31mb.jsonl",
    "spaces": b"  a  b .jsonl",
    "dash": b"-q.jsonl",
    "star": b"a*[b]?.jsonl",
    "percent": b"a%2F..%2Fb#c.jsonl",
    "backslash": b"a\\b.jsonl",
    "right-to-left": "a\u202egnp.jsonl".encode(),
    "long": b"a" * 240 + b".jsonl",
    "longest-that-fits": b"a" * 200 + b".jsonl",
    "dots": b"...jsonl",
    "hidden": b".a.jsonl",
}


def odd_name(place, odd):
    """Tokenizes a file of an odd name: it is read, or refused by its name, and steers no terminal."""
    folder = place.folder / "in"
    folder.mkdir()
    with open(os.path.join(os.fsencode(folder), odd), "wb") as file:
        file.write(place.material.small_corpus.read_bytes())
    (folder / "plain.jsonl").write_bytes(place.material.small_corpus.read_bytes())
    words = ("tokenize", "--tokenizer", place.material.tokenizer, "--input", folder, "--out", OUT)
    ended = place.run(*words, statuses={0, 1, 2})
    place.done += 1
    steering = [
        char for char in ended.stdout + ended.stderr if ord(char) < 32 and char not in "\n\t" or char == "\u202e"
    ]
    must(not steering, f"a name steers the terminal: {steering}")
    if ended.status == 0:
        place.run(
            "verify",
            OUT,
            "--retokenize",
            "100%",
            "--input",
            folder,
            "--tokenizer",
            place.material.tokenizer,
            statuses={0},
        )
    else:
        must(not (place.folder / OUT / "manifest.json").exists(), "failed, and left a manifest")


def _pipe(place):
    os.mkfifo(place.folder / "in.jsonl")
    return place.folder / "in.jsonl"


def _loop(place):
    (place.folder / "in.jsonl").symlink_to("in.jsonl")
    return place.folder / "in.jsonl"


def _nowhere(place):
    (place.folder / "in.jsonl").symlink_to("nowhere.jsonl")
    return place.folder / "in.jsonl"


def _folder_loop(place):
    place.copy(place.material.small_corpus, "in/a.jsonl")
    (place.folder / "in" / "again").symlink_to("..")
    return place.folder / "in"


def _folder_named_as_file(place):
    (place.folder / "in.jsonl").mkdir()
    return place.folder / "in.jsonl"


NO_FILES = {
    "pipe": _pipe,
    "loop": _loop,
    "nowhere": _nowhere,
    "folder-loop": _folder_loop,
    "folder": _folder_named_as_file,
    "empty": lambda place: place.write("in.jsonl", ""),
    "null": lambda place: "/dev/null",
    "zero": lambda place: "/dev/zero",
    "memory": lambda place: "/proc/self/mem",
    "missing": lambda place: place.folder / "nope",
}


def no_file(place, prepare):
    """Reads what is no file, as text, tokenizer and artifact: it is told, and not waited for."""
    thing = prepare(place)
    tokenizer = ("--tokenizer", place.material.tokenizer)
    corpus = place.material.small_corpus
    commands = (
        ("tokenize", *tokenizer, "--input", thing, "--out", OUT),
        ("tokenize", "--tokenizer", thing, "--input", corpus, "--out", "out-2"),
        ("inspect", thing),
        ("import", thing, "--from", "raw", "--eos", "2", "--out", "out-3"),
        ("sft", "--task-file", thing, *tokenizer, "--out", "out-4"),
        ("plan", thing),
    )
    for words in commands:
        place.run(*words, limits=Limits(seconds=20, memory_mib=4096, file_bytes=1 << 30))
        place.done += 1


def folder_goes(place, what):
    """Takes the folder away from a running job: it fails, and leaves no manifest."""
    job = CLI["tokenize"]
    words = job.words(place)
    whole_run = place.run(*words, statuses={0})
    whole = job.result(place)
    for number in range(4):
        shutil.rmtree(place.folder / OUT, ignore_errors=True)
        running = place.start(*words)
        if running.wait(whole_run.seconds * place.draw.uniform(0.1, 0.9)) is None:
            if what == "removed":
                shutil.rmtree(place.folder / OUT, ignore_errors=True)
            elif (place.folder / OUT).exists():
                os.rename(place.folder / OUT, place.folder / f"elsewhere-{number}")
            ended = running.finish(60)
            judge(ended, statuses={0, 1})
            _must_be_whole_or_none(place, job, whole, (OUT, f"elsewhere-{number}"))
        place.done += 1
    place.run(*words, statuses={0})
    must_equal(job.result(place), whole, "with a folder again")


def _must_be_whole_or_none(place, job, whole, folders):
    for folder in folders:
        if (place.folder / folder / "manifest.json").exists():
            must_equal(job.result(place, folder), whole, f"{folder} has a manifest")


def at_once(place, job):
    """Runs one command three times at once: one writes, and the others wait or are told."""
    words = job.words(place)
    place.run(*words, statuses={0})
    whole = job.result(place)
    shutil.rmtree(place.folder / OUT)
    running = [place.start(*words) for _ in range(3)]
    ended = []
    threads = [threading.Thread(target=lambda run=run: ended.append(run.finish(120))) for run in running]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for end in ended:
        judge(end, statuses={0, 1})
        must(end.status == 0 or "another run" in end.stderr, f"no word of the other run{shown(end)}")
    place.done += 3
    must(any(end.status == 0 for end in ended), "none of three runs ended well")
    must_equal(job.result(place), whole, "after three runs at once")
