"""Chat templates, which come from the hub and are programs: they end, within bounds of steps and of text."""

import json

from ..judge import must
from .endure import OUT, endure
from .mutate import ODD_WORDS

CHAT = '{"messages": [{"role": "user", "content": "What is a river?"}, {"role": "assistant", "content": "Water."}]}\n'
TURNS = "{% for m in messages %}<{{ m.role }}>{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}"
"""An honest template."""


def cases():
    """Yields the names of cases and what they do: named harm first, then random programs without end."""
    for name, template in HARM.items():
        yield f"hostile/templates/{name}", lambda place, t=template: hostile(place, t() if callable(t) else t)
    for name, template in HARMLESS.items():
        yield f"hostile/templates/harmless-{name}", lambda place, t=template: harmless(place, t)
    number = 0
    while True:
        yield f"hostile/templates/random/{number}", random_program
        number += 1


def hostile(place, template):
    """Renders a template that asks for too much: it is refused, in its task or beside its tokenizer."""
    endure(place, *_sft(place, template), statuses={1, 2})
    place.copy(place.material.tokenizer, "tokenizer/tokenizer.json")
    place.write("tokenizer/tokenizer_config.json", json.dumps({"chat_template": template}))
    place.write("task.toml", "[chat]\n[splits.train]\nsource = 'chat.jsonl'\n")
    words = ("--tokenizer", "tokenizer", "--max-length", "64", "--out", f"{OUT}/beside")
    endure(place, "sft", "--task-file", "task.toml", *words, statuses={1, 2})
    must(not (place.folder / OUT / "manifest.json").exists(), "refused, and left a manifest")


def harmless(place, template):
    """Renders a template that does much, and not too much."""
    endure(place, *_sft(place, template + TURNS), statuses={0})


def random_program(place):
    """Renders a template put together at random: it ends, and twice in the same way."""
    template = _block(place.draw, 0) + TURNS
    statuses = {endure(place, *_sft(place, template, out)).status for out in ("one", "two")}
    must(len(statuses) == 1, f"two runs end otherwise: {statuses}")


def _sft(place, template, out="task"):
    place.write("chat.jsonl", CHAT)
    text = json.dumps(template, ensure_ascii=False).replace("\x7f", "\\u007f")
    place.write("task.toml", f"[chat]\ntemplate = {text}\n[splits.train]\nsource = 'chat.jsonl'\n")
    words = ("--tokenizer", place.material.tokenizer, "--max-length", "64", "--out", f"{OUT}/{out}")
    return ("sft", "--task-file", "task.toml", *words)


def _doubled(start, times, join="~"):
    step = "{% set ns.x = ns.x " + join + " ns.x %}"
    return "{% set ns = namespace(x=" + start + ") %}" + step * times + "{{ ns.x | length }}"


def _grown(start, step, times, end=""):
    """A value that each turn of a loop makes of the last one."""
    return (
        "{% set ns = namespace(x=" + start + ") %}{% for a in range(" + str(times) + ") %}"
        "{% set ns.x = " + step + " %}{% endfor %}" + end
    )


def _nested_loops(depth, length, body=""):
    return ("{% for a in range(" + str(length) + ") %}") * depth + body + "{% endfor %}" * depth


HARM = {
    "range-huge": "{% for a in range(1000000000) %}{% endfor %}",
    "loops-2": _nested_loops(2, 99_999),
    "loops-3-text": _nested_loops(3, 1000, "text"),
    "loops-5": _nested_loops(5, 1000),
    "loop-text": _nested_loops(2, 30_000, "a" * 1000),
    "doubled-text": _doubled("'aaaaaaaa'", 40),
    "doubled-list": _doubled("[1, 2, 3]", 40, "+"),
    "doubled-in-loop": _grown("'a'", "ns.x ~ ns.x", 60, "{{ ns.x }}"),
    "doubled-by-format": _grown("'a'", "'%s%s' % (ns.x, ns.x)", 60),
    "doubled-by-replace": _grown("'a'", "ns.x | replace('a', 'aa')", 60),
    "doubled-by-join": _grown("'a'", "[ns.x, ns.x] | join('')", 60),
    "doubled-by-tojson": _grown("'\"\\\\'", "ns.x | tojson", 60),
    "nested-lists": _grown("[]", "[ns.x]", 100000, "{{ ns.x }}"),
    "nested-lists-tojson": _grown("[]", "[ns.x]", 100000, "{{ ns.x | tojson }}"),
    "nested-maps": _grown("{}", "{'a': ns.x}", 100000, "{{ ns.x }}"),
    "shared-lists": _grown("[1]", "[ns.x, ns.x]", 60, "{{ ns.x }}"),
    "shared-lists-tojson": _grown("[1]", "[ns.x, ns.x]", 60, "{{ ns.x | tojson }}"),
    "shared-lists-compared": _grown(
        "[1], y=[1]", "[ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y]", 60, "{{ 1/0 if ns.x == ns.y else 1/0 }}"
    ),
    "indent-filter": "{{ 'a' | indent(1000000000) }}{{ ('a\n' * 2) | indent(1000000000) }}",
    "joined": "{{ range(99999) | join('" + "a" * 100_000 + "') }}",
    "replaced": "{{ 'a' * 1 }}{% set x %}{% for a in range(90000) %}a{% endfor %}{% endset %}{{ x | replace('a', x) }}",
    "tojson-indent": "{{ [[1, 2], [3]] | tojson(indent=2000000000) }}",
    "times": "{{ 'a' * 10 ** 10 }}",
    "times-list": "{{ [1] * 10 ** 10 }}",
    "power": "{{ 10 ** (10 ** 9) }}",
    "power-chain": "{{ 9 ** 9 ** 9 ** 9 }}",
    "center": "{{ 'a' | center(2000000000) }}{{ 'a'.center(2000000000) }}",
    "ljust": "{{ 'a'.ljust(2000000000) }}",
    "zfill": "{{ 'a'.zfill(2000000000) }}",
    "format-width": "{{ '%2000000000s' % 'a' }}",
    "format-filter": "{{ '%2000000000d' | format(1) }}",
    "batch": "{{ [1] | batch(2000000000, 'a') | list }}",
    "slice": "{{ [1] | slice(2000000000) | list }}",
    "list-of-range": "{{ range(99999) | list | list | tojson }}"
    + "{% for a in range(99999) | list %}{% for b in range(99999) | list %}{% endfor %}{% endfor %}",
    "sorted": "{% for a in range(99999) %}{{ range(99999) | sort | length }}{% endfor %}",
    "macro-recursive": "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "macro-doubling": "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}a{% endmacro %}{{ f(60) }}",
    "macro-mutual": "{% macro f(x) %}{{ g(x) }}{% endmacro %}{% macro g(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "loop-recursive": "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import '/etc/passwd' as x %}",
    "extends": "{% extends '/etc/passwd' %}",
    "includes-itself": "{% include 'chat' %}",
    "extends-itself": "{% extends 'chat' %}{% block a %}{% endblock %}",
    "filter-missing": "{{ 1 | system('touch evil') }}",
    "attribute-class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "not-200k": lambda: "{{ " + "not " * 200_000 + "a }}",
    "minus-200k": lambda: "{{ " + "-" * 200_000 + "1 }}",
    "dots-200k": lambda: "{{ x" + ".a" * 200_000 + " }}",
    "filters-200k": lambda: "{{ x" + "|upper" * 200_000 + " }}",
    "brackets-200k": lambda: "{{ " + "(" * 200_000 + "1" + ")" * 200_000 + " }}",
    "lists-200k": lambda: "{{ " + "[" * 200_000 + "]" * 200_000 + " }}",
    "maps-200k": lambda: "{{ " + "{'a':" * 200_000 + "1" + "}" * 200_000 + " }}",
    "calls-200k": lambda: "{{ x" + "()" * 200_000 + " }}",
    "indexes-200k": lambda: "{{ x" + "[0]" * 200_000 + " }}",
    "plus-200k": lambda: "{{ 1" + "+1" * 200_000 + " }}" + "{{ 1 / 0 }}",
    "tilde-200k": lambda: "{{ 1" + "~1" * 200_000 + " }}" + "{{ 1 / 0 }}",
    "and-200k": lambda: "{{ 1" + " and 1" * 200_000 + " }}" + "{{ 1 / 0 }}",
    "else-200k": lambda: "{{ 1" + " if a else 1" * 200_000 + " }}" + "{{ 1 / 0 }}",
    "ifs-20k": lambda: "{% if a %}" * 20_000 + "{% endif %}" * 20_000 + "{{ 1 / 0 }}",
    "fors-20k": lambda: "{% for a in b %}" * 20_000 + "{% endfor %}" * 20_000 + "{{ 1 / 0 }}",
    "elifs-100k": lambda: "{% if a %}" + "{% elif a %}" * 100_000 + "{% endif %}" + "{{ 1 / 0 }}",
    "blocks-20k": lambda: (
        "".join("{%% block a%d %%}" % n for n in range(20_000)) + "{% endblock %}" * 20_000 + "{{ 1 / 0 }}"
    ),
    "not-in-test-1k": lambda: "{{ " + "not " * 1_000 + "a" + " is defined" * 100_000 + " }}",
    "under-the-bound": lambda: "{{ " + "(" * 2_000 + "1" + ")" * 2_000 + " / 0 }}",
    "long": lambda: "a" * 30_000_000 + "{{ 1 / 0 }}",
    "open": "{{ messages",
    "open-block": "{% for m in messages %}",
    "open-comment": "{# " + "a" * 1000,
    "zero": "{{ 1 // 0 }}{{ 1 % 0 }}",
    "smallest-by-minus-one": "{{ (-9223372036854775807 - 1) // -1 }}{{ (-9223372036854775807 - 1) % -1 }}{{ 1 / 0 }}",
    "slice-huge": "{{ 'abc'[-9223372036854775807:9223372036854775807:9223372036854775807] }}{{ 1 / 0 }}",
    "slice-zero": "{{ 'abc'[::0] }}{{ 1 / 0 }}",
    "split-empty": "{{ 'abc'.split('') }}{{ 1 / 0 }}",
    "marks": "{{ '\U0010fffc' }}{{ '\U0010fffd' }}{{ 1 / 0 }}",
    "date": "{{ strftime_now('%10000000000d') }}{{ strftime_now('%' * 1) }}{{ 1 / 0 }}",
    "raises-for-ever": "{% for a in range(99999) %}{% for b in range(99999) %}{% if b < 0 %}{{ raise_exception('a') }}{% endif %}{% endfor %}{% endfor %}",
}
"""Templates that ask for too much or are no templates, by name."""

HARMLESS = {
    "loop": _nested_loops(1, 20_000),
    "loops": _nested_loops(2, 100),
    "text": _nested_loops(1, 10_000, "a" * 10),
    "brackets": "{% if " + "(" * 40 + "true" + ")" * 40 + " %}{% endif %}",
    "sets": "{% set a = 1 %}" * 5000,
    "ifs": "{% if true %}" * 60 + "{% endif %}" * 60,
}
"""What a template may do, before an honest one."""

_VALUES = (
    "1",
    "'a'",
    "messages",
    "ns.x",
    "[1, ns.x]",
    "range(300)",
    "{'a': ns.x}",
    "none",
    "-1",
    "10 ** 18",
    "loop",
    "''",
)
_FILTERS = (
    "length",
    "upper",
    "tojson",
    "list",
    "join('ab')",
    "replace('a', 'bbb')",
    "indent(3)",
    "sort",
    "reverse",
    "string",
    "trim",
    "batch(3)",
    "unique",
    "tojson(indent=9)",
    "first",
    "int",
)
_JOINS = ("+", "~", "*", "-", "//", "%", "==", "in", "**", "and", "or")


def _block(draw, depth):
    """Puts a random program together: blocks within blocks."""
    what = draw.randrange(7) if depth < 6 else 6
    inner = "".join(_block(draw, depth + 1) for _ in range(draw.randint(1, 3))) if what < 4 else ""
    if what == 0:
        return "{% for a in " + _expression(draw) + " %}" + inner + "{% endfor %}"
    if what == 1:
        return "{% if " + _expression(draw) + " %}" + inner + "{% else %}b{% endif %}"
    if what == 2:
        return "{% macro f(x) %}" + inner + "{% endmacro %}{{ f(" + _expression(draw) + ") }}"
    if what == 3:
        return "{% set ns = namespace(x='a') %}{% for a in range(40) %}" + inner + "{% endfor %}"
    if what == 4:
        return "{% set ns = namespace(x=" + _expression(draw) + ") %}"
    if what == 5:
        return "{% set ns.x = " + _expression(draw) + " %}"
    broken = draw.choice(ODD_WORDS).decode() if draw.random() < 0.02 else ""
    return "{{ " + _expression(draw) + broken + " }}"


def _expression(draw, depth=0):
    if depth > 3 or draw.random() < 0.3:
        return draw.choice(_VALUES)
    if draw.random() < 0.4:
        return f"({_expression(draw, depth + 1)}) | {draw.choice(_FILTERS)}"
    return f"({_expression(draw, depth + 1)} {draw.choice(_JOINS)} {_expression(draw, depth + 1)})"
