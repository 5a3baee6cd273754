"""Tasks and pipelines with typos, wrong types, circles and nesting: told by file and place, before anything is made."""

from ..judge import must, shown
from .endure import OUT, endure
from .mutate import mutated

USAGE = 2
"""The status of a mistake in a configuration."""

NAMED = ("pipeline.toml", "task.toml", "nope", "/: ", "/dev/zero")
"""The files that a mistake may lie in: the settings, or what they extend."""

PIPELINE = """\
store = "deep/down/out"

[resources]
threads = 2

[steps.tokens]
kind = "tokenize"
tokenizer = "{m}/sample/tokenizer/tokenizer.json"
input = "{m}/small.jsonl"
name = "t"
val_fraction = 0.1

[steps.packed]
kind = "pack"
input = "@tokens"
seq_len = 64
packing = "best-fit"

[steps.lengths]
kind = "command"
program = ["cp", "@tokens/manifest.json", "@out/copy.json"]
outputs = ["copy.json"]
"""

TASK = """\
prompt = "Story: {text}"
max_new_tokens = 16
truncate = "middle"

[splits.train]
source = "{m}/small.jsonl"
answers = ["text"]
shuffle = 1234
sample = { rows = 5, seed = 1 }
"""


def cases():
    """Yields the names of cases and what they do: named mistakes first, then mutations without end."""
    for name, (old, new) in PIPELINES.items():
        yield f"hostile/settings/pipeline-{name}", lambda place, old=old, new=new: pipeline(place, old, new)
    for name, (old, new) in TASKS.items():
        yield f"hostile/settings/task-{name}", lambda place, old=old, new=new: task(place, old, new)
    for name, text in ANY_TEXT.items():
        yield f"hostile/settings/text-{name}", lambda place, text=text: both(place, text)
    yield "hostile/settings/honest", honest
    number = 0
    while True:
        yield f"hostile/settings/mutated/{number}", mutate
        number += 1


def honest(place):
    """Reads the two files as they should be, so that the others are refused for their mistake alone."""
    endure(place, *_run(place, PIPELINE), statuses={0})
    endure(place, *_sft(place, TASK), statuses={0})


def pipeline(place, old, new):
    """Runs a pipeline with one mistake."""
    must(old in PIPELINE, f"{old!r} is not in the pipeline")
    ended = endure(place, *_run(place, PIPELINE.replace(old, new, 1)), statuses={USAGE})
    must(any(file in ended.stderr for file in NAMED), f"no file is named{shown(ended)}")
    must(
        not [path for path in (place.folder / OUT).iterdir() if path.name != "runs"],
        f"something was made{shown(ended)}",
    )


def task(place, old, new):
    """Makes rows of a task with one mistake."""
    must(old in TASK, f"{old!r} is not in the task")
    ended = endure(place, *_sft(place, TASK.replace(old, new, 1)), statuses={1, USAGE})
    must(any(word in ended.stderr for word in (*NAMED, "text")), f"neither file nor column is named{shown(ended)}")
    must(not (place.folder / OUT / "manifest.json").exists(), f"refused, and left a manifest{shown(ended)}")


def both(place, text):
    """Reads bytes that are no settings at all, as both kinds of file."""
    content = text() if callable(text) else text
    endure(place, *_run(place, content), statuses={1, USAGE})
    endure(place, *_sft(place, content), statuses={1, USAGE})


def mutate(place):
    """Changes bytes of both files; what is taken for a pipeline is only planned, since it may name programs."""
    words = _run(place, PIPELINE)
    path = place.folder / "pipeline.toml"
    path.write_bytes(mutated(path.read_bytes(), place.draw))
    endure(place, "plan", *words[1:])
    words = _sft(place, TASK)
    path = place.folder / "task.toml"
    path.write_bytes(mutated(path.read_bytes(), place.draw))
    endure(place, *words)


def _run(place, text):
    if isinstance(text, str):
        text = text.replace("{m}", str(place.material.root))
    place.write("pipeline.toml", text)
    return ("run", "pipeline.toml", "--num-proc", "2")


def _sft(place, text):
    if isinstance(text, str):
        text = text.replace("{m}", str(place.material.root))
    place.write("task.toml", text)
    return (
        "sft",
        "--task-file",
        "task.toml",
        "--tokenizer",
        place.material.tokenizer,
        "--max-length",
        "64",
        "--out",
        OUT,
    )


PIPELINES = {
    "key": ("val_fraction", "val_fracton"),
    "key-of-all": ("store", "stor"),
    "section": ("[resources]", "[resource]"),
    "kind": ('kind = "pack"', 'kind = "pakc"'),
    "no-kind": ('kind = "pack"\n', ""),
    "step": ('"@tokens"', '"@token"'),
    "itself": ('input = "@tokens"', 'input = "@packed"'),
    "circle": ('input = "{m}/small.jsonl"', 'input = "@packed"'),
    "file": ("small.jsonl", "smal.jsonl"),
    "type": ("seq_len = 64", 'seq_len = "64x"'),
    "negative": ("seq_len = 64", "seq_len = -64"),
    "huge": ("seq_len = 64", "seq_len = 9223372036854775807"),
    "more-than-64-bits": ("seq_len = 64", "seq_len = 99999999999999999999"),
    "fraction": ("val_fraction = 0.1", "val_fraction = 1.5"),
    "not-a-number": ("val_fraction = 0.1", "val_fraction = nan"),
    "value": ("best-fit", "best-fitt"),
    "given": ('name = "t"', 'out = "t"'),
    "list": ("seq_len = 64", "seq_len = [64, 64]"),
    "table": ("seq_len = 64", "seq_len = { a = 64 }"),
    "name-climbs": ("[steps.packed]", '[steps."../../packed"]'),
    "name-absolute": ("[steps.packed]", '[steps."/tmp/packed"]'),
    "name-empty": ("[steps.packed]", '[steps.""]'),
    "name-nul": ("[steps.packed]", '[steps."a\\u0000"]'),
    "artifact-name-climbs": ('name = "t"', 'name = "../../t"'),
    "output-climbs": ('outputs = ["copy.json"]', 'outputs = ["../copy.json"]'),
    "output-absolute": ('outputs = ["copy.json"]', 'outputs = ["/copy.json"]'),
    "program-empty": ('program = ["cp", "@tokens/manifest.json", "@out/copy.json"]', "program = []"),
    "step-twice": ("[steps.packed]", "[steps.tokens]"),
    "key-twice": ("seq_len = 64", "seq_len = 64\nseq_len = 64"),
    "unclosed": ("[steps.packed]", "[steps.packed"),
    "extends-itself": ('store = "deep/down/out"', 'store = "deep/down/out"\nextends = "pipeline.toml"'),
    "extends-missing": ('store = "deep/down/out"', 'store = "deep/down/out"\nextends = "nope.toml"'),
    "extends-folder": ('store = "deep/down/out"', 'store = "deep/down/out"\nextends = "/"'),
    "extends-no-text": ('store = "deep/down/out"', 'store = "deep/down/out"\nextends = "/dev/zero"'),
    "threads": ("threads = 2", "threads = 0"),
}
"""One mistake each: what is written instead of what."""

TASKS = {
    "key": ("max_new_tokens", "max_new_token"),
    "section": ("[splits.train]", "[split.train]"),
    "column": ("{text}", "{txt}"),
    "answer": ('answers = ["text"]', 'answers = ["txt"]'),
    "brace": ("{text}", "{text"),
    "brace-empty": ("{text}", "{}"),
    "deep-column": ("{text}", "{" + "a." * 100_000 + "b}"),
    "source": ("small.jsonl", "smal.jsonl"),
    "type": ("max_new_tokens = 16", 'max_new_tokens = "16"'),
    "negative": ("max_new_tokens = 16", "max_new_tokens = -1"),
    "huge": ("max_new_tokens = 16", "max_new_tokens = 99999999999"),
    "value": ('"middle"', '"midle"'),
    "split-climbs": ("[splits.train]", '[splits."../../train"]'),
    "split-absolute": ("[splits.train]", '[splits."/tmp/train"]'),
    "split-empty": ("[splits.train]", '[splits.""]'),
    "no-answers": ('answers = ["text"]\n', ""),
    "seed": ("shuffle = 1234", "shuffle = -1"),
    "sample-seed": ("seed = 1", "seed = 4294967296"),
    "sample-rows": ("rows = 5", "rows = -5"),
    "key-twice": ("shuffle = 1234", "shuffle = 1234\nshuffle = 5"),
    "extends-itself": ("max_new_tokens = 16", 'extends = "task.toml"'),
    "extends-missing": ("max_new_tokens = 16", 'extends = "nope"'),
}

ANY_TEXT = {
    "empty": "",
    "no-utf8": b"\xff\xfe\x00",
    "zeros": bytes(1 << 16),
    "deep-lists": "a = " + "[" * 200_000,
    "deep-lists-closed": "a = " + "[" * 200_000 + "]" * 200_000,
    "deep-tables": "a = " + "{a = " * 100_000,
    "deep-keys": "a" + ".a" * 200_000 + " = 1",
    "deep-sections": "[a" + ".a" * 200_000 + "]",
    "many-keys": lambda: "".join(f"k{number} = 1\n" for number in range(200_000)),
    "many-steps": lambda: "".join(f'[steps.s{number}]\nkind = "pak"\n' for number in range(5_000)),
    "long-text": "a = '" + "b" * 20_000_000 + "'",
    "json": '{"steps": {}}',
    "no-steps": 'store = "deep/down/out"\n',
}
"""Bytes that are neither a pipeline nor a task."""
