#!/usr/bin/env python3
"""Compares every decision of `ratdata filter --rules` with datatrove's, text by text.

    python3 -m venv v && v/bin/pip install 'datatrove[processing]' spacy pyarrow
    v/bin/python scripts/check_filters.py target/release/ratdata ../shared

The texts are those of the shared sample, whole and changed so that each rule is tripped: cut, repeated,
with other line ends, in capitals, with bullets, marks, long words, numbers and other scripts. Of C4, the lines
that are kept are compared as well. The script ends with status 1 if any decision differs.
"""

import argparse
import collections
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import pyarrow.parquet
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)

RULES = {
    "gopher_quality": GopherQualityFilter,
    "gopher_repetition": GopherRepetitionFilter,
    "c4": C4QualityFilter,
    "fineweb": FineWebQualityFilter,
}

ODD = [
    "", " ", "\n", "word", "a.\nb.\nc.", "• one\n• two\n- three", "..." * 40, "# " * 60, "lorem ipsum dolor. " * 9,
    "the be to of and that have with " * 10, "It's 5km at 10a.m. (Mr. Smith's) US$5, e.g. C++ and/or :-). " * 8,
    "Ça va? Été «à» la façon “d'ici”… Привет, мир! 你好，世界。これは文です。" * 8,
    "see https://example.com/a?b=c#d, www.test.org. and 192.168.0.1:80 or me@x.co.uk. " * 8,
    "x\u001cy\u0085z\u2028 tab\tand\u00a0nbsp\r\nend. " * 12, "don't can't won't I'm you're we'll they've he'd " * 10,
    "well-known state-of-the-art 1-2 3*4 a=b c/d e:f g<h>i j_k " * 10, "javascript is here.\nIt uses cookies.\n" * 6,
    "one [1] two [edit] three [citation needed] four.\n" * 7, "curly { here.\n" * 6, "\"Quote.\" 'Single.' (Paren.) " * 10,
    "Wait... what?! No!! Yes?? " * 12, "١٢٣ ٤٥٦ हिन्दी में लिखा है। ภาษาไทย 한국어 텍스트. " * 8, "a" * 1200 + " end of it.\n" * 6,
    "Café de l’été: naïve coöperation — “really”? Yes–no. " * 8, "U.S.A. vs. U.K., Inc. and Co. Ltd. Jan. 5th. " * 9,
]


def sample(shared: pathlib.Path) -> list[str]:
    """Returns the texts of the shared sample."""
    texts = []
    for path in sorted((shared / "data/fineweb_edu").glob("*.parquet")):
        texts += pyarrow.parquet.read_table(path, columns=["text"])["text"].to_pylist()
    for path in sorted((shared / "data/edge_cases").glob("*.parquet")):
        texts += [text for text in pyarrow.parquet.read_table(path, columns=["text"])["text"].to_pylist() if text]
    for path in sorted((shared / "data/sft").rglob("*.jsonl"))[:6]:
        for line in path.read_text().splitlines()[:20]:
            texts += [value for value in json.loads(line).values() if isinstance(value, str)]
    return texts


def changed(text: str, draw: random.Random) -> str:
    """Returns a text that trips some rule, maybe."""
    lines = text.split("\n")
    words = text.split(" ")
    kind = draw.randrange(14)
    at = draw.randrange(len(words) + 1)
    if kind == 0:
        return " ".join(words[: draw.randrange(20, 90)])
    if kind == 1:
        return "\n".join(line for line in lines for _ in range(draw.choice([1, 1, 2])))
    if kind == 2:
        return "\n\n".join(lines + lines[: draw.randrange(len(lines) + 1)])
    if kind == 3:
        return text.replace(". ", draw.choice([".\n", "...\n", "…\n", "\r\n", "\u2028"]))
    if kind == 4:
        return "\n".join(draw.choice(["• ", "- ", "", "\t-"]) + line for line in text.replace(". ", ".\n").split("\n"))
    if kind == 5:
        gram = " ".join(words[at : at + draw.randrange(2, 11)])
        return " ".join(words[:at] + [gram] * draw.randrange(2, 40) + words[at:])
    if kind == 6:
        return "".join(draw.choice(["#", "...", "…", ""]) + word + " " for word in words)
    if kind == 7:
        return "".join(draw.choice(["1", "2.5", "%", "(", "été"]) + " " + word + " " for word in words)
    if kind == 8:
        return text.upper()
    if kind == 9:
        return " ".join(words[:at] + [draw.choice(ODD)] + words[at:])
    if kind == 10:
        return text.replace(" ", draw.choice(["", "  ", "\u00a0", "-", "/"]), draw.randrange(1, 200))
    if kind == 11:
        return "\n".join(line[: draw.randrange(5, 60)] for line in text.replace(". ", ".\n").split("\n"))
    if kind == 12:
        return " ".join(word for word in words if word.lower() not in ("the", "be", "to", "of", "and"))
    letters = list(text)
    for _ in range(len(letters) // 30):
        letters[draw.randrange(len(letters))] = draw.choice(".,;:!?'\"()[]{}<>-–—…/\\*&%$€#@_~^=+°²´`’“ \n\t1aA")
    return "".join(letters)


def datatrove(name: str, texts: list[str], settings: dict) -> list[tuple[str, str]]:
    """Returns the reason of each text, empty where it is kept, and the text that is kept."""
    rules = RULES[name](**settings)
    found = []
    for text in texts:
        document = Document(text=text, id="0")
        try:
            kept = rules.filter(document)
        except ZeroDivisionError:
            found.append(("?", ""))
            continue
        reason = "" if kept is True else kept[1]
        found.append((reason, document.text))
    return found


def ratdata(program: str, name: str, texts: list[str], settings: dict) -> list[tuple[str, str]]:
    """Returns the same of ratdata."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        with open(root / "texts.jsonl", "w") as file:
            for number, text in enumerate(texts):
                file.write(json.dumps({"text": text, "number": number}) + "\n")
        sets = [word for key, value in settings.items() for word in ("--set", f"{name}.{key}={json.dumps(value)}")]
        command = [program, "filter", str(root / "texts.jsonl"), "--rules", name, *sets, "--out", str(root / "o")]
        subprocess.run([*command, "--quiet"], check=True, stdout=subprocess.DEVNULL)
        read = lambda path: subprocess.run(["zstdcat", path], check=True, capture_output=True).stdout.decode()
        found = [("", text) for text in texts]
        for line in read(root / "o/dropped/texts.dropped.zst").splitlines():
            row = json.loads(line)
            if not row.get("rewritten"):
                found[row["row"]] = (row["reason"], texts[row["row"]])
        # A line of JSON may have U+2028 and others within it.
        for line in read(root / "o/data/texts.jsonl.zst").split("\n"):
            if line:
                row = json.loads(line)
                found[row["number"]] = ("", row["text"])
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("shared", type=pathlib.Path)
    parser.add_argument("--changed", type=int, default=2, help="how often each text is changed")
    parser.add_argument("--texts", type=int, default=100000, help="the most texts of the sample")
    arguments = parser.parse_args()
    draw = random.Random(7)
    whole = sample(arguments.shared)[: arguments.texts]
    texts = ODD + whole + [changed(text, draw) for text in whole for _ in range(arguments.changed)]
    settings = {
        "gopher_quality": [{}, {"min_doc_words": 5, "max_symbol_word_ratio": 0.02, "min_stop_words": 4}],
        "gopher_repetition": [{}, {"dup_n_grams": [[5, 0.02], [10, 0.01]], "top_n_grams": [[2, 0.02]]}],
        "c4": [{}, {"filter_no_terminal_punct": False, "min_num_sentences": 3}],
        "fineweb": [{}, {"line_punct_thr": 0.5, "short_line_length": 60, "new_line_ratio": 0.05}],
    }
    wrong = 0
    for name, several in settings.items():
        for one in several:
            theirs = datatrove(name, texts, one)
            ours = ratdata(arguments.program, name, texts, one)
            compared = [pair for pair in zip(theirs, ours, texts) if pair[0][0] != "?"]
            differ = [
                (one, two, text)
                for one, two, text in compared
                if one[0] != two[0] or (not one[0] and name == "c4" and one[1] != two[1])
            ]
            wrong += len(differ)
            reasons = collections.Counter(reason or "kept" for (reason, _), _, _ in compared)
            print(f"{name} {one or ''}: {len(compared)} texts, {len(differ)} differ; {dict(reasons)}")
            for one, two, text in differ[:5]:
                print("   datatrove:", repr(one[0]), " ratdata:", repr(two[0]), " text:", repr(text[:200]))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
