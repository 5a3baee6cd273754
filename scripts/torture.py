#!/usr/bin/env python3
"""Kill `ratdata`, fill its disks, take things away from it, and feed it hostile files; say what was wrong.

    cargo build --release
    scripts/torture.py                                  # a minute
    scripts/torture.py --hour --markdown                # the table of docs/reliability.md
    scripts/torture.py --only kills --kills 5000
    scripts/torture.py --seed 7 --case hostile/templates/loops-3-text

Python's standard library is enough. Every case follows from the seed and its name, so a case that went wrong
is repeated alone by the command that is printed with it; its folder stays. The moments of kills are shares of
the time that an undisturbed run takes, so they hit other instructions on another machine. Root may mount small
file systems, and then full disks are real. Exit status: 0 nothing wrong, 1 something wrong, 2 usage.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from torture.material import Material
from torture.plan import KINDS, Plan
from torture.program import Program
from torture.totals import table, worst

ROOT = Path(__file__).resolve().parent.parent
TEXTS = {"brief": 300, "long": 900}
"""How many texts the smaller files of the material have: kills need work to interrupt."""


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/ratdata", help="the program under test")
    parser.add_argument("--seed", type=int, default=1, help="what everything is drawn from")
    parser.add_argument("--hour", action="store_true", help="the long form, and further rounds until an hour is over")
    parser.add_argument(
        "--minutes", type=float, help="further rounds until so many minutes are over; none begins later"
    )
    for kind in KINDS:
        told = f"{kind.told}: how many, at least [{kind.brief}, or {kind.long} with --hour]"
        parser.add_argument(f"--{kind.name}", type=int, metavar="N", help=told)
    parser.add_argument("--only", choices=[kind.name for kind in KINDS], action="append", help="this kind alone")
    parser.add_argument("--case", metavar="NAME", action="append", help="this case alone")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="cases at once")
    parser.add_argument("--patience", type=float, default=1.0, help="stretch all time limits by this, for slow builds")
    parser.add_argument("--folder", type=Path, help="where to work [default: a temporary folder]")
    parser.add_argument("--keep", action="store_true", help="keep the folders of cases that went well, too")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown, with counts by command")
    return parser.parse_args()


def main():
    given = options()
    if not given.program.is_file():
        sys.exit(f"{given.program}: no such program\nhint: cargo build --release, or --program")
    # A scheduler's SIGTERM takes mounted disks and folders back, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    root = given.folder or Path(tempfile.mkdtemp(prefix="ratdata-torture-"))
    root = root.resolve()
    begun = time.monotonic()
    program = Program(given.program.resolve(), given.patience)
    shutil.rmtree(root / "material", ignore_errors=True)
    material = Material(root / "material", program, given.seed, TEXTS["long" if given.hour else "brief"])
    plan = Plan(program, material, root, given.seed, given.workers, given.keep, lambda name: repeat(given, name))
    if given.case:
        for name in given.case:
            if not plan.run_one(name):
                sys.exit(f"{name}: no such case")
    else:
        plan.run(quotas(given), 60 if given.hour else given.minutes)
    return report(given, plan, root, time.monotonic() - begun)


def quotas(given):
    """Returns how many trials of each kind are asked for."""
    asked = {}
    for kind in KINDS:
        if not given.only or kind.name in given.only:
            own = getattr(given, kind.name)
            asked[kind.name] = own if own is not None else kind.long if given.hour else kind.brief
    return asked


def repeat(given, name):
    """Returns the command that repeats one case."""
    more = "".join([" --hour" if given.hour else "", f" --patience {given.patience:g}" if given.patience != 1 else ""])
    return f"scripts/torture.py --program {given.program} --seed {given.seed}{more} --case {name}"


def report(given, plan, root, seconds):
    """Prints the table and the totals; returns the exit status."""
    wrong = [outcome for outcome in plan.outcomes if outcome.wrong is not None]
    print(f"\n{table(plan.outcomes, given.markdown)}\n")
    for line in worst(plan.outcomes):
        print(line)
    if not wrong and not given.keep and not given.folder:
        shutil.rmtree(root, ignore_errors=True)
    trials = sum(outcome.trials for outcome in plan.outcomes)
    print(f"seed {given.seed}, {len(plan.outcomes)} cases, {trials} trials, {seconds:.0f} s")
    print(f"{len(plan.outcomes) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
