"""The folder of one case, what it draws, and what lies in folders."""

import hashlib
import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from .judge import STATUSES, Wrong, judge
from .material import Material
from .program import Program

NOTES = (".ratdata-lock", ".known.json")
"""Names of files that say what the system told of other files: of times and inodes, not of a result."""


@dataclass
class Place:
    """Where one case works, and with what."""

    folder: Path
    program: Program
    material: Material
    draw: random.Random
    done: int = 0
    """How many of its trials a case has made: kills, commands, edits."""
    worst: dict = field(default_factory=dict)
    """The largest of what was measured, by what it is."""

    def environment(self, **more):
        """Returns an environment in which nothing of the user's own can be found."""
        home = self.folder / "home"
        plain = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(home),
            "HF_HOME": str(home / "hub"),
            "HF_HUB_OFFLINE": "1",
            "LANG": "C.UTF-8",
        }
        return plain | more

    def start(self, *arguments, **options):
        """Starts the program in the case's folder."""
        options.setdefault("environment", self.environment())
        return self.program.start(arguments, options.pop("folder", self.folder), **options)

    def run(self, *arguments, statuses=STATUSES, peak_mib=None, **options):
        """Runs the program in the case's folder and judges how it ended."""
        options.setdefault("environment", self.environment())
        ended = self.program.run(arguments, options.pop("folder", self.folder), **options)
        self.measure("MiB of memory", ended.peak_mib)
        judge(ended, statuses=statuses, peak_mib=peak_mib)
        return ended

    def measure(self, what, value):
        self.worst[what] = max(value, self.worst.get(what, 0))

    def write(self, name, content):
        """Writes a file of the case: bytes, or text."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return path

    def copy(self, source, name):
        """Copies a file or a folder of the material to a name of the case's own."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copyfile(source, target)
        return target


def content(root, leave_out=()):
    """Returns what lies below a folder, by name: a checksum, where a link leads, or what else it is."""
    if root.is_file():
        return {root.name: _content_of(root)}
    return {name: _content_of(root / name) for name in _names(root, leave_out) if Path(name).name not in NOTES}


def outside(root, inside):
    """Returns what lies below `root` but not in its folder `inside`: folders, notes and empty files, too."""
    found = {name: _content_of(root / name) for name in _names(root, (inside,))}
    for folder, names, _ in os.walk(root):
        relative = os.path.relpath(folder, root)
        if not relative.startswith(inside):
            found |= {os.path.join(relative, name): "folder" for name in names}
    return found


def must_equal(found, whole, told):
    """Raises `Wrong` with the names that differ, unless two folders have the same content."""
    if found == whole:
        return
    missing = sorted(whole.keys() - found.keys())
    more = sorted(found.keys() - whole.keys())
    other = sorted(name for name in whole.keys() & found.keys() if whole[name] != found[name])
    parts = [("missing", missing), ("too many", more), ("other bytes", other)]
    raise Wrong(f"{told}: " + "; ".join(f"{what}: {', '.join(names[:4])}" for what, names in parts if names))


def _names(root, leave_out):
    """Yields the names of files and links below a folder, but those that begin as one of `leave_out`."""
    for folder, names, files in os.walk(root):
        for name in [*files, *(name for name in names if os.path.islink(os.path.join(folder, name)))]:
            relative = os.path.relpath(os.path.join(folder, name), root)
            if not relative.startswith(tuple(leave_out)):
                yield relative


def _content_of(path):
    try:
        if os.path.islink(path):
            return f"link to {os.readlink(path)}"
        if not os.path.isfile(path):
            return "no regular file"
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return "gone"
