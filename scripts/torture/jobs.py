"""The commands that kills, signals and full disks interrupt, and what each leaves under final names."""

import re
from dataclasses import dataclass

from .judge import Wrong, shown
from .material import LAYOUTS, READ_LAYOUTS
from .place import content, must_equal

OUT = "out"
"""The folder, below that of the case, which a job's result is written into."""

UNFINISHED = (".job", ".shares", ".portions")
"""Folders in which a job keeps notes for its next attempt."""

HALF_A_NOTE = re.compile(r"\.(recipes|pipelines)/.*(\.\d+-\d+\.json|\.partial)$")
"""A note of the store that a kill left under the name which its writer alone uses."""


@dataclass(frozen=True)
class Job:
    """A command with a result that is the same every time."""

    name: str
    arguments: tuple
    """The words of the command; `{m}` is the folder of the material."""
    apart: tuple = ()
    """Words to leave out for the other files that may stand under a final name for a while."""
    growing: tuple = ()
    """Manifests that are written again with every split that is done."""
    pipeline: bool = False
    """Whether it is a run of a pipeline, with a store and processes of its own."""

    def words(self, place):
        """Returns the command for a case."""
        if self.pipeline:
            place.write("pipeline.toml", PIPELINE.replace("{m}", str(place.material.root)))
        words = [word.replace("{m}", str(place.material.root)) for word in self.arguments]
        return [*words, "--quiet"]

    def result(self, place, out=OUT):
        """Returns what a whole run leaves, without records that hold a clock."""
        if not self.pipeline:
            return content(place.folder / out)
        found = content(place.folder / out, leave_out=("runs", ".locks"))
        return {name: what for name, what in found.items() if not HALF_A_NOTE.match(name)}

    def final_names(self, place, out=OUT):
        """Returns what stands under a final name at this moment."""
        found = {}
        for name, what in self.result(place, out).items():
            parts = name.split("/")
            hidden = self.pipeline and parts[0].startswith(".")
            if not (name.endswith(".partial") or hidden or any(part in UNFINISHED for part in parts)):
                found[name] = what
        return found


def must_end(place, job, words, whole, told):
    """Gives the command until its end, and holds what it leaves to the undisturbed run's.

    A command that finds its whole result there may say so with status 1 instead of 0.
    """
    ended = place.run(*words, statuses={0, 1})
    if ended.status == 1 and "already" not in ended.stderr:
        raise Wrong(f"{told}: the same command fails{shown(ended)}")
    try:
        must_equal(job.result(place), whole, told)
    except Wrong as wrong:
        raise Wrong(f"{wrong}{shown(ended)}") from None


PIPELINE = """\
store = "out"

[steps.tokens]
kind = "tokenize"
tokenizer = "{m}/sample/tokenizer/tokenizer.json"
input = "{m}/corpus"
name = "t"

[steps.packed]
kind = "pack"
input = "@tokens"
seq_len = 64

[steps.rows]
kind = "sft"
task_file = "{m}/sample/questions/task.toml"
input = "{m}/sample/questions"
tokenizer = "{m}/sample/tokenizer/tokenizer.json"
max_length = 128
packing = "best-fit"

[steps.merged]
kind = "merge"
input = ["@tokens", "@tokens"]

[steps.numpy]
kind = "export"
artifact = "@merged"
to = "npy"
"""

BY = ("--tokenizer", "{m}/sample/tokenizer/tokenizer.json")
TOKENIZE = ("tokenize", *BY, "--input", "{m}/corpus", "--name", "t", "--num-proc", "2", "--out", OUT)
SFT = ("sft", "--task-file", "{m}/sample/questions/task.toml", "--input", "{m}/sample/questions", *BY)
PACK = ("pack", "--input", "{m}/bins", "--seq-len", "64", "--out", OUT)


def _export(layout):
    tokenizer = BY if layout == "jsonl" else ()
    return ("export", "{m}/bins", "--to", layout, "--copy", *tokenizer, "--out", OUT)


def _import(layout):
    eos = ("--eos", "2") if layout in ("raw", "llmc") else ()
    return ("import", f"{{m}}/foreign/{layout}/train", "--from", layout, *eos, "--out", OUT)


JOBS = (
    Job("tokenize", TOKENIZE),
    Job("tokenize-merge", (*TOKENIZE, "--merge"), apart=("--merge",)),
    Job("sft-pairs", (*SFT, "--max-length", "128", "--out", OUT), growing=("manifest.json",)),
    Job(
        "sft-packed",
        (*SFT, "--max-length", "128", "--packing", "best-fit", "--materialize", "--out", OUT),
        growing=("manifest.json", "tokens/manifest.json"),
    ),
    Job("pack", PACK),
    Job("pack-rows", (*PACK, "--seed", "3", "--materialize")),
    Job("merge", ("merge", "--input", "{m}/bins", "{m}/more-bins", "--name", "both", "--out", OUT)),
    Job("run", ("run", "pipeline.toml", "--num-proc", "2"), pipeline=True),
    *(Job(f"export-{layout}", _export(layout)) for layout in LAYOUTS),
    *(Job(f"import-{layout}", _import(layout)) for layout in READ_LAYOUTS),
    Job("report", ("report", "{m}/bins", *BY, "-o", f"{OUT}/report.html")),
    Job(
        "verify",
        ("verify", "{m}/bins", "--retokenize", "20%", "--input", "{m}/corpus", *BY, "--out", OUT),
    ),
)
"""Every kind of command that writes."""
