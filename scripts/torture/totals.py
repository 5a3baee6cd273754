"""The table at the end: what was tried, how often, and what was wrong."""

from collections import Counter, defaultdict

from .plan import KINDS

COLUMNS = ("what", "count", "wrong")


def rows(outcomes):
    """Returns the rows of the table: one a kind, hostile files by their sort."""
    made = []
    for kind in KINDS:
        of_kind = [outcome for outcome in outcomes if outcome.kind == kind.name]
        if not of_kind:
            continue
        if kind.name != "hostile":
            made.append(_row(f"{kind.told} ({_by_part(of_kind, 1)})", of_kind))
            continue
        by_sort = defaultdict(list)
        for outcome in of_kind:
            by_sort[outcome.name.split("/")[1]].append(outcome)
        for sort, several in by_sort.items():
            made.append(_row(f"{kind.told}: {sort}", several))
    return made


def _row(what, outcomes):
    wrong = [outcome for outcome in outcomes if outcome.wrong is not None]
    count = sum(outcome.trials for outcome in outcomes)
    names = Counter(outcome.name.rsplit("/", 1)[-1 if outcome.name.startswith("hostile") else 0] for outcome in wrong)
    return (
        what,
        f"{count:,}",
        f"{len(wrong)}" + (f" ({', '.join(list(names)[:4])}{', …' if len(names) > 4 else ''})" if wrong else ""),
    )


def _by_part(outcomes, part):
    """Returns how many trials each part of a kind had, such as each command."""
    counts = Counter()
    for outcome in outcomes:
        counts[outcome.name.split("/")[part]] += outcome.trials
    if len(counts) > 30:
        return f"{len(counts)} sorts"
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def table(outcomes, markdown):
    """Returns the table as text: in Markdown, or padded for a terminal."""
    lines = [COLUMNS, *rows(outcomes)]
    if markdown:
        lines.insert(1, ("---",) * len(COLUMNS))
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    width = [max(len(line[column].split(" (")[0]) for line in lines) for column in range(2)]
    return "\n".join(f"{what.split(' (')[0]:{width[0]}}  {count:>{width[1]}}  {wrong}" for what, count, wrong in lines)


def worst(outcomes):
    """Returns the largest of what was measured: memory, and time over hostile files."""
    most = {}
    for outcome in outcomes:
        for what, value in outcome.worst.items():
            if value > most.get(what, (0, ""))[0]:
                most[what] = (value, outcome.name)
    return [f"most {what}: {value} in {name}" for what, (value, name) in most.items()]
