"""Inputs that change: a result is never taken for that of inputs which are other ones by now.

A file is edited in every way that an editor, a script or a copy program has: with and without another size,
another modification time or another inode. Then the same command has to end with status 0 and the bytes that
the inputs give now, or to fail and say what is another. It is asked after a whole run, between a kill and the
next attempt, and while a run reads.
"""

import functools
import json
import os
import random
import shutil
import time

from .jobs import OUT
from .judge import Wrong, judge, must, shown
from .material import json_lines, text
from .place import content, must_equal

FRESH = "fresh"
"""The folder for what the inputs give as they are now."""

BLOCKS, BLOCK = 64, 16 << 10
"""A fingerprint that looks at samples looks at so many blocks, of so many bytes, spread evenly."""


def cases():
    """Yields the names of cases and what they do, without end."""
    number = 0
    while True:
        for command in COMMANDS:
            for edit in EDITS:
                yield f"stale/{command}-{edit}/{number}", lambda place, c=command, e=edit: after_a_run(place, c, e)
            for edit in EDITS:
                yield (
                    f"stale/{command}-{edit}-killed/{number}",
                    lambda place, c=command, e=edit: after_a_kill(place, c, e),
                )
        for edit in ("between-samples", "truncated", "appended", "renamed", "removed"):
            yield f"stale/tokenize-{edit}-read/{number}", lambda place, e=edit: while_it_reads(place, e)
        number += 1


def after_a_run(place, command, edit):
    """Edits an input of a finished result, and gives the command again."""
    words = prepare(place, command)
    place.run(*words, statuses={0})
    before = result(place, command)
    EDITS[edit](place)
    place.done += 1
    _must_be_true(place, command, words, before, f"{edit}, after a run")


def after_a_kill(place, command, edit):
    """Edits an input between a kill and the next attempt."""
    words = prepare(place, command)
    whole_run = place.run(*words, statuses={0})
    before = result(place, command)
    for _ in range(2):
        shutil.rmtree(place.folder / OUT)
        running = place.start(*words)
        moment = whole_run.seconds * place.draw.uniform(0.3, 1.0)
        if running.wait(moment) is None:
            running.kill()
        EDITS[edit](place)
        place.done += 1
        _must_be_true(place, command, words, before, f"{edit}, killed after {moment * 1000:.1f} ms")
        shutil.rmtree(place.folder / "in")
        words = prepare(place, command)


def while_it_reads(place, edit):
    """Edits an input while a run reads: status 0 only with the bytes that the inputs had, or have."""
    words = prepare(place, "tokenize")
    whole_run = place.run(*words, statuses={0})
    before = result(place, "tokenize")
    shutil.rmtree(place.folder / OUT)
    running = place.start(*words)
    running_still = running.wait(whole_run.seconds * place.draw.uniform(0.05, 0.9)) is None
    EDITS[edit](place)
    place.done += 1
    if running_still:
        ended = running.finish(60)
        judge(ended, statuses={0, 1})
        if ended.status == 0:
            found = result(place, "tokenize")
            must(
                found in (before, _fresh(place, "tokenize", words)),
                f"{edit} while it read: status 0 with bytes of neither",
            )
    _must_be_true(place, "tokenize", words, before, f"{edit}, after a run that read meanwhile")


def _must_be_true(place, command, words, before, told):
    """Gives the command again: its bytes are those of the inputs as they are now, or it refuses."""
    ended = place.run(*words, statuses={0, 1, 2})
    if ended.status == 0:
        must(_fresh_status(place, command, words) == 0, f"{told}: status 0, though a fresh run fails{shown(ended)}")
        try:
            must_equal(
                result(place, command), _fresh(place, command, words), f"{told}: status 0 with bytes of other inputs"
            )
        except Wrong as wrong:
            raise Wrong(f"{wrong}{shown(ended)}") from None
    elif command != "run" and result(place, command) != before:
        # It refused: what is there may be the old result, whole, or the beginning of one, but never a new one.
        must(not (place.folder / OUT / "manifest.json").exists(), f"{told}: failed, and left a manifest{shown(ended)}")


def _fresh_status(place, command, words):
    shutil.rmtree(place.folder / FRESH, ignore_errors=True)
    ended = place.run(*_elsewhere(place, command, words), statuses={0, 1, 2})
    return ended.status


def _fresh(place, command, words):
    """Returns what a run into a new folder gives."""
    _fresh_status(place, command, words)
    return result(place, command, FRESH)


def _elsewhere(place, command, words):
    if command == "run":
        return [*words, "--store", FRESH]
    return [FRESH if word == OUT else word for word in words]


def result(place, command, out=OUT):
    """Returns the bytes of a result, and for a pipeline those that its published link leads to."""
    if command != "run":
        return content(place.folder / out, (".job", ".portions"))
    link = place.folder / "published"
    return content(link.resolve()) if link.exists() else {}


def prepare(place, command):
    """Writes the inputs of a command and returns its words."""
    large, little = _texts()
    for name, lines in (("a", little), ("b", large), ("c", little)):
        place.write(f"in/text/{name}.jsonl", lines)
    place.copy(place.material.tokenizer, "in/tokenizer.json")
    _age(place.folder / "in")
    place.write("task.toml", TASK)
    place.write("pipeline.toml", PIPELINE)
    return list(COMMANDS[command])


@functools.cache
def _texts():
    """Returns documents of a large file and of a small one.

    The large one is above 1 MiB, so that a fingerprint by samples would leave most of it out.
    """
    draw = random.Random("stale")
    return [json_lines(text(draw) for _ in range(documents)) for documents in (6000, 100)]


TASK = """\
prompt = "{text}"
[splits.train]
source = "in/text/*.jsonl"
answers = ["text"]
"""

PIPELINE = """\
store = "out"
[steps.tokens]
kind = "tokenize"
tokenizer = "in/tokenizer.json"
input = "in/text"
name = "t"
publish = "published"
"""

TOKENIZE = (
    "tokenize",
    "--tokenizer",
    "in/tokenizer.json",
    "--input",
    "in/text",
    "--name",
    "t",
    "--quiet",
    "--out",
    OUT,
)

COMMANDS = {
    "tokenize": TOKENIZE,
    "merge": (*TOKENIZE, "--merge"),
    "sft": (
        "sft",
        "--task-file",
        "task.toml",
        "--tokenizer",
        "in/tokenizer.json",
        "--max-length",
        "64",
        "--quiet",
        "--out",
        OUT,
    ),
    "run": ("run", "pipeline.toml", "--quiet"),
}


def _age(folder):
    """Makes files look as if they were written an hour ago, so that no clock's coarseness hides an edit."""
    then = time.time() - 3600
    for path in folder.rglob("*"):
        os.utime(path, (then, then))


def _between_samples(place):
    """Changes words that a look at samples does not see; the size stays, the time is new."""
    path = place.folder / "in" / "text" / "b.jsonl"
    content = bytearray(path.read_bytes())
    last = len(content) - BLOCK
    places = [last // (BLOCKS - 1) * block for block in range(BLOCKS)] + [last]
    seen = [range(place, place + BLOCK) for place in places]
    at, changed = 0, 0
    while (at := content.find(b" the ", at + 1)) >= 0:
        if not any(at in block or at + 5 in block for block in seen):
            content[at : at + 5] = b" XXX "
            changed += 1
    must(changed > 100, "no word lies between the samples")
    with open(path, "r+b") as file:
        file.write(content)


def _one_byte(place):
    """Changes one letter somewhere."""
    path = place.folder / "in" / "text" / place.draw.choice(("a.jsonl", "b.jsonl"))
    content = path.read_bytes()
    at = content.index(b" cat ", place.draw.randrange(len(content) // 2))
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(b" car ")


def _time_kept(place):
    """Changes words, and sets the modification time back, as `cp -p` and `rsync -t` do."""
    path = place.folder / "in" / "text" / "b.jsonl"
    kept = path.stat()
    _between_samples(place)
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def _renamed(place):
    """Puts another file of the same size and time in its place."""
    path = place.folder / "in" / "text" / "b.jsonl"
    kept, aside = path.stat(), path.with_suffix(".new")
    aside.write_bytes(path.read_bytes().replace(b" rain ", b" snow "))
    os.utime(aside, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    aside.rename(path)


def _truncated(place):
    path = place.folder / "in" / "text" / "b.jsonl"
    os.truncate(path, path.read_bytes().index(b"\n", path.stat().st_size // 2) + 1)


def _appended(place):
    with open(place.folder / "in" / "text" / "b.jsonl", "ab") as file:
        file.write(b'{"text": "one more"}\n')


def _touched(place):
    os.utime(place.folder / "in" / "text" / "b.jsonl")


def _removed(place):
    (place.folder / "in" / "text" / "c.jsonl").unlink()


def _added(place):
    (place.folder / "in" / "text" / "d.jsonl").write_bytes(b'{"text": "one more file"}\n')


def _swapped(place):
    """Two files change their names."""
    folder = place.folder / "in" / "text"
    (folder / "c.jsonl").write_bytes(b'{"text": "short"}\n')
    (folder / "a.jsonl").rename(folder / "x")
    (folder / "c.jsonl").rename(folder / "a.jsonl")
    (folder / "x").rename(folder / "c.jsonl")


def _other_tokenizer(place):
    """Another order of two merges."""
    path = place.folder / "in" / "tokenizer.json"
    file = json.loads(path.read_bytes())
    merges = file["model"]["merges"]
    merges[0], merges[1] = merges[1], merges[0]
    path.write_text(json.dumps(file, ensure_ascii=False, indent=2), "utf-8")


EDITS = {
    "between-samples": _between_samples,
    "one-byte": _one_byte,
    "time-kept": _time_kept,
    "renamed": _renamed,
    "truncated": _truncated,
    "appended": _appended,
    "touched": _touched,
    "removed": _removed,
    "added": _added,
    "swapped": _swapped,
    "tokenizer": _other_tokenizer,
}
"""What is done to the inputs, by name."""
