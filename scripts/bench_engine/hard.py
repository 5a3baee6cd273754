"""Hard texts: one unit of megabytes, a new word every time, special tokens by the million."""

import base64
import json
import random

from .rounds import Failed, call, environment


def repeated(text):
    return lambda size, _: (text * (size // len(text.encode()) + 1)).encode()[:size].decode(errors="ignore")


def drawn(characters):
    """Draws characters at random, from a sequence of text."""

    def make(size, draw):
        width = sum(len(character.encode()) for character in characters) / len(characters)
        return "".join(draw.choices(characters, k=int(size / width)))

    return make


def words(size, draw):
    letters = "abcdefghijklmnopqrstuvwxyz"
    return "".join(" " + "".join(draw.choices(letters, k=draw.randint(4, 12))) for _ in range(size // 9))


def code_points(first, last):
    return [chr(point) for point in range(first, last + 1)]


KINDS = {
    "one letter": repeated("a"),
    "spaces": repeated(" "),
    "newlines": repeated("\n"),
    "digits": drawn("0123456789"),
    "letters": drawn("abcdefghijklmnopqrstuvwxyz"),
    "hex": drawn("0123456789abcdef"),
    "base64": lambda size, draw: base64.b64encode(draw.randbytes(size * 3 // 4)).decode(),
    "CJK": drawn(code_points(0x4E00, 0x9FA5)),
    "emoji chains": drawn(["👩\u200d👩\u200d👧\u200d👦", "👍🏽", "🏳️\u200d🌈", "🇺🇳", *code_points(0x1F600, 0x1F64F)]),
    "combining marks": lambda size, draw: "e" + drawn(code_points(0x300, 0x36F))(size, draw),
    "new words": words,
    "special tokens": None,
}
"""What each text is made by: its size in bytes and a source of chance to text."""


def special(path):
    """Returns the first special token of a tokenizer."""
    tokens = json.loads(path.read_bytes()).get("added_tokens") or []
    return next((token["content"] for token in tokens if token["special"]), None)


def run(given, folder):
    """Times each text as one document, cold and warm, and prints a table."""
    from pathlib import Path

    sizes = [int(size) for size in given.sizes.split(",")]
    columns = [f"{size} MB" for size in sizes]
    print("| tokenizer | text | " + " | ".join(columns) + " | memory a byte |\n" + "|---" * (3 + len(sizes)) + "|")
    for name, path in given.tokenizers:
        for kind in given.kinds.split(","):
            make = KINDS[kind]
            if make is None:
                token = special(Path(path))
                if token is None:
                    continue
                make = repeated(token)
            cells, memory = [], "–"
            for size in sizes:
                text = folder / "hard.txt"
                text.write_text(make(size * 1_000_000, random.Random(1)), newline="")
                command = [given.target / "examples/encode_bench", "whole", path, "0", text]
                try:
                    found = json.loads(call(command, environment(1))[0])
                except Failed as failed:
                    cells.append(str(failed))
                    continue
                cells.append(f"{found['bytes'] / 1e6 / found['warm']['processor']:.1f}")
                # What loading and the tables take is in the smallest, too.
                if size == sizes[-1]:
                    memory = f"{found['peak'] / found['bytes']:.1f}"
            print(f"| {name} | {kind} | " + " | ".join(cells) + f" | {memory} |", flush=True)
