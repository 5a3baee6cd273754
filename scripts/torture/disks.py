"""Full disks: an error that says so, no torn file, and with room again the same command ends with the same bytes.

Where a file system can be mounted, the disk is a real one: a `tmpfs` of a size, or of a number of files, that is
drawn. Elsewhere a limit on the size of files stands for it, which the system tells in other words.
"""

import contextlib
import os
import shutil
import subprocess
import time

from .jobs import JOBS, OUT, must_end
from .judge import must, shown
from .place import must_equal
from .program import Limits

ROOM = "size=2g,nr_inodes=100k"
MENTIONS = ("No space left", "File too large", "Disk quota", "the disk of")
"""What the system says of a disk that is full, and a job that sees it coming."""


def cases():
    """Yields the names of cases and what they do, without end."""
    number = 0
    while True:
        for job in JOBS:
            yield f"disks/{job.name}/{number}", lambda place, job=job: fill(place, job)
        number += 1


def fill(place, job):
    """Runs a job on a disk that is too small, then on one with room."""
    words = job.words(place)
    disk = place.folder / OUT
    disk.mkdir()
    if not can_mount():
        return _fill_by_limit(place, job, words)
    with mounted(disk):
        place.run(*words, statuses={0})
        whole = job.result(place)
        used = _used(disk)
        _empty(disk)
        for bound in (
            f"size={int(used * place.draw.uniform(0.02, 0.98)) >> 12 << 12 or 4096}",
            _few_files(place, disk),
        ):
            _remount(disk, bound)
            ended = place.run(*words, statuses={0, 1})
            place.done += 1
            if ended.status == 1:
                must(_mentioned(place, job, ended), f"{bound}: no word of the full disk{shown(ended)}")
            else:
                must_equal(job.result(place), whole, f"{bound}: there was room enough")
            _remount(disk, ROOM)
            must_end(place, job, words, whole, f"{bound}, then room and the same command")
            _empty(disk)


def _fill_by_limit(place, job, words):
    place.run(*words, statuses={0})
    whole = job.result(place)
    largest = max(path.stat().st_size for path in (place.folder / OUT).rglob("*") if path.is_file())
    for _ in range(2):
        shutil.rmtree(place.folder / OUT)
        bound = int(largest * place.draw.random())
        ended = place.run(*words, statuses={0, 1}, limits=Limits(file_bytes=bound))
        place.done += 1
        if ended.status == 1:
            must(_mentioned(place, job, ended), f"files of {bound} bytes at most: no word of it{shown(ended)}")
        must_end(place, job, words, whole, f"files of {bound} bytes at most, then room and the same command")


def _mentioned(place, job, ended):
    """Returns whether the full disk was named: by the command, or in the log that a run leads to.

    Where there is no room for a log either, a run can only say that a step failed.
    """
    logs = list((place.folder / OUT / "runs").glob("*/*.log"))
    said = [ended.stderr, *(log.read_text("utf-8", "replace") for log in logs)]
    if job.pipeline and not any(said[1:]) and "failed" in ended.stderr:
        return True
    return any(mention in text for mention in MENTIONS for text in said)


def can_mount():
    """Returns whether this user may mount file systems."""
    return os.geteuid() == 0 and shutil.which("mount") is not None and _mounts


@contextlib.contextmanager
def mounted(folder, options=ROOM):
    """Mounts a file system of its own on a folder, for a while."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "torture", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _try_to_mount():
    """Mounts once and takes it back: in a container, root may not."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        try:
            with mounted(folder):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


_mounts = os.geteuid() == 0 and shutil.which("mount") is not None and _try_to_mount()


def _remount(folder, options):
    """Gives a disk other bounds; what a killed process wrote may still be counted for a moment."""
    for pause in (0.1, 0.5, 2):
        if subprocess.run(["mount", "-o", f"remount,{options}", folder], stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(pause)
    raise OSError(f"{folder}: cannot be given {options}")


def _used(folder):
    state = os.statvfs(folder)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


def _few_files(place, folder):
    """Draws a number of files that is too small, in the words of `mount`."""
    return f"nr_inodes={place.draw.randint(2, 12)}"


def _empty(folder):
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
