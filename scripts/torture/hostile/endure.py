"""What a command keeps whatever its files hold: an end, a status, a bound on memory, and its own folder."""

from ..judge import STATUSES, Wrong, shown
from ..place import outside
from ..program import Limits

SECONDS = 20
"""How long a command over small hostile files may take."""

PEAK_MIB = 1280
"""How much memory it may use: a template may let the program grow by 1 GiB."""

BOUNDS = Limits(seconds=SECONDS, memory_mib=16 << 10, file_bytes=2 << 30)
"""What the system holds it to, so that a broken promise does not break the machine."""

OUT = "deep/down/out"
"""The folder that commands write into: deep enough that a name which climbs out of it stays in the case."""


def endure(place, *words, statuses=STATUSES, peak_mib=PEAK_MIB, bounds=BOUNDS):
    """Runs a command and holds it to its bounds; all that it writes lies in `OUT`."""
    (place.folder / OUT).mkdir(parents=True, exist_ok=True)
    before = outside(place.folder, OUT)
    ended = place.run(*words, statuses=statuses, peak_mib=peak_mib, limits=bounds)
    place.done += 1
    place.measure("seconds over hostile files", round(ended.seconds, 2))
    after = outside(place.folder, OUT)
    if after != before:
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        raise Wrong(f"wrote outside of its folder: {', '.join(changed[:5])}{shown(ended)}")
    return ended
