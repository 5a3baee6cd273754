"""What every ending of the program must keep, whatever was done to it."""

import re
import signal

STATUSES = frozenset({0, 1, 2, 3})
"""Done, failed, wrong usage, an artifact that is not what its manifest says."""

PANIC = re.compile(
    r"panicked at|RUST_BACKTRACE|stack backtrace|has overflowed its stack|memory allocation of|internal error"
)
"""What a Rust program says when it ends by a mistake of its own."""


class Wrong(Exception):
    """A promise was broken."""


def must(kept, told):
    """Raises `Wrong` where a promise was not kept."""
    if not kept:
        raise Wrong(told)


def judge(ended, *, statuses=STATUSES, peak_mib=None):
    """Raises `Wrong` unless the program ended by itself, in time, with a status and memory that it may have."""
    said = shown(ended)
    must(not ended.timed_out, f"no end after {ended.seconds:.0f} s, {ended.peak_mib} MiB{said}")
    if ended.status < 0:
        raise Wrong(f"ended by {signal.Signals(-ended.status).name}{said}")
    must(not PANIC.search(ended.stderr + ended.stdout), f"panicked{said}")
    must(ended.status in statuses, f"status {ended.status}, expected {expected(statuses)}{said}")
    if ended.status not in (0, 4):
        must(ended.stderr.strip() or ended.stdout.strip(), f"status {ended.status} without a word{said}")
    if peak_mib is not None:
        must(ended.peak_mib <= peak_mib, f"{ended.peak_mib} MiB of memory, at most {peak_mib} promised{said}")


def expected(statuses):
    return " or ".join(map(str, sorted(statuses)))


def shown(ended):
    """Returns the command and the end of what it said, for a message."""
    lines = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
    tail = "\n".join(f"      | {line[:300]}" for line in lines[-6:])
    return f"\n      $ {ended.command[:600]}" + (f"\n{tail}" if tail else "")
