"""Artifacts whose manifest, bins, indexes, packs or rows are not what an honest writer leaves."""

import json
import struct

from ..judge import must, shown
from .blake3 import blake3
from .endure import OUT, endure
from .mutate import mutated, mutated_json

FOLDER = "artifact"

READERS = {
    "inspect": ("inspect", FOLDER),
    "verify": ("verify", FOLDER),
    "report": ("report", FOLDER, "-o", f"{OUT}/report.html"),
    "trace": ("trace", FOLDER, "--token", "0"),
    "trace-row": ("trace", FOLDER, "--row", "0"),
    "pack": ("pack", "--input", FOLDER, "--seq-len", "64", "--out", f"{OUT}/pack"),
    "merge": ("merge", "--input", FOLDER, "--out", f"{OUT}/merge"),
    "npy": ("export", FOLDER, "--to", "npy", "--out", f"{OUT}/npy"),
    "llmc": ("export", FOLDER, "--to", "llmc", "--out", f"{OUT}/llmc"),
    "megatron": ("export", FOLDER, "--to", "megatron", "--out", f"{OUT}/megatron"),
    "safetensors": ("export", FOLDER, "--to", "safetensors", "--out", f"{OUT}/safetensors"),
    "jsonl": ("export", FOLDER, "--to", "jsonl", "--tokenizer", "{tokenizer}", "--out", f"{OUT}/jsonl"),
}
"""Commands that read an artifact, by name."""


def cases():
    """Yields the names of cases and what they do: named harm first, then mutations without end."""
    for name, edit in MANIFESTS.items():
        refused = name.startswith(REFUSED)
        yield f"hostile/artifacts/manifest-{name}", lambda place, e=edit, r=refused: manifest(place, "small_bins", e, r)
    for name, edit in PACKS.items():
        yield f"hostile/artifacts/pack-{name}", lambda place, e=edit: manifest(place, "small_pack", e, True)
    for name, edit in PAIRS.items():
        yield f"hostile/artifacts/pairs-{name}", lambda place, e=edit: manifest(place, "small_pairs", e, True)
    for name, raw in RAW_MANIFESTS.items():
        yield f"hostile/artifacts/json-{name}", lambda place, raw=raw: raw_manifest(place, raw)
    for name, (artifact, pattern, edit) in FILES.items():
        yield f"hostile/artifacts/file-{name}", lambda place, a=artifact, p=pattern, e=edit: file_of(place, a, p, e)
    for name, lead in LINKS.items():
        yield f"hostile/artifacts/link-{name}", lambda place, lead=lead: linked(place, lead)
    yield "hostile/artifacts/eos-of-another-width", eos_of_another_width
    number = 0
    while True:
        yield f"hostile/artifacts/mutated-manifest/{number}", mutate_manifest
        yield f"hostile/artifacts/mutated-file/{number}", mutate_file
        number += 1


def read_by_all(place, refused=False):
    """Reads the artifact by every command; `verify` refuses it, or all do."""
    for name, words in READERS.items():
        words = [word.replace("{tokenizer}", str(place.material.tokenizer)) for word in words]
        ended = endure(place, *words)
        if refused and name == "verify":
            must(ended.status != 0, f"verify takes it for whole{shown(ended)}")


def manifest(place, artifact, edit, refused):
    """Edits the manifest of an artifact, as its parsed JSON."""
    place.copy(getattr(place.material, artifact), FOLDER)
    _copy_base(place, artifact)
    path = place.folder / FOLDER / "manifest.json"
    file = json.loads(path.read_bytes())
    edit(file, place)
    path.write_text(json.dumps(file, indent=2, ensure_ascii=False), "utf-8", "surrogatepass")
    read_by_all(place, refused)


def raw_manifest(place, raw):
    """Puts bytes in the manifest's place; no command takes them for one."""
    place.copy(place.material.small_bins, FOLDER)
    path = place.folder / FOLDER / "manifest.json"
    path.write_bytes(raw(path.read_bytes()))
    for words in READERS.values():
        words = [word.replace("{tokenizer}", str(place.material.tokenizer)) for word in words]
        endure(place, *words, statuses={1, 2, 3})


def file_of(place, artifact, pattern, edit):
    """Edits a file of an artifact and records its new size and checksum, so that only its content is wrong."""
    place.copy(getattr(place.material, artifact), FOLDER)
    _copy_base(place, artifact)
    path = next((place.folder / FOLDER).rglob(pattern))
    path.write_bytes(edit(path.read_bytes()))
    _record(place, path)
    read_by_all(place, refused=True)


def linked(place, lead):
    """Leads a file of an artifact out of its folder; nothing of what lies there is given away."""
    place.copy(place.material.small_bins, FOLDER)
    lead(place.folder / FOLDER)
    for words in READERS.values():
        words = [word.replace("{tokenizer}", str(place.material.tokenizer)) for word in words]
        endure(place, *words, statuses={1, 2, 3})


def eos_of_another_width(place):
    """Asks for an id that two bytes do not hold: it is refused and not cut."""
    place.copy(place.material.small_bins, FOLDER)
    for eos in ("65536", "70000", "4294967295", "1024", "-1"):
        endure(place, "export", FOLDER, "--to", "llmc", "--out", f"{OUT}/{eos}", "--eos", eos, statuses={1, 2})


def mutate_manifest(place):
    artifact = place.draw.choice(("small_bins", "small_pack", "small_rows", "small_pairs"))
    place.copy(getattr(place.material, artifact), FOLDER)
    _copy_base(place, artifact)
    path = place.folder / FOLDER / "manifest.json"
    path.write_bytes(mutated_json(path.read_bytes(), place.draw))
    read_by_all(place)


def mutate_file(place):
    """Changes bytes of any file; with the checksum that the change has, or without."""
    artifact = place.draw.choice(("small_bins", "small_pack", "small_rows", "small_pairs"))
    place.copy(getattr(place.material, artifact), FOLDER)
    _copy_base(place, artifact)
    files = sorted(
        path
        for path in (place.folder / FOLDER).rglob("*.*")
        if path.is_file() and not path.name.startswith((".", "manifest"))
    )
    path = place.draw.choice(files)
    before = path.read_bytes()
    path.write_bytes(mutated(before, place.draw))
    same = path.read_bytes() == before
    if place.draw.random() < 0.5:
        _record(place, path)
        read_by_all(place)
    else:
        read_by_all(place, refused=not same)


def _copy_base(place, artifact):
    if artifact in ("small_pack", "small_rows"):
        place.copy(place.material.small_bins, "small-bins")


def _record(place, path):
    """Writes the size and checksum of a file into the manifest."""
    manifest = place.folder / FOLDER / "manifest.json"
    file = json.loads(manifest.read_bytes())
    content, name = path.read_bytes(), path.relative_to(manifest.parent).as_posix()

    def visit(value):
        if isinstance(value, dict):
            if value.get("path") == name and "blake3" in value:
                value["bytes"], value["blake3"] = len(content), blake3(content)
            for inner in value.values():
                visit(inner)
        elif isinstance(value, list):
            for inner in value:
                visit(inner)

    visit(file)
    manifest.write_text(json.dumps(file, indent=2), "utf-8")


def _name(name):
    def edit(file, place):
        file["name"] = name.replace("{here}", str(place.folder))

    return edit


def _split(name):
    def edit(file, place):
        file["splits"] = {name.replace("{here}", str(place.folder)): file["splits"]["train"]}

    return edit


def _bin(path):
    def edit(file, place):
        place.write("evil.bin", b"\x29\x00" * 4096)
        record = file["splits"]["train"]["shards"][0]["bin"]
        record["path"] = path.replace("{here}", str(place.folder))

    return edit


def _shard(key, value):
    def edit(file, _):
        file["splits"]["train"]["shards"][0][key] = value

    return edit


def _bytes(key, value):
    def edit(file, _):
        file["splits"]["train"]["shards"][0][key]["bytes"] = value

    return edit


def _tokenizer(key, value):
    def edit(file, _):
        file["tokenizer"][key] = value

    return edit


def _top(key, value):
    def edit(file, _):
        file[key] = value

    return edit


def _many_shards(file, _):
    file["splits"]["train"]["shards"] *= 20_000


def _nested(file, _):
    inner = {}
    for _ in range(100):
        inner = {"a": [inner]}
    file["recipe"]["more"] = inner


HUGE = {
    "i64": 1 << 63,
    "u64": (1 << 64) - 1,
    "more": 1 << 64,
    "negative": -1,
    "fraction": 1.5,
    "text": "1",
    "nothing": None,
}
"""Numbers that no count is."""

LONG_NAMES = {
    "climbs": "../../evil",
    "climbs-later": "a/../../../evil",
    "absolute": "{here}/evil",
    "folder": "a/b",
    "dots": "..",
    "dot": ".",
    "empty": "",
    "nul": "a\0b",
    "newline": "a\nb",
    "long": "a" * 300,
    "option": "-rf",
    "steers": "\x1b]0;taken\x07",
    "notes": ".job",
    "surrogate": "\udcff",
}

MANIFESTS = {
    **{f"name-{name}": _name(value) for name, value in LONG_NAMES.items()},
    **{f"split-{name}": _split(value) for name, value in LONG_NAMES.items()},
    "bin-climbs": _bin("../evil.bin"),
    "bin-climbs-inside": _bin("shards/../../evil.bin"),
    "bin-absolute": _bin("{here}/evil.bin"),
    "bin-system": _bin("/etc/passwd"),
    "bin-manifest": _bin("manifest.json"),
    "bin-folder": _bin("shards"),
    "bin-empty": _bin(""),
    "bin-nul": _bin("shards/\0"),
    "bin-idx": _bin("shards/s-train-small.idx"),
    **{f"tokens-{name}": _shard("tokens", value) for name, value in HUGE.items()},
    **{f"documents-{name}": _shard("documents", value) for name, value in HUGE.items()},
    **{f"bytes-{name}": _bytes("bin", value) for name, value in HUGE.items()},
    **{f"idx-bytes-{name}": _bytes("idx", value) for name, value in HUGE.items()},
    "tokens-zero": _shard("tokens", 0),
    "documents-zero": _shard("documents", 0),
    "source-far": _shard("source", 4294967295),
    "mask-missing": _shard("mask", {"path": "shards/none.mask", "bytes": 9, "blake3": "0" * 64}),
    "checksum-short": _shard("idx", {"path": "shards/s-train-small.idx", "bytes": 256, "blake3": "00"}),
    "checksum-other": _shard("idx", {"path": "shards/s-train-small.idx", "bytes": 256, "blake3": "0" * 64}),
    "vocabulary-zero": _tokenizer("vocab_size", 0),
    "vocabulary-one": _tokenizer("vocab_size", 1),
    "vocabulary-more": _tokenizer("vocab_size", 1 << 32),
    "eos-wide": _tokenizer("eos", 70000),
    "eos-huge": _tokenizer("eos", 4_000_000_000),
    "eos-more": _tokenizer("eos", 1 << 32),
    "pad-wide": _tokenizer("pad", 4_000_000_000),
    "dtype-u32": _top("dtype", "u32"),
    "dtype-u8": _top("dtype", "u8"),
    "dtype-case": _top("dtype", "U16"),
    "version-0": _top("format_version", 0),
    "version-3": _top("format_version", 3),
    "version-huge": _top("format_version", 1 << 70),
    "splits-none": _top("splits", {}),
    "splits-no-shards": _top("splits", {"train": {"layout": "shards", "shards": []}}),
    "splits-layout": _top("splits", {"train": {"layout": "bins", "shards": []}}),
    "base-climbs": _top("base", {"path": "../../..", "manifest": "0" * 64}),
    "unknown-key": _top("more", 1),
    "many-shards": _many_shards,
    "recipe-nested": _nested,
    "recipe-kind": _top("recipe", {"kind": "bake"}),
    "recipe-none": _top("recipe", None),
}

REFUSED = (
    "bin-",
    "tokens-",
    "documents-",
    "bytes-",
    "idx-bytes-",
    "mask-",
    "checksum-",
    "vocabulary-",
    "dtype-",
    "version-",
    "splits-none",
    "splits-layout",
    "unknown-key",
    "recipe-",
    "eos-",
    "name-climbs",
    "name-absolute",
    "split-climbs",
    "split-absolute",
)
"""Of these `verify` says that they are not what they should be."""


def _pack(key, value):
    def edit(file, _):
        file["splits"]["train"][key] = value

    return edit


def _base(key, value):
    def edit(file, place):
        file["base"][key] = value.replace("{here}", str(place.folder))

    return edit


def _itself(file, _):
    file["base"]["path"] = "."


PACKS = {
    **{f"row-len-{name}": _pack("row_len", value) for name, value in HUGE.items()},
    **{f"rows-{name}": _pack("rows", value) for name, value in HUGE.items()},
    **{f"pack-tokens-{name}": _pack("tokens", value) for name, value in HUGE.items()},
    "row-len-0": _pack("row_len", 0),
    "row-len-1": _pack("row_len", 1),
    "row-len-u32": _pack("row_len", 4294967295),
    "row-len-i32": _pack("row_len", 1 << 31),
    "rows-0": _pack("rows", 0),
    "rows-1": _pack("rows", 1),
    "tokens-0": _pack("tokens", 0),
    "base-missing": _base("path", "../nowhere"),
    "base-root": _base("path", "/"),
    "base-other": _base("manifest", "0" * 64),
    "base-itself": _itself,
    "base-none": _top("base", None),
}

PAIRS = {
    **{
        f"row-len-{name}": lambda file, place, value=value: _set_all(file, "row_len", value)
        for name, value in HUGE.items()
    },
    **{f"rows-{name}": lambda file, place, value=value: _set_all(file, "rows", value) for name, value in HUGE.items()},
    "row-len-0": lambda file, place: _set_all(file, "row_len", 0),
    "row-len-u32": lambda file, place: _set_all(file, "row_len", 4294967295),
    "rows-0": lambda file, place: _set_all(file, "rows", 0),
}


def _set_all(file, key, value):
    for split in file["splits"].values():
        split[key] = value


def _words(content, width):
    return list(struct.unpack(f"<{len(content) // width}{'Q' if width == 8 else 'H'}", content))


def _packed(words, width):
    return struct.pack(f"<{len(words)}{'Q' if width == 8 else 'H'}", *words)


def _set_word(place, value, width=8):
    def edit(content):
        words = _words(content, width)
        words[place] = value
        return _packed(words, width)

    return edit


def _span(start=None, length=None, column=None):
    def edit(content):
        old = struct.unpack("<QII", content[:16])
        new = [there if given is None else given for there, given in zip(old, (start, length, column))]
        return struct.pack("<QII", *new) + content[16:]

    return edit


FILES = {
    "idx-first-huge": ("small_bins", "*-train-*.idx", _set_word(0, (1 << 64) - 1)),
    "idx-last-huge": ("small_bins", "*-train-*.idx", _set_word(-1, (1 << 64) - 1)),
    "idx-last-short": ("small_bins", "*-train-*.idx", _set_word(-1, 1)),
    "idx-falls": ("small_bins", "*-train-*.idx", lambda content: _packed(_words(content, 8)[::-1], 8)),
    "idx-zeros": ("small_bins", "*-train-*.idx", lambda content: bytes(len(content))),
    "idx-odd": ("small_bins", "*-train-*.idx", lambda content: content[:-3]),
    "idx-empty": ("small_bins", "*-train-*.idx", lambda content: b""),
    "bin-odd": ("small_bins", "*-train-*.bin", lambda content: content[:-1]),
    "bin-short": ("small_bins", "*-train-*.bin", lambda content: content[:-2]),
    "bin-long": ("small_bins", "*-train-*.bin", lambda content: content + b"\0\0"),
    "bin-empty": ("small_bins", "*-train-*.bin", lambda content: b""),
    "bin-beyond-vocabulary": ("small_bins", "*-train-*.bin", _set_word(3, 65535, 2)),
    "rows-first-huge": ("small_pack", "*-train-*.rows", _set_word(0, (1 << 64) - 1)),
    "rows-last-huge": ("small_pack", "*-train-*.rows", _set_word(-1, 1 << 62)),
    "rows-fall": ("small_pack", "*-train-*.rows", lambda content: _packed(_words(content, 8)[::-1], 8)),
    "rows-zeros": ("small_pack", "*-train-*.rows", lambda content: bytes(len(content))),
    "span-start": ("small_pack", "*-train-*.spans", _span(start=(1 << 64) - 1)),
    "span-start-near": ("small_pack", "*-train-*.spans", _span(start=1 << 40)),
    "span-len": ("small_pack", "*-train-*.spans", _span(length=(1 << 32) - 1)),
    "span-len-0": ("small_pack", "*-train-*.spans", _span(length=0)),
    "span-column": ("small_pack", "*-train-*.spans", _span(column=(1 << 32) - 1)),
    "span-column-near": ("small_pack", "*-train-*.spans", _span(column=64)),
    "spans-odd": ("small_pack", "*-train-*.spans", lambda content: content[:-5]),
    "rows-bin-odd": ("small_rows", "*-train-*.bin", lambda content: content[:-1]),
    "rows-bin-other": ("small_rows", "*-train-*.bin", lambda content: b"\xff" * len(content)),
    "rows-mask-short": ("small_rows", "*-train-*.mask", lambda content: content[:-1]),
    "pairs-inputs-short": ("small_pairs", "*-inputs.bin", lambda content: content[:-2]),
    "pairs-inputs-negative": ("small_pairs", "*-inputs.bin", lambda content: b"\xff\xff" * (len(content) // 2)),
    "pairs-labels-far": ("small_pairs", "*-labels.bin", lambda content: b"\x00\x80" * (len(content) // 2)),
    "pairs-lengths-huge": ("small_pairs", "*-lengths.bin", lambda content: b"\xff" * len(content)),
}


def _leads_out(pattern):
    """Moves what a pattern finds out of the artifact, and leaves a link to it: even its checksum is right."""

    def lead(folder):
        path = next(folder.rglob(pattern))
        path.rename(folder.parent / "secret")
        path.symlink_to(folder.parent / "secret")

    return lead


LINKS = {"bin": _leads_out("*-train-*.bin"), "idx": _leads_out("*-train-*.idx"), "folder": _leads_out("shards")}

RAW_MANIFESTS = {
    "empty": lambda text: b"",
    "null": lambda text: b"null",
    "list": lambda text: b"[]",
    "mark": lambda text: b"\xef\xbb\xbf" + text + b"}",
    "utf16": lambda text: text.decode().encode("utf-16"),
    "cut": lambda text: text[: len(text) // 2],
    "twice": lambda text: text + text,
    "deep": lambda text: b'{"format_version": 2, "recipe": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep-objects": lambda text: b'{"a":' * 200_000,
    "no-number": lambda text: text.replace(b'"format_version": 2', b'"format_version": NaN'),
    "long-number": lambda text: text.replace(b'"format_version": 2', b'"format_version": ' + b"1" * 100_000),
    "long-key": lambda text: b'{"' + b"a" * 5_000_000 + b'": 1}',
    "zeros": lambda text: bytes(1 << 20),
}
"""Manifests that are none, made of an honest one."""
