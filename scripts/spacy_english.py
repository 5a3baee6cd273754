#!/usr/bin/env python3
"""Writes what spaCy's English tokenizer knows to prepare/src/words/english.json.

The rules of `ratdata filter` count words and sentences as datatrove does, which counts them with spaCy. The
file has the facts that decide them: which characters part words, and which words are exceptions.

    pip install spacy==3.8.* && scripts/spacy_english.py
"""

import json
import pathlib
import re

import spacy
from spacy.pipeline import Sentencizer

ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")


def plain(pattern: str) -> str:
    """Returns a pattern without flags, with characters in the place of their numbers."""
    pattern = pattern.removeprefix("(?u)")
    return ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), pattern)


def main() -> None:
    nlp = spacy.blank("en")
    tokenizer = nlp.tokenizer
    assert tokenizer.token_match is None
    bare = spacy.blank("en").tokenizer
    bare.rules = {}
    exceptions = {
        text: [token[65] for token in tokens]  # 65 is the attribute ORTH
        for text, tokens in tokenizer.rules.items()
        if text.strip()
    }
    parted = {}
    for text in exceptions:
        if tokenizer.find_prefix(text) or tokenizer.find_infix(text) or tokenizer.find_suffix(text) or " " in text:
            parted[text] = [token.text for token in bare(text)]
    facts = {
        "source": f"spaCy {spacy.__version__} (MIT): what parts English words; written by scripts/spacy_english.py",
        "prefix": plain(tokenizer.prefix_search.__self__.pattern),
        "suffix": plain(tokenizer.suffix_search.__self__.pattern),
        "infix": plain(tokenizer.infix_finditer.__self__.pattern),
        "url": plain(tokenizer.url_match.__self__.pattern),
        "sentence_ends": "".join(sorted(Sentencizer.default_punct_chars)),
        "exceptions": exceptions,
        "parted": parted,
    }
    path = pathlib.Path(__file__).resolve().parent.parent / "prepare/src/words/english.json"
    path.write_text(json.dumps(facts, ensure_ascii=False, indent=0, sort_keys=True) + "\n")
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
