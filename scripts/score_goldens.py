#!/usr/bin/env python3
"""Writes score/tests/goldens.json: what the Python scorers say of random and of odd pairs of texts.

    python3 -m venv venv && venv/bin/pip install rouge==1.0.1 rouge-score==0.1.2 fuzzywuzzy==0.18.0
    venv/bin/python scripts/score_goldens.py score/tests/goldens.json
"""
import json
import random
import re
import string
import sys
import warnings
from collections import Counter

warnings.filterwarnings("ignore")
from fuzzywuzzy import fuzz
from rouge import Rouge
from rouge_score import rouge_scorer

fuzz.SequenceMatcher = __import__("difflib").SequenceMatcher  # never python-Levenshtein
GOOGLE = rouge_scorer.RougeScorer(["rougeL"])


def normalized(text):
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def f1(pred, ref):
    pred, ref = normalized(pred), normalized(ref)
    same = sum((Counter(pred) & Counter(ref)).values())
    if same == 0:
        return 0.0
    p, r = same / len(pred), same / len(ref)
    return 2 * p * r / (p + r)


def rouge_l(pred, ref):
    try:
        return Rouge().get_scores([pred], [ref], avg=True)["rouge-l"]["f"]
    except (ValueError, RecursionError):
        return 0.0


def code_sim(pred, ref):
    for line in pred.lstrip("\n").split("\n"):
        if "`" not in line and "#" not in line and "//" not in line:
            pred = line
            break
    return fuzz.ratio(pred, ref) / 100


def pairs():
    rng = random.Random(1234)
    words = ["the", "a", "an", "Cat", "cat,", "sat", "on", "mat", "U.S.", "3.50", "naïve", "naive", "É", "the-cat",
             "“quoted”", "İst", "ΣΑΣ", "x_y", "²a", "a\u0301", "न\u0940a", "\u24b6", "don't", "the", "Ⅷ", "\u212a"]
    gaps = [" "] * 12 + [". ", ".", "  ", "\n", "\t", "\x1c", "\u00a0", "\u2028", "..", ". . ", "\u200b", "\x85"]
    for _ in range(220):
        def text():
            return "".join(rng.choice(words) + rng.choice(gaps) for _ in range(rng.randrange(0, 24)))
        yield text(), text()
    for size in (5, 60, 199, 200, 201, 430):
        for letters in ("ab", "abcdefgh", string.printable[:90]):
            base = "".join(rng.choice(letters) for _ in range(size))
            other = "".join(c if rng.random() < 0.8 else rng.choice(letters) for c in base)
            yield base, other
            yield "\n# x\n" + base, other[rng.randrange(0, size // 2):]
    for n, m in ((300, 40), (40, 300), (600, 20), (500, 490)):
        text = lambda k: " ".join(rng.choice(words) for _ in range(k)).replace(".", "")
        yield text(n), text(m)


rows = []
for pred, ref in pairs():
    rows.append({
        "pred": pred, "ref": ref, "f1": f1(pred, ref), "rouge-l": rouge_l(pred, ref), "code-sim": code_sim(pred, ref),
        "rouge-l-google": GOOGLE.score(ref, pred)["rougeL"].fmeasure,
    })
with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
