"""Tokenizers: `tokenizer.json` files and SentencePiece models with numbers, patterns and pieces that do harm.

What is taken has to be taken twice in the same way, and the fast engine has to agree with the slow twin.
"""

import json

from ..judge import must, shown
from ..place import content, must_equal
from . import sentencepiece
from .endure import OUT, endure
from .mutate import mutated, mutated_json

TEXT = "the cat sat on the river, and aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\nnaïve Größe 川は流れる 🙂 </s> <s>  12"


REFUSED = "`tokenizers` refuse"
"""What is said where the slow twin does not load a file."""


def cases():
    """Yields the names of cases and what they do: named harm first, then mutations without end."""
    for name, make in FILES.items():
        yield (
            f"hostile/tokenizers/file-{name}",
            lambda place, make=make: tokenized(place, "tokenizer.json", make(place)),
        )
    for name, edit in EDITS.items():
        yield f"hostile/tokenizers/json-{name}", lambda place, edit=edit: edited(place, edit)
    for name, make in sentencepiece.HARM.items():
        yield f"hostile/tokenizers/model-{name}", lambda place, make=make: tokenized(place, "tokenizer.model", make())
    yield "hostile/tokenizers/model-honest", honest_model
    number = 0
    while True:
        yield f"hostile/tokenizers/mutated-json/{number}", lambda place: mutate(place, "tokenizer.json", mutated_json)
        yield f"hostile/tokenizers/mutated-bytes/{number}", lambda place: mutate(place, "tokenizer.json", mutated)
        yield f"hostile/tokenizers/mutated-model/{number}", lambda place: mutate(place, "tokenizer.model", mutated)
        number += 1


def tokenized(place, name, file):
    """Tokenizes with a file; where it is taken, twice alike, and as the slow twin does."""
    path = place.write(name, file)
    place.write("text.jsonl", json.dumps({"text": TEXT}) + "\n" + place.material.small_corpus.read_text("utf-8"))
    by = ("--tokenizer", path, "--input", "text.jsonl")
    words = ("tokenize", *by, "--name", "t", "--eos", "off")
    if endure(place, *words, "--out", f"{OUT}/one").status == 0:
        endure(place, *words, "--out", f"{OUT}/two", statuses={0})
        two, one = (content(place.folder / OUT / out) for out in ("two", "one"))
        must_equal(two, one, "the same command twice")
        # The engine reads less of a file than the twin, which may refuse it: then there is nothing to compare.
        verified = endure(place, "verify", f"{OUT}/one", "--retokenize", "100%", *by, statuses={0, 1})
        must(verified.status == 0 or REFUSED in verified.stderr, f"the slow twin differs{shown(verified)}")
        endure(place, "export", f"{OUT}/one", "--to", "jsonl", "--tokenizer", path, "--out", f"{OUT}/text")


def edited(place, edit):
    """Tokenizes with the material's tokenizer after an edit of its JSON."""
    file = json.loads(place.material.tokenizer.read_bytes())
    edit(file)
    tokenized(place, "tokenizer.json", json.dumps(file, ensure_ascii=False))


def honest_model(place):
    """Tokenizes with a model that is as it should be, so that the others are refused for their harm alone."""
    tokenized(place, "tokenizer.model", sentencepiece.model(sentencepiece.pieces()))
    must((place.folder / OUT / "one" / "manifest.json").exists(), "an honest model was refused")


def mutate(place, name, change):
    honest = (
        place.material.tokenizer.read_bytes() if name.endswith("json") else sentencepiece.model(sentencepiece.pieces())
    )
    tokenized(place, name, change(honest, place.draw))


def _model(key, value):
    def edit(file):
        file["model"][key] = value

    return edit


def _top(key, value):
    def edit(file):
        file[key] = value

    return edit


def _piece(piece, number):
    def edit(file):
        file["model"]["vocab"][piece] = number

    return edit


def _added(number, text="<far>", **more):
    def edit(file):
        plain = {"id": number, "content": text, "single_word": False, "lstrip": False, "rstrip": False}
        file["added_tokens"].append(plain | {"normalized": False, "special": True} | more)

    return edit


def _merges(*merges):
    def edit(file):
        file["model"]["merges"] += list(merges)

    return edit


def _normalizer(*steps):
    def edit(file):
        file["normalizer"] = {"type": "Sequence", "normalizers": [*file["normalizer"]["normalizers"], *steps]}

    return edit


def _replace(pattern, text, kind="String"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": text}


def _split(pattern):
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return _top("pre_tokenizer", {"type": "Sequence", "pretokenizers": [split]})


def _deep(key):
    def edit(file):
        inner = {"type": "Sequence", key: []}
        for _ in range(100):
            inner = {"type": "Sequence", key: [inner]}
        file["normalizer" if key == "normalizers" else "pre_tokenizer"] = inner

    return edit


def _long_piece(file):
    file["model"]["vocab"]["a" * 1_000_000] = len(file["model"]["vocab"])


def _many_merges_of_one(file):
    """Pieces of 2, 4, 8 … letters: each merge doubles."""
    vocab, merges = file["model"]["vocab"], file["model"]["merges"]
    piece = "a"
    while len(piece) < 1 << 18:
        merges.append([piece, piece])
        piece += piece
        vocab.setdefault(piece, len(vocab))


def _same_id(file):
    vocab = file["model"]["vocab"]
    vocab["zzz"] = vocab["a"]


EDITS = {
    "id-huge": _piece("h", 4_000_000_000),
    "id-most": _piece("h", 4_294_967_295),
    "id-more": _piece("h", 1 << 32),
    "id-negative": _piece("h", -1),
    "id-fraction": _piece("h", 1.5),
    "id-text": _piece("h", "1"),
    "id-millions": _piece("h", 50_000_000),
    "id-hole": _piece("zzzz", 70_000),
    "id-twice": _same_id,
    "added-huge": _added(4_000_000_000),
    "added-most": _added(4_294_967_295),
    "added-millions": _added(50_000_000),
    "added-hole": _added(70_000),
    "added-next": _added(1024),
    "added-over-another": _added(5),
    "added-empty": _added(1024, ""),
    "added-space": _added(1024, " "),
    "added-letter": _added(1024, "a"),
    "added-long": _added(1024, "a" * 1_000_000),
    "added-normalized": _added(1024, "cat", normalized=True),
    "added-strips": _added(1024, "cat", lstrip=True, rstrip=True),
    "added-word": _added(1024, "cat", single_word=True),
    "added-nul": _added(1024, "\0"),
    "merges-unknown": _merges(["ab ab", "ab a"]),
    "merges-unknown-text": _merges("qqq qqq"),
    "merges-three": _merges(["a", "b", "c"]),
    "merges-one": _merges(["a"]),
    "merges-empty": _merges(["", ""]),
    "merges-number": _merges([1, 2]),
    "merges-result-unknown": _merges(["Q", "Z"]),
    "merges-none": _model("merges", []),
    "merges-missing": lambda file: file["model"].pop("merges"),
    "merges-doubling": _many_merges_of_one,
    "vocab-empty": _model("vocab", {}),
    "vocab-list": _model("vocab", []),
    "vocab-missing": lambda file: file["model"].pop("vocab"),
    "dropout-half": _model("dropout", 0.5),
    "dropout-one": _model("dropout", 1.0),
    "dropout-tiny": _model("dropout", 1e-9),
    "dropout-none": _model("dropout", 0.0),
    "dropout-negative": _model("dropout", -1.0),
    "unk-unknown": _model("unk_token", "nothing"),
    "unk-none": _model("unk_token", None),
    "no-byte-fallback": _model("byte_fallback", False),
    "ignore-merges": _model("ignore_merges", True),
    "prefix": _model("continuing_subword_prefix", "##"),
    "suffix": _model("end_of_word_suffix", "</w>"),
    "type-unknown": _model("type", "Magic"),
    "type-wordlevel": _model("type", "WordLevel"),
    "type-unigram": _model("type", "Unigram"),
    "long-piece": _long_piece,
    "split-catastrophic": _split("(a+)+$"),
    "split-backreference": _split(r"(a*)*\1b\1c"),
    "split-alternation": _split("(a|a)*b"),
    "split-empty": _split(""),
    "split-nothing": _split("()"),
    "split-open": _split("(((("),
    "split-deep": _split("(" * 5_000 + "a" + ")" * 5_000),
    "split-repeats": _split("(((a{1,1000}){1,1000}){1,1000})"),
    "split-long": _split("a?" * 30_000),
    "split-lookbehind": _split("(?<=a)(?!b)"),
    "replace-grows": _normalizer(_replace("a", "a" * 1_000_000)),
    "replace-doubles": _normalizer(*[_replace("a", "aa")] * 40),
    "replace-empty": _normalizer(_replace("", "b")),
    "replace-all": _normalizer(_replace(".", "", "Regex")),
    "replace-catastrophic": _normalizer(_replace("(a+)+(?=[cd])", "b", "Regex")),
    "prepend-long": _normalizer({"type": "Prepend", "prepend": "b" * 1_000_000}),
    "precompiled": _normalizer({"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
    "precompiled-huge": _normalizer({"type": "Precompiled", "precompiled_charsmap": "/////w" + "A" * 64}),
    "lowercase": _normalizer({"type": "Lowercase"}),
    "nfkc": _normalizer({"type": "NFKC"}),
    "normalizers-deep": _deep("normalizers"),
    "pretokenizers-deep": _deep("pretokenizers"),
    "byte-level": _top(
        "pre_tokenizer", {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    ),
    "metaspace-long": _top("pre_tokenizer", {"type": "Metaspace", "replacement": "▁▁", "prepend_scheme": "always"}),
    "truncation": _top("truncation", {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}),
    "padding": _top(
        "padding",
        {
            "strategy": {"Fixed": 4_000_000_000},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "<unk>",
        },
    ),
    "template-unknown": _top(
        "post_processor",
        {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "nope", "type_id": 0}}],
            "pair": [],
            "special_tokens": {},
        },
    ),
    "decoder-none": _top("decoder", None),
    "decoder-replace": _top("decoder", {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 100_000}),
    "decoder-strip": _top("decoder", {"type": "Strip", "content": "a", "start": 4_000_000_000, "stop": 4_000_000_000}),
    "version": _top("version", "9.9"),
    "added-none": _top("added_tokens", None),
    "model-none": _top("model", None),
    "more": _top("more", {"a": "b" * 1_000_000}),
}
"""Edits of an honest file, by name."""


def _many_pieces(place):
    """As many pieces as a vocabulary may have, and more."""
    vocab = ", ".join(f'"p{number}": {number}' for number in range(2_000_000))
    return '{"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {' + vocab + '}, "merges": []}}'


FILES = {
    "empty": lambda place: "",
    "null": lambda place: "null",
    "list": lambda place: "[]",
    "object": lambda place: "{}",
    "mark": lambda place: b"\xef\xbb\xbf" + place.material.tokenizer.read_bytes(),
    "utf16": lambda place: place.material.tokenizer.read_text("utf-8").encode("utf-16"),
    "cut": lambda place: place.material.tokenizer.read_bytes()[:5000],
    "zeros": lambda place: bytes(1 << 20),
    "deep": lambda place: '{"model":' * 200_000,
    "deep-lists": lambda place: '{"added_tokens": ' + "[" * 500_000,
    "many-pieces": _many_pieces,
    "pickle": lambda place: b"\x80\x04cos\nsystem\n(S'touch evil'\ntR.",
}
"""Files that are no tokenizer, or far too much of one."""
