"""Other tools' files whose headers and indexes lie, for `import` and for `inspect`."""

import gzip
import json
import struct

from ..judge import must, shown
from .endure import OUT, endure
from .mutate import mutated

FOLDER = "foreign"


def cases():
    """Yields the names of cases and what they do: named harm first, then mutations without end."""
    for layout, edits in LAYOUTS.items():
        for name, (pattern, edit) in edits.items():
            yield f"hostile/layouts/{layout}-{name}", lambda place, w=(layout, pattern, edit): foreign(place, *w)
    for name, content in WEIGHTS.items():
        yield f"hostile/layouts/safetensors-{name}", lambda place, content=content: weights(place, content)
    number = 0
    while True:
        for layout in (*LAYOUTS, "safetensors"):
            yield f"hostile/layouts/mutated-{layout}/{number}", lambda place, layout=layout: mutate(place, layout)
        number += 1


def foreign(place, layout, pattern, edit):
    """Imports a file that is not what its layout asks for: it is refused."""
    place.copy(place.material.small_foreign(layout) / "train", FOLDER)
    path = next((place.folder / FOLDER).rglob(pattern))
    path.write_bytes(edit(path.read_bytes()))
    ended = endure(place, *_import(layout), statuses={1, 2, 3})
    must(not (place.folder / OUT / "manifest.json").exists(), f"refused, and left a manifest{shown(ended)}")


def weights(place, content):
    """Looks at weights whose head lies."""
    place.write("w.safetensors", content)
    endure(place, "inspect", "w.safetensors", statuses={1, 2, 3})


def mutate(place, layout):
    """Changes bytes of a file; what is taken for an artifact is a whole one."""
    place.copy(place.material.small_foreign(layout) / "train", FOLDER)
    files = sorted(path for path in (place.folder / FOLDER).rglob("*") if path.is_file())
    path = place.draw.choice(files)
    path.write_bytes(mutated(path.read_bytes(), place.draw))
    if layout == "safetensors":
        endure(place, "inspect", path)
    elif endure(place, *_import(layout)).status == 0:
        endure(place, "verify", OUT, statuses={0})


def _import(layout):
    eos = ("--eos", "2") if layout in ("raw", "llmc") else ()
    return ("import", FOLDER, "--from", layout, *eos, "--out", OUT)


def _put(at, form, *values):
    """Writes numbers over the bytes at a place."""

    def edit(content):
        piece = struct.pack(form, *values)
        return content[:at] + piece + content[at + len(piece) :]

    return edit


def _cut(by):
    return lambda content: content[:-by]


def _npy(head, version=b"\x01\x00"):
    """Returns an edit that gives a `.npy` file another header."""

    def edit(content):
        text = head.encode("latin-1")
        length = struct.pack("<H", len(text)) if version[0] == 1 else struct.pack("<I", len(text))
        return b"\x93NUMPY" + version + length + text + content[128:]

    return edit


def _csv(text):
    return lambda content: gzip.compress(text.encode())


LAYOUTS = {
    "raw": {
        "odd": ("*.bin", _cut(1)),
        "beyond-vocabulary": ("*.bin", lambda content: content + b"\x02\x00\xff"),
    },
    "megatron": {
        "magic": ("*.idx", _put(0, "<9s", b"MMIDIDX\0\1")),
        "version": ("*.idx", _put(9, "<Q", 2)),
        "type-0": ("*.idx", _put(17, "<B", 0)),
        "type-float": ("*.idx", _put(17, "<B", 6)),
        "sequences-huge": ("*.idx", _put(18, "<Q", (1 << 64) - 1)),
        "sequences-overflow": ("*.idx", _put(18, "<Q", 1 << 62)),
        "sequences-0": ("*.idx", _put(18, "<Q", 0)),
        "boundaries-huge": ("*.idx", _put(26, "<Q", (1 << 64) - 1)),
        "boundaries-0": ("*.idx", _put(26, "<Q", 0)),
        "length-negative": ("*.idx", _put(34, "<i", -1)),
        "length-huge": ("*.idx", _put(34, "<i", (1 << 31) - 1)),
        "cut": ("*.idx", _cut(5)),
        "head-alone": ("*.idx", lambda content: content[:20]),
        "bin-cut": ("*.bin", _cut(2)),
        "bin-odd": ("*.bin", _cut(1)),
        "idx-empty": ("*.idx", lambda content: b""),
    },
    "llmc": {
        "magic": ("*.bin", _put(0, "<i", 1)),
        "version": ("*.bin", _put(4, "<i", 9)),
        "tokens-more": ("*.bin", _put(8, "<i", (1 << 31) - 1)),
        "tokens-negative": ("*.bin", _put(8, "<i", -1)),
        "tokens-0": ("*.bin", _put(8, "<i", 0)),
        "u32": ("*.bin", _put(0, "<ii", 20240801, 7)),
        "cut": ("*.bin", _cut(2)),
        "head-alone": ("*.bin", lambda content: content[:1000]),
    },
    "datatrove": {
        "index-huge": ("*.index", _put(0, "<Q", (1 << 64) - 1)),
        "index-falls": ("*.index", _put(8, "<Q", 0)),
        "index-odd": ("*.index", _cut(3)),
        "index-short": ("*.index", _cut(8)),
        "ids-odd": ("*.ds", _cut(1)),
        "ids-cut": ("*.ds", _cut(2)),
        "width-3": ("*.metadata", lambda content: b"x|3\n8\n8\n"),
    },
    "olmo": {
        "no-gzip": ("*.csv.gz", lambda content: b"0,3,a,b,1\r\n"),
        "cut": ("*.csv.gz", _cut(9)),
        "huge": ("*.csv.gz", _csv("0,18446744073709551616,a,b,1\r\n")),
        "most": ("*.csv.gz", _csv("0,18446744073709551615,a,b,1\r\n")),
        "negative": ("*.csv.gz", _csv("-1,3,a,b,1\r\n")),
        "falls": ("*.csv.gz", _csv("5,3,a,b,1\r\n")),
        "gap": ("*.csv.gz", _csv("0,3,a,b,1\r\n4,9,a,b,2\r\n")),
        "few-columns": ("*.csv.gz", _csv("0\r\n")),
        "no-line": ("*.csv.gz", _csv("0," * 1_000_000)),
        "bomb": ("*.csv.gz", lambda content: gzip.compress(bytes(300 << 20), 9)),
        "bomb-of-lines": ("*.csv.gz", lambda content: gzip.compress(b"0,0,a,b,1\r\n" * 4_000_000, 1)),
        "ids-odd": ("*.npy", _cut(1)),
    },
    "npy": {
        "magic": ("*train-small.npy", _put(0, "<B", 0x92)),
        "version": ("*train-small.npy", _put(6, "<BB", 9, 9)),
        "head-long": ("*train-small.npy", _put(8, "<H", 65535)),
        "head-huge": ("*train-small.npy", lambda content: b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + content),
        "shape-huge": (
            "*train-small.npy",
            _npy("{'descr': '<u2', 'fortran_order': False, 'shape': (18446744073709551615,), }\n"),
        ),
        "shape-more": (
            "*train-small.npy",
            _npy("{'descr': '<u2', 'fortran_order': False, 'shape': (" + "9" * 60 + ",), }\n"),
        ),
        "shape-product": (
            "*train-small.npy",
            _npy("{'descr': '<u2', 'fortran_order': False, 'shape': (4294967296, 4294967296), }\n"),
        ),
        "shape-negative": ("*train-small.npy", _npy("{'descr': '<u2', 'fortran_order': False, 'shape': (-1,), }\n")),
        "shape-none": ("*train-small.npy", _npy("{'descr': '<u2', 'fortran_order': False, 'shape': (), }\n")),
        "shape-many": (
            "*train-small.npy",
            _npy("{'descr': '<u2', 'fortran_order': False, 'shape': (" + "1, " * 15_000 + "), }\n"),
        ),
        "objects": ("*train-small.npy", _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n")),
        "floats": ("*train-small.npy", _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n")),
        "big-endian": ("*train-small.npy", _npy("{'descr': '>u2', 'fortran_order': False, 'shape': (1,), }\n")),
        "deep": ("*train-small.npy", _npy("{'descr': " + "(" * 60_000 + "}\n")),
        "deep-2": ("*train-small.npy", _npy("{'descr': " + "[" * 5_000_000 + "}\n", b"\x02\x00")),
        "code": ("*train-small.npy", _npy("__import__('os').system('touch evil')\n")),
        "ends-huge": ("*.ends.npy", _put(128, "<Q", (1 << 64) - 1)),
        "ends-falls": ("*.ends.npy", _put(136, "<Q", 0)),
    },
}
"""What is done to which file, by the layout and a name."""


def _weights(head, data=b"", length=None):
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def _tensor(**changed):
    return {"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]} | changed}


WEIGHTS = {
    "empty": b"",
    "length-alone": struct.pack("<Q", 2),
    "length-huge": _weights(_tensor(), b"abcd", (1 << 64) - 1),
    "length-over": _weights(_tensor(), b"abcd", 1 << 40),
    "no-json": _weights(b"\xff" * 64),
    "list": _weights(b"[]"),
    "deep": _weights(b'{"a":' * 200_000),
    "deep-lists": _weights(b'{"a": ' + b"[" * 500_000),
    "shape-product": _weights(_tensor(shape=[1 << 32, 1 << 32]), b"abcd"),
    "shape-huge": _weights(_tensor(shape=[(1 << 64) - 1]), b"abcd"),
    "shape-more": _weights(_tensor(shape=[1 << 70]), b"abcd"),
    "shape-negative": _weights(_tensor(shape=[-1]), b"abcd"),
    "offsets-over": _weights(_tensor(data_offsets=[0, 1 << 40]), b"abcd"),
    "offsets-back": _weights(_tensor(data_offsets=[4, 0]), b"abcd"),
    "offsets-huge": _weights(_tensor(data_offsets=[(1 << 64) - 4, (1 << 64) - 1]), b"abcd"),
    "dtype": _weights(_tensor(dtype="U7"), b"abcd"),
    "too-short": _weights(_tensor(), b"abc"),
    "too-long": _weights(_tensor(), b"abcdefgh"),
    "overlap": _weights(_tensor() | {"b": _tensor()["a"]}, b"abcd"),
}
"""Weights that are none, by name."""
