"""SIGKILL at random moments: the same command goes on, and ends with the bytes of an undisturbed run.

A case is one job, in a folder of its own. It is run once without a disturbance, at the very path that is
used again, so that even a path that reaches a result would be the same. Then it is killed in chains: up to
13 kills in a row, each at a moment drawn within the time of the undisturbed run, and at last the same
command until it ends. At every kill, each file that stands under a final name has to be whole already.
"""

import json
import shutil

from .jobs import JOBS, OUT, must_end
from .judge import Wrong
from .place import content

LONGEST_CHAIN = 13
CHAINS = 3
"""Chains of a case; each begins with an empty folder."""

WHOLE = "whole"
"""The folder that keeps the manifests of the undisturbed run."""


def cases():
    """Yields the names of cases and what they do, without end: every job, again and again."""
    kinds = [(job, False) for job in JOBS]
    # The run of a pipeline has children, which a kill of their parent leaves alone.
    kinds += [(job, True) for job in JOBS if job.pipeline]
    number = 0
    while True:
        for job, alone in kinds:
            series = f"{job.name}-parent" if alone else job.name
            yield f"kills/{series}/{number}", lambda place, job=job, alone=alone: kill_often(place, job, alone)
        number += 1


def kill_often(place, job, alone):
    """Kills a job in chains, and holds what is left to the undisturbed run."""
    words = job.words(place)
    apart = _files_apart(place, job, words)
    whole_run = place.run(*words, statuses={0})
    whole = job.result(place)
    for name in job.growing:
        place.copy(place.folder / OUT / name, f"{WHOLE}/{name}")
    for chain in range(CHAINS):
        shutil.rmtree(place.folder / OUT)
        for kill in range(place.draw.randint(1, LONGEST_CHAIN)):
            # Early moments are drawn more often: a run that goes on has less left to do.
            moment = whole_run.seconds * 1.1 * place.draw.random() ** 1.5
            told = f"chain {chain}, kill {kill} after {moment * 1000:.1f} ms"
            running = place.start(*words)
            ended = running.wait(moment)
            if ended is None:
                running.kill(group=not alone)
                place.done += 1
                _must_be_whole(place, job, whole, apart, told)
            else:
                break
        must_end(place, job, words, whole, f"chain {chain}, after {place.done} kills in all")


def _files_apart(place, job, words):
    """Returns other files that may be whole under a final name before the job ends: shards to be merged."""
    if not job.apart:
        return {}
    place.run(*(word for word in words if word not in job.apart), statuses={0})
    apart = content(place.folder / OUT)
    shutil.rmtree(place.folder / OUT)
    return apart


def _must_be_whole(place, job, whole, apart, told):
    """Holds every file under a final name, at this moment, to the undisturbed run's."""
    for name, what in job.final_names(place).items():
        may_be = (whole.get(name), apart.get(name))
        if what in may_be or (name in job.growing and _has_some_splits(place, name)):
            continue
        raise Wrong(f"{told}: {name} has its final name and is not whole")


def _has_some_splits(place, name):
    """Returns whether a manifest is the undisturbed run's, but for splits that are still to come."""
    found = json.loads((place.folder / OUT / name).read_bytes())
    whole = json.loads((place.folder / WHOLE / name).read_bytes())
    return found["splits"].items() < whole["splits"].items()
