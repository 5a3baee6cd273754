"""The results as one table of Markdown."""

import statistics

COLUMNS = {
    "load": "load, ms",
    "cold": "first {head} MB with loading",
    "warm": "warm, 1 thread",
    "warm_all": "warm, {threads} threads",
    "job": "Parquet to bins, {threads} threads",
}
SMALLER = {"load"}


def median(values):
    return statistics.median(values) if values else None


def figure(values, kind):
    value = median(values)
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def ratio(column, ours, theirs):
    return theirs / ours if column in SMALLER else ours / theirs


def table(results, spread=False):
    """Returns the table: for each tokenizer, ours at each level, with ratios to the fastest exact peer, then peers."""
    head = {name: text.format(**results["settings"]) for name, text in COLUMNS.items()}
    lines = ["| tokenizer | program | " + " | ".join(head.values()) + " |", "|---" * (2 + len(head)) + "|"]
    for tokenizer, programs in results["rates"].items():
        peers = {name: rates for name, rates in programs.items() if not name.startswith("ratdata")}
        best = {}
        for column in COLUMNS:
            there = {name: median(rates[column]) for name, rates in peers.items() if rates.get(column)}
            if there:
                pick = min if column in SMALLER else max
                best[column] = pick(there.values())
        for program, rates in sorted(programs.items(), key=order):
            cells = []
            for column in COLUMNS:
                seen = rates.get(column)
                cell = figure(seen, column)
                if spread and seen and len(seen) > 1:
                    cell += f" ({min(seen):.0f}–{max(seen):.0f})"
                if program.startswith("ratdata") and seen and column in best:
                    cell += f", {ratio(column, median(seen), best[column]):.1f}×"
                elif seen and column in best and median(seen) == best[column]:
                    cell = f"**{cell}**"
                cells.append(cell)
            lines.append(f"| {tokenizer} | {program} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *left_out(results)])


def order(item):
    """Ours first, then peers by their warm rate."""
    name, rates = item
    return (not name.startswith("ratdata"), -(median(rates.get("warm") or rates.get("cold")) or 0), name)


def left_out(results):
    """Says which peers are not in the table, and why."""
    lines = []
    for peer, why in results["missing"].items():
        lines.append(f"- {peer} is not installed: {why}")
    for tokenizer, verdicts in results["agreement"].items():
        for program, verdict in verdicts.items():
            if verdict:
                lines.append(f"- {tokenizer}, {program}: {verdict}")
    return lines
