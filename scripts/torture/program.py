"""The program under test: started in a process group of its own, and how it ended."""

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

MOST_SAID = 1 << 20
"""Bytes of each stream that are kept; what follows is a flood, and nobody reads it."""


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    command: str
    status: int
    """Its exit status, or minus the signal that ended it."""
    seconds: float
    peak_mib: int
    """The most memory that it, or a child that it waited for, had in use."""
    stdout: str
    stderr: str
    timed_out: bool = False


@dataclass(frozen=True)
class Limits:
    """Bounds that the system sets a process; none where they are left out."""

    seconds: float = 60
    memory_mib: int | None = None
    """Of address space."""
    file_bytes: int | None = None
    files: int | None = None
    """Open at once."""

    def words(self):
        """Returns the words that set them before the program is started."""
        bounds = {
            "--as": None if self.memory_mib is None else self.memory_mib << 20,
            "--fsize": self.file_bytes,
            "--nofile": self.files,
        }
        words = [f"{option}={bound}" for option, bound in bounds.items() if bound is not None]
        return ["prlimit", *words] if words else []


class Running:
    """A process that was started, with the group of its children."""

    def __init__(self, words, folder, environment, stdout, stderr):
        self.command = " ".join(words)
        self._out = stdout or _open_nameless()
        self._err = stderr or _open_nameless()
        self._said = (stdout is None, stderr is None)
        self.begun = time.monotonic()
        self._process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            start_new_session=True,
        )
        self.pid = self._process.pid

    def wait(self, seconds):
        """Waits so long; returns how it ended, or None where it still runs."""
        until = time.monotonic() + seconds
        pause = 0.0005
        while True:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                return self._ended(status, usage)
            left = until - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 0.02)

    def signal(self, number, *, group=False):
        """Sends a signal to the process, or to all of its group; one that has gone gets none."""
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def kill(self, *, group=True):
        """Kills it and returns how it ended."""
        self.signal(signal.SIGKILL, group=group)
        _, status, usage = os.wait4(self.pid, 0)
        return self._ended(status, usage)

    def _ended(self, status, usage):
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        said = []
        for stream, ours in zip((self._out, self._err), self._said):
            text = b""
            if ours:
                stream.seek(0)
                text = stream.read(MOST_SAID)
                stream.close()
            said.append(text.decode("utf-8", "replace"))
        seconds = time.monotonic() - self.begun
        return Ended(self.command, code, seconds, usage.ru_maxrss >> 10, *said)

    def finish(self, seconds):
        """Waits for the end; a process that takes longer is killed, and said to have timed out."""
        ended = self.wait(seconds)
        if ended is not None:
            return ended
        return replace(self.kill(), timed_out=True)


def _open_nameless():
    """Opens a file without a name, so that no folder shows it and no reader is needed."""
    return os.fdopen(os.memfd_create("said"), "w+b", buffering=0)


@dataclass(frozen=True)
class Program:
    """The program under test."""

    path: Path
    patience: float = 1.0
    """By how much every time limit is stretched: for slow machines, and builds without optimization."""

    def start(self, arguments, folder, *, environment=None, limits=Limits(), stdout=None, stderr=None):
        """Starts the program in `folder`."""
        words = [*limits.words(), str(self.path), *map(str, arguments)]
        return Running(words, folder, environment, stdout, stderr)

    def run(self, arguments, folder, *, environment=None, limits=Limits(), stdout=None, stderr=None):
        """Runs the program in `folder` to its end, or to the end of its time."""
        running = self.start(arguments, folder, environment=environment, limits=limits, stdout=stdout, stderr=stderr)
        return running.finish(limits.seconds * self.patience)
