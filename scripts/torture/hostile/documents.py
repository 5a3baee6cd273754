"""Documents in files that are damaged, nested, doubled, packed far too well, or no text at all."""

import gzip
import struct

from ..judge import must, shown
from ..place import must_equal
from .endure import OUT, endure
from .mutate import mutated

MUTATED = ("p0.parquet", "p1.parquet", "p2.parquet", "lines.jsonl", "lines.jsonl.gz", "lines.jsonl.zst", "notes.txt")


def cases():
    """Yields the names of cases and what they do: named harm first, then mutations without end."""
    for name, (file, content) in REFUSED.items():
        yield f"hostile/documents/{name}", lambda place, f=file, c=content: refused(place, f, c)
    for name, (file, content) in ANY.items():
        yield f"hostile/documents/{name}", lambda place, f=file, c=content: endured(place, f, c)
    for name, (file, content) in HONEST.items():
        yield f"hostile/documents/{name}", lambda place, f=file, c=content: honest(place, f, c)
    number = 0
    while True:
        for file in MUTATED:
            yield f"hostile/documents/mutated-{file}/{number}", lambda place, file=file: mutate(place, file)
        number += 1


def refused(place, file, content):
    """Reads a file that is not whole or not well-formed: no artifact comes of it."""
    ended = _tokenize(place, place.write(file, content()), {1, 2, 3})
    must(not (place.folder / OUT / "manifest.json").exists(), f"refused, and left a manifest{shown(ended)}")


def endured(place, file, content):
    """Reads a file that may be taken or refused, within the bounds."""
    _tokenize(place, place.write(file, content()), {0, 1, 2, 3})


def honest(place, file, content):
    """Reads a file in an unusual form: the ids are those of the plain form."""
    plain, unusual = content()
    _tokenize(place, place.write("plain/lines.jsonl", plain), {0}, "plain")
    _tokenize(place, place.write(file, unusual), {0}, "unusual")
    ids = [_ids(place.folder / OUT / out) for out in ("plain", "unusual")]
    must_equal(ids[1], ids[0], "the ids of an unusual form of the same documents")


def mutate(place, file):
    """Changes bytes of a file; what is taken for whole is read the same twice."""
    sample = place.material.root / "corpus" / file
    plain = place.material.small_corpus.read_bytes()
    content = {
        "lines.jsonl": lambda: plain,
        "lines.jsonl.gz": lambda: gzip.compress(plain, mtime=0),
        "lines.jsonl.zst": lambda: zstd_raw(plain),
        "notes.txt": lambda: plain,
    }.get(file, sample.read_bytes if sample.exists() else None)()
    path = place.write(file, mutated(content, place.draw))
    if _tokenize(place, path, {0, 1, 2, 3}, "one").status == 0:
        _tokenize(place, path, {0}, "two")
        must_equal(_ids(place.folder / OUT / "two"), _ids(place.folder / OUT / "one"), "read twice")
        words = ("--retokenize", "100%", "--input", path, "--tokenizer", place.material.tokenizer)
        endure(place, "verify", f"{OUT}/one", *words, statuses={0})


def _tokenize(place, path, statuses, out=None):
    to = OUT if out is None else f"{OUT}/{out}"
    words = ("--tokenizer", place.material.tokenizer, "--input", path, "--name", "t", "--merge", "--order", "file")
    return endure(place, "tokenize", *words, "--out", to, statuses=statuses)


def _ids(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".bin", ".idx")}


def zstd_raw(content):
    """Returns a Zstandard frame whose blocks are stored as they are."""
    blocks = [content[at : at + (1 << 17)] for at in range(0, len(content), 1 << 17)] or [b""]
    frame = b"\x28\xb5\x2f\xfd" + b"\xa0" + struct.pack("<I", len(content))
    for number, block in enumerate(blocks):
        last = number == len(blocks) - 1
        frame += (len(block) << 3 | last).to_bytes(3, "little") + block
    return frame


def zstd_bomb(byte, blocks):
    """Returns a frame of blocks that repeat a byte 131,072 times, in four bytes each."""
    block = ((1 << 17) << 3 | 1 << 1).to_bytes(3, "little") + byte
    last = ((1 << 17) << 3 | 1 << 1 | 1).to_bytes(3, "little") + byte
    return b"\x28\xb5\x2f\xfd" + b"\x00" + b"\x38" + block * (blocks - 1) + last


LINES = b"".join(b'{"text": "the cat sat %d times on the river"}\n' % number for number in range(300))


def _gzip_flipped():
    content = bytearray(gzip.compress(LINES, mtime=0))
    content[-6] ^= 1
    return bytes(content)


REFUSED = {
    "gzip-cut": ("a.jsonl.gz", lambda: gzip.compress(LINES)[:-9]),
    "gzip-checksum": ("a.jsonl.gz", _gzip_flipped),
    "gzip-junk-behind": ("a.jsonl.gz", lambda: gzip.compress(LINES) + b"junk"),
    "gzip-none": ("a.jsonl.gz", lambda: LINES),
    "zstd-cut": ("a.jsonl.zst", lambda: zstd_raw(LINES)[:-9]),
    "zstd-size-lies": (
        "a.jsonl.zst",
        lambda: zstd_raw(LINES).replace(struct.pack("<I", len(LINES)), struct.pack("<I", 1 << 31), 1),
    ),
    "zstd-none": ("a.jsonl.zst", lambda: LINES),
    "deep-text": ("a.jsonl", lambda: b'{"text": ' + b"[" * 500_000 + b"\n"),
    "deep-open": ("a.jsonl", lambda: b'{"text":' * 500_000),
    "utf16": ("a.jsonl", lambda: LINES.decode().encode("utf-16")),
    "latin1": ("a.jsonl", lambda: '{"text": "naïve"}\n'.encode("latin-1")),
    "surrogate": ("a.jsonl", lambda: b'{"text": "left \\ud83d right"}\n'),
    "list": ("a.jsonl", lambda: b'[{"text": "a"}]\n'),
    "number": ("a.jsonl", lambda: b'{"text": 3}\n'),
    "no-text": ("a.jsonl", lambda: b'{"body": "a"}\n'),
    "cut-line": ("a.jsonl", lambda: LINES[:-7]),
    "zeros": ("a.jsonl", lambda: bytes(1 << 20)),
    "txt-no-utf8": ("a.txt", lambda: b"\xff\xfe\x00a"),
    "parquet-head-alone": ("a.parquet", lambda: b"PAR1"),
    "parquet-footer-huge": ("a.parquet", lambda: b"PAR1" + bytes(64) + b"\xff\xff\xff\x7fPAR1"),
    "parquet-footer-negative": ("a.parquet", lambda: b"PAR1" + bytes(64) + b"\xff\xff\xff\xffPAR1"),
    "parquet-zeros": ("a.parquet", lambda: bytes(4096)),
    "parquet-pointer": ("a.parquet", lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"),
}
"""Files that no command may take for documents."""

ANY = {
    "deep-lists": ("a.jsonl", lambda: b'{"text": "a", "b": ' + b"[" * 500_000 + b"]" * 500_000 + b"}\n"),
    "gzip-bomb-of-lines": ("a.jsonl.gz", lambda: gzip.compress(b"\n" * (300 << 20), 9)),
    "gzip-bomb-of-zeros": ("a.jsonl.gz", lambda: gzip.compress(bytes(300 << 20), 9)),
    "zstd-bomb-of-lines": ("a.jsonl.zst", lambda: zstd_bomb(b"\n", 2400)),
    "zstd-bomb-of-zeros": ("a.jsonl.zst", lambda: zstd_bomb(b"\0", 2400)),
    "gzip-many-members": ("a.jsonl.gz", lambda: gzip.compress(b"\n") * 100_000),
    "empty": ("a.jsonl", lambda: b""),
    "long-number": ("a.jsonl", lambda: b'{"text": "a", "n": ' + b"9" * 2_000_000 + b"}\n"),
    "long-key": ("a.jsonl", lambda: b'{"' + b"k" * 5_000_000 + b'": 1, "text": "a"}\n'),
    "many-keys": ("a.jsonl", lambda: b'{"text": "a"' + b"".join(b', "k%d": 1' % n for n in range(300_000)) + b"}\n"),
    "nul": ("a.jsonl", lambda: b'{"text": "a\\u0000b"}\n' * 300),
    "one-letter": ("a.txt", lambda: b"a" * 3_000_000),
    "spaces": ("a.txt", lambda: b" " * 3_000_000),
    "combining": ("a.txt", lambda: "e".encode() + "\u0301".encode() * 500_000),
    "noncharacters": ("a.txt", lambda: "\U0010fffc\U0010fffd\ufffe".encode() * 100_000),
}
"""Files that may be taken or refused, at a bounded cost."""

HONEST = {
    "mark-before-first": ("a.jsonl", lambda: (LINES, b"\xef\xbb\xbf" + LINES)),
    "crlf": ("a.jsonl", lambda: (LINES, LINES.replace(b"\n", b"\r\n"))),
    "blank-lines": ("a.jsonl", lambda: (LINES, LINES.replace(b"\n", b"\n\n"))),
    "no-last-newline": ("a.jsonl", lambda: (LINES, LINES[:-1])),
    "not-a-number": ("a.jsonl", lambda: (LINES, LINES.replace(b'"text"', b'"score": NaN, "text"'))),
    "infinity": ("a.jsonl", lambda: (LINES, LINES.replace(b'"text"', b'"score": -Infinity, "text"'))),
    "twice-the-key": ("a.jsonl", lambda: (LINES, LINES.replace(b'"text"', b'"text": "no", "text"'))),
    "escaped": ("a.jsonl", lambda: (LINES, LINES.replace(b"cat", b"\\u0063at"))),
    "gzip": ("a.jsonl.gz", lambda: (LINES, gzip.compress(LINES))),
    "gzip-members": ("a.jsonl.gz", lambda: (LINES, gzip.compress(LINES[:1000]) + gzip.compress(LINES[1000:]))),
    "gzip-padded": ("a.jsonl.gz", lambda: (LINES, gzip.compress(LINES) + bytes(512))),
    "zstd": ("a.jsonl.zst", lambda: (LINES, zstd_raw(LINES))),
    "zstd-frames": ("a.jsonl.zst", lambda: (LINES, zstd_raw(LINES[:1000]) + zstd_raw(LINES[1000:]))),
    "zstd-skippable": ("a.jsonl.zst", lambda: (LINES, b"\x50\x2a\x4d\x18\x04\x00\x00\x00junk" + zstd_raw(LINES))),
}
"""Unusual forms of documents, each beside the plain one."""
