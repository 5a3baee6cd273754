"""SIGINT and SIGTERM: answered within a second with status 130, and the same command goes on."""

import shutil
import signal

from .jobs import JOBS, OUT, must_end
from .judge import judge, must, shown

ANSWERED_WITHIN = 1.0
"""Seconds from a signal to the end of the program."""

INTERRUPTED = 130


def cases():
    """Yields the names of cases and what they do, without end."""
    number = 0
    while True:
        for job in JOBS:
            yield f"signals/{job.name}/{number}", lambda place, job=job: interrupt(place, job)
        if number == 0:
            yield from _long_ones()
        number += 1


def interrupt(place, job):
    """Interrupts a job at three moments, then lets it end."""
    words = job.words(place)
    whole_run = place.run(*words, statuses={0})
    whole = job.result(place)
    shutil.rmtree(place.folder / OUT)
    for _ in range(3):
        moment = whole_run.seconds * place.draw.random()
        number = place.draw.choice((signal.SIGINT, signal.SIGTERM))
        # A terminal sends SIGINT to the whole group, a scheduler SIGTERM to the one process it knows.
        running = place.start(*words)
        if running.wait(moment) is not None:
            break
        _must_answer(place, running, number, f"{number.name} after {moment * 1000:.1f} ms")
    must_end(place, job, words, whole, f"after {place.done} signals")


def _must_answer(place, running, number, told):
    """Sends a signal, and holds the answer to its time and status; a run that had ended at that moment may say 0."""
    running.signal(number, group=number is signal.SIGINT)
    answered = running.wait(ANSWERED_WITHIN * place.program.patience)
    place.done += 1
    if answered is None:
        late = running.finish(120)
        must(False, f"{told}: answered after {late.seconds:.1f} s in all{shown(late)}")
    # Before its first instruction the program has no handler: the system ends it then.
    if answered.status == -number and answered.seconds < 0.1:
        return
    # What had ended before may say, with status 1, that its result is there already.
    refuses = answered.status == 1 and "already" in answered.stderr
    judge(answered, statuses={0, 1, INTERRUPTED} if refuses else {0, INTERRUPTED})


def _long_ones():
    """Yields long work, which has to look at signals in its midst."""
    for name, prepare in LONG.items():
        yield f"signals/long-{name}/0", lambda place, prepare=prepare: _interrupt_long(place, prepare)


def _interrupt_long(place, prepare):
    words = prepare(place)
    for number in (signal.SIGINT, signal.SIGTERM):
        running = place.start(*words, "--quiet")
        ended = running.wait(0.3 + place.draw.random() * 0.5)
        if ended is not None:
            judge(ended)
        else:
            _must_answer(place, running, number, number.name)
        shutil.rmtree(place.folder / OUT, ignore_errors=True)


def _large_bin(place):
    """A bin of nothing: much to read, and no room on the disk."""
    with open(place.folder / "large.bin", "wb") as file:
        file.truncate(3_000_000_000)
    return place.folder / "large.bin"


def _long_rows(place):
    task = place.material.questions
    tokenizer = ("--tokenizer", place.material.tokenizer)
    return (
        "sft",
        "--task-file",
        task / "task.toml",
        "--input",
        task,
        *tokenizer,
        "--max-length",
        "4000000",
        "--out",
        OUT,
    )


def _one_word(place):
    place.write("word.txt", b"a" * 12_000_000)
    return ("tokenize", "--tokenizer", place.material.tokenizer, "--input", "word.txt", "--out", OUT)


def _slow_template(place):
    place.write(
        "chat.jsonl", '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n' * 4000
    )
    loops = "{% for a in range(300) %}{% for b in range(30) %}{% endfor %}{% endfor %}"
    turns = "{% for m in messages %}{{ m.role }}: {% generation %}{{ m.content }}{% endgeneration %}\n{% endfor %}"
    place.write("task.toml", f"[chat]\ntemplate = '''{loops}{turns}'''\n[splits.train]\nsource = 'chat.jsonl'\n")
    tokenizer = ("--tokenizer", place.material.tokenizer)
    return ("sft", "--task-file", "task.toml", *tokenizer, "--max-length", "64", "--out", OUT)


LONG = {
    "inspect": lambda place: ("inspect", _large_bin(place)),
    "report": lambda place: ("report", _large_bin(place), "-o", f"{OUT}/page.html"),
    "import": lambda place: ("import", _large_bin(place), "--from", "raw", "--eos", "2", "--link", "--out", OUT),
    "rows": _long_rows,
    "word": _one_word,
    "template": _slow_template,
}
"""Commands that take long, by name: each prepares its inputs and returns its words."""
