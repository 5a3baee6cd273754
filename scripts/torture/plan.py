"""Which cases are run: how many of each kind, for how long, and on how many workers."""

import itertools
import random
import shutil
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from . import disks, kills, limits, signals, stale
from .hostile import artifacts, documents, layouts, settings, templates, tokenizers
from .judge import Wrong
from .place import Place


@dataclass(frozen=True)
class Kind:
    """One kind of trial."""

    name: str
    told: str
    """What one of its trials is, in the table."""
    cases: object
    """Yields names and what they do; without end where a case draws."""
    brief: int
    """How many trials the brief form makes, at least."""
    long: int
    """How many the long form makes in its first round."""
    by_case: bool = False
    """Whether a case counts as one trial, however many commands it gives."""
    mixed: bool = False
    """Whether its cases come in an order of the seed, so that a small quota meets all sorts."""


def _round_robin(modules):
    """Takes a case of each module in turn, until all have ended: a quota is then spread over all of them."""

    def cases():
        running = [module.cases() for module in modules]
        while running:
            for one in list(running):
                case = next(one, None)
                if case is None:
                    running.remove(one)
                else:
                    yield case

    return cases


HOSTILE = (artifacts, layouts, documents, templates, tokenizers, settings)

KINDS = (
    Kind("kills", "SIGKILLs at random moments", kills.cases, 100, 1000),
    Kind("signals", "SIGINTs and SIGTERMs", signals.cases, 30, 150),
    Kind("disks", "full disks, then room and the same command", disks.cases, 24, 80),
    Kind(
        "limits",
        "limits, surroundings, odd names, no files, runs at once",
        limits.cases,
        60,
        10_000,
        by_case=True,
        mixed=True,
    ),
    Kind("stale", "inputs changed after, during and between runs", stale.cases, 30, 300, mixed=True),
    Kind("hostile", "hostile files", _round_robin(HOSTILE), 240, 2_000, by_case=True, mixed=True),
)


@dataclass(frozen=True)
class Outcome:
    """What became of one case."""

    kind: str
    name: str
    trials: int
    seconds: float
    worst: dict
    wrong: str | None


class Plan:
    """The cases of one sitting, in an order that the seed decides."""

    def __init__(self, program, material, root, seed, workers, keep, repeat):
        self._program, self._material, self._root = program, material, root
        self._seed, self._workers, self._keep, self._repeat = seed, workers, keep, repeat
        self._deadline = None
        self._lock = threading.Lock()
        self.outcomes = []

    def run(self, quotas, minutes):
        """Runs so many trials of each kind; then, where minutes are given, further rounds until they are over."""
        self._deadline = None if minutes is None else time.monotonic() + 60 * minutes
        rounds = [(kind, _Shuffled(kind, self._seed)) for kind in KINDS if quotas.get(kind.name)]
        for number in itertools.count():
            for kind, cases in rounds:
                # Later rounds are of drawn cases alone; the named ones are over.
                share = quotas[kind.name] if number == 0 else max(quotas[kind.name] // 10, 1)
                self._run_kind(kind, cases, share)
            if self._deadline is None or self._is_over():
                return

    def run_one(self, name):
        """Runs the one case of a name."""
        kind = next((kind for kind in KINDS if name.startswith(kind.name + "/")), None)
        if kind is None:
            return False
        for number, (found, body) in enumerate(kind.cases()):
            if found == name:
                self._try(kind, found, body)
                return True
            if number > 200_000:
                return False
        return False

    def _run_kind(self, kind, cases, quota):
        done = 0

        def work():
            nonlocal done
            while True:
                with self._lock:
                    if done >= quota or self._is_over():
                        return
                    case = cases.next()
                    if case is None:
                        return
                trials = self._try(kind, *case)
                with self._lock:
                    done += trials

        with ThreadPoolExecutor(self._workers) as pool:
            try:
                for worker in [pool.submit(work) for _ in range(self._workers)]:
                    worker.result()
            except BaseException:
                # The user has enough: what runs ends, and nothing begins.
                self._deadline = 0
                raise

    def _try(self, kind, name, body):
        folder = self._root / "cases" / name.replace("/", "-")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        place = Place(folder, self._program, self._material, random.Random(f"{self._seed}/{name}"))
        begun, wrong = time.monotonic(), None
        try:
            body(place)
        except Wrong as broken:
            wrong = str(broken)
        except Exception:
            wrong = "the trial itself failed\n" + traceback.format_exc()
        trials = 1 if kind.by_case else max(place.done, 1)
        outcome = Outcome(kind.name, name, trials, time.monotonic() - begun, place.worst, wrong)
        if wrong is not None:
            with self._lock:
                print(f"WRONG {name}: {wrong}\n      again: {self._repeat(name)}\n      folder: {folder}", flush=True)
        elif not self._keep:
            shutil.rmtree(folder, ignore_errors=True)
        with self._lock:
            self.outcomes.append(outcome)
        return trials

    def _is_over(self):
        return self._deadline is not None and time.monotonic() >= self._deadline


class _Shuffled:
    """Cases of a kind, the first few hundred in an order of the seed where the kind is mixed."""

    WINDOW = 700

    def __init__(self, kind, seed):
        self._cases = kind.cases()
        self._window = list(itertools.islice(self._cases, self.WINDOW)) if kind.mixed else []
        random.Random(f"{seed}/{kind.name}").shuffle(self._window)

    def next(self):
        return self._window.pop() if self._window else next(self._cases, None)
