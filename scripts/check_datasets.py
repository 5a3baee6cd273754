#!/usr/bin/env python3
"""Checks inputs that other libraries wrote, and exports that other libraries read.

usage: check_datasets.py --program target/debug/ratdata [--venv DIR]

Inputs: the same rows as a folder of `datasets` (`save_to_disk`, several splits and files, with a result of `map` next to
them), as Feather and as a stream by pyarrow, as CSV and TSV by Python's `csv`, as one array by `json`, and as archives by
`tarfile`. `ratdata tokenize` must make of each the bins that it makes of JSON lines.

Exports: packed instruction data as `arrow` is read by `load_from_disk`, as `npz` by NumPy, as `safetensors` by its own
reader, and as `megatron-sft` by pyarrow, with what Megatron-Bridge's collation does to it. All of them must have the same
terms of the loss: the same labels after the same tokens of the same sequences.

Imports: the same rows, written again by those libraries, become the bins and masks that our own exports become.

Without `--venv` a venv is made in the program's folder. Where that cannot be done, one line says so, and the exit status is 0.
"""

import argparse
import csv
import gzip
import io
import json
import pathlib
import random
import subprocess
import sys
import tarfile
import tempfile

from venv_of_check import Skipped, enter_venv, venv_options

PACKAGES = ["datasets", "numpy", "safetensors", "pyarrow"]
TASK = """
prompt = "Q: {question}\\nA:"
[splits.train]
source = "questions.jsonl"
answers = ["answer"]
"""


def say(text):
    print(f"check_datasets: {text}", flush=True)


def fail(text):
    sys.exit(f"check_datasets: {text}")


def run(program, folder, *words):
    done = subprocess.run([program, *words, "--quiet"], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        fail(f"ratdata {' '.join(words)}: {done.stderr}")


def rows_of(count):
    random.seed(7)
    texts = ["", 'a, "quoted" one', "Zeile\nzwei: größer, 水\r\n", "tab\there", "\u2028 and \U0001f642", "  spaces  "]
    return [{"id": row, "text": random.choice(texts) + " word" * random.randrange(60)} for row in range(count)]


def bins(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "shards").glob("*"))}


def tokenized(program, folder, name, inputs, *more):
    words = ["tokenize", "--tokenizer", "demo/tokenizer", "--name", "x", "--out", f"bins/{name}", "--order", "file"]
    run(program, folder, *words, "--input", inputs, *more)
    # Files are named by their inputs, so only what is in them is compared, as one stream.
    found = bins(folder / "bins" / name)
    return {kind: b"".join(found[name] for name in sorted(found) if name.endswith(kind) and "-train-" in name) for kind in [".bin"]}


def write_inputs(folder, rows):
    import datasets
    import pyarrow
    import pyarrow.feather

    def lines(some):
        return "".join(json.dumps(row) + "\n" for row in some).encode()

    (folder / "lines").mkdir()
    (folder / "lines/a.jsonl").write_bytes(lines(rows))
    data = datasets.Dataset.from_list(rows)
    saved = datasets.DatasetDict({"train": data, "test": data.select(range(5))})
    saved.save_to_disk(folder / "saved", num_shards={"train": 3, "test": 1})
    # What `map` leaves next to the files that it read.
    datasets.load_from_disk(folder / "saved/train").map(lambda row: {"text": row["text"].upper()})
    if not list((folder / "saved/train").glob("cache-*.arrow")):
        fail("`map` left no file next to the data set, and the check is about one")
    table = pyarrow.Table.from_pylist(rows)
    for codec in ["uncompressed", "lz4", "zstd"]:
        pyarrow.feather.write_feather(table, folder / f"{codec}.arrow", compression=codec, chunksize=100)
    with pyarrow.ipc.new_stream(folder / "stream.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=77)
    dictionary = table.set_column(1, "text", table["text"].dictionary_encode())
    with pyarrow.ipc.new_file(folder / "dictionary.arrow", dictionary.schema) as writer:
        writer.write_table(dictionary)
    for name, dialect in [("a.csv", "excel"), ("quoted.csv", "unix"), ("a.tsv", "excel-tab")]:
        with open(folder / name, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["id", "text"], dialect=dialect)
            writer.writeheader()
            writer.writerows(rows)
    (folder / "array.json").write_text(json.dumps(rows))
    (folder / "indented.json").write_text(json.dumps(rows, indent=2, ensure_ascii=False), encoding="utf-8")
    (folder / "array.json.gz").write_bytes(gzip.compress(json.dumps(rows).encode()))
    for name, mode, form in [("pax.tar", "w", tarfile.PAX_FORMAT), ("gnu.tar.gz", "w:gz", tarfile.GNU_FORMAT), ("v7.tar", "w", tarfile.USTAR_FORMAT)]:
        with tarfile.open(folder / name, mode, format=form) as archive:
            half = len(rows) // 2
            for member, content in [("d/1.jsonl", lines(rows[:half])), ("d/README.md", b"x"), ("d/2.jsonl.gz", gzip.compress(lines(rows[half:])))]:
                info = tarfile.TarInfo(member if form == tarfile.USTAR_FORMAT else f"{'long-' * 30}{member}")
                info.size, info.mtime = len(content), 1.5 if form == tarfile.PAX_FORMAT else 1
                archive.addfile(info, io.BytesIO(content))


def check_inputs(program, folder):
    rows = rows_of(1000)
    write_inputs(folder, rows)
    expected = tokenized(program, folder, "lines", "lines/a.jsonl", "--val-fraction", "0")
    names = ["saved", "uncompressed.arrow", "lz4.arrow", "zstd.arrow", "stream.arrow", "dictionary.arrow", "a.csv", "quoted.csv", "a.tsv",
             "array.json", "indented.json", "array.json.gz", "pax.tar", "gnu.tar.gz", "v7.tar"]
    for name in names:
        if tokenized(program, folder, name, name, "--val-fraction", "0") != expected:
            fail(f"{name}: other bins than those of JSON lines")
    say(f"{len(names)} inputs of {len(rows)} rows have the bins of JSON lines: {', '.join(names)}")


def terms(ids, labels, lengths):
    """The terms of the loss of one row, with labels at their tokens: the sequence up to each, and the token."""
    found, start = [], 0
    for length in lengths:
        for at in range(start, start + length):
            if labels[at] != -100:
                if at == start:
                    fail(f"the first token of a sequence is a label: {ids[start:start + length]}")
                if labels[at] != ids[at]:
                    fail(f"a label that is not its token: {labels[at]}, {ids[at]}")
                found.append((tuple(ids[start:at]), ids[at]))
        start += length
    if start != len(ids):
        fail(f"sequences of {start} tokens together, and {len(ids)} tokens")
    return found


def shifted_terms(inputs, labels, cu_seqlens):
    """The same of one row whose labels are at the positions that predict them."""
    found = []
    for start, end in zip(cu_seqlens, cu_seqlens[1:]):
        for at in range(start, end):
            if labels[at] != -100:
                found.append((tuple(inputs[start : at + 1]), labels[at]))
    return found


def check_exports(program, folder):
    import datasets
    import numpy
    import pyarrow.parquet
    import safetensors.numpy

    random.seed(8)
    questions = [{"question": f"why {row}? " + "so " * random.randrange(9), "answer": "because " * random.randrange(1, 20)} for row in range(300)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    (folder / "task.toml").write_text(TASK)
    common = ["sft", "--task-file", "task.toml", "--tokenizer", "demo/tokenizer", "--max-length", "128"]
    run(program, folder, *common, "--packing", "best-fit", "--out", "packed")
    run(program, folder, *common, "--packing", "none", "--out", "pairs")
    for artifact in ["packed", "pairs", "packed/tokens"]:
        run(program, folder, "export", artifact, "--to", "arrow", "--out", f"arrow/{artifact.replace('/', '-')}")
    for layout in ["npz", "safetensors", "megatron-sft"]:
        run(program, folder, "export", "packed", "--to", layout, "--out", layout)

    npz = dict(numpy.load(next((folder / "npz/train").glob("*.npz"))))
    tensors = safetensors.numpy.load_file(next((folder / "safetensors/train").glob("*.safetensors")))
    if sorted(npz) != sorted(tensors) or any(not numpy.array_equal(npz[name], tensors[name]) for name in npz):
        fail(f"npz and safetensors differ: {sorted(npz)}, {sorted(tensors)}")
    expected = []
    for row, (begin, end) in enumerate(zip(npz["row_sequences"], npz["row_sequences"][1:])):
        cu_seqlens = npz["cu_seqlens"][begin + row : end + row + 1].tolist()
        if numpy.diff(cu_seqlens).tolist() != npz["seq_lengths"][begin:end].tolist():
            fail(f"row {row}: cu_seqlens and seq_lengths differ")
        expected.append(shifted_terms(npz["inputs"][row].tolist(), npz["labels"][row].tolist(), cu_seqlens))
    count = sum(map(len, expected))
    if count == 0 or max(map(len, expected)) < 2:
        fail("no terms of a loss to compare")

    splits = datasets.load_from_disk(folder / "arrow/packed")
    data = splits["train"]
    if set(data.column_names) != {"input_ids", "labels", "position_ids", "seq_lengths"}:
        fail(f"columns {data.column_names}")
    found = [terms(row["input_ids"], row["labels"], row["seq_lengths"]) for row in data]
    if found != expected:
        fail("`arrow` has other terms of the loss than `npz`")
    for row in data:
        if row["position_ids"] != [at for length in row["seq_lengths"] for at in range(length)]:
            fail("position_ids do not begin again with each sequence")
    alone = datasets.load_from_disk(folder / "arrow/pairs/train")
    pairs = sorted(term for row in alone for term in terms(row["input_ids"], row["labels"], [len(row["input_ids"])]))
    documents = datasets.load_from_disk(folder / "arrow/packed-tokens")["train"]
    streams = sorted(term for row in documents for term in terms(row["input_ids"], row["labels"], [len(row["input_ids"])]))
    if not pairs == streams == sorted(term for row in expected for term in row):
        fail("rows of one example, documents and packed rows have other terms of the loss")

    table = pyarrow.parquet.read_table(next((folder / "megatron-sft/train").glob("*.idx.parquet"))).to_pylist()
    found = []
    for row in table:
        ids, mask, bounds, of_row = row["input_ids"], row["loss_mask"], row["seq_start_id"] + [len(row["input_ids"])], []
        for begin, end in zip(bounds, bounds[1:]):
            inputs, labels, counted = ids[begin : end - 1], ids[begin + 1 : end], mask[begin : end - 1]
            of_row += [(tuple(inputs[: at + 1]), label) for at, (label, is_counted) in enumerate(zip(labels, counted)) if is_counted]
        found.append(of_row)
    if found != expected:
        fail("`megatron-sft` has other terms of the loss than `npz`")
    say(f"arrow, npz, safetensors and megatron-sft have the same {count} terms of the loss in {len(expected)} rows")
    check_imports(program, folder, data, npz)


def check_imports(program, folder, data, npz):
    import datasets
    import numpy
    import pyarrow.parquet
    import safetensors.numpy

    wide = datasets.Features({name: datasets.Sequence(datasets.Value("int64")) for name in data.column_names})
    written = {"arrow": folder / "theirs/arrow", "npz": folder / "theirs/npz", "safetensors": folder / "theirs/st", "megatron-sft": folder / "theirs/sft"}
    for place in written.values():
        place.mkdir(parents=True)
    # Without their lengths, sequences are those that `position_ids` say.
    data.cast(wide).remove_columns("seq_lengths").save_to_disk(written["arrow"])
    numpy.savez(written["npz"] / "x.npz", **npz)
    safetensors.numpy.save_file(npz, written["safetensors"] / "x.safetensors", metadata={"by": "others"})
    table = pyarrow.parquet.read_table(next((folder / "megatron-sft/train").glob("*.idx.parquet")))
    pyarrow.parquet.write_table(table, written["megatron-sft"] / "x.idx.parquet", compression="snappy", row_group_size=7)
    ours = {layout: folder / layout / "train" for layout in ["npz", "safetensors", "megatron-sft"]} | {"arrow": folder / "arrow/packed/train"}
    expected = None
    for layout, place in [*ours.items(), *written.items()]:
        out = f"imported/{place.relative_to(folder)}"
        run(program, folder, "import", str(place), "--from", layout, "--tokenizer", "demo/tokenizer", "--out", out)
        found = {path.suffix: path.read_bytes() for path in (folder / out / "shards").iterdir()}
        if sorted(found) != [".bin", ".idx", ".mask"]:
            fail(f"{out}: {sorted(found)}")
        expected = expected or found
        if found != expected:
            fail(f"{place}: other documents than those of {next(iter(ours))}")
    say(f"{len(ours)} layouts, written by us and by the real libraries, come back as the same documents")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--program", type=lambda text: pathlib.Path(text).absolute(), required=True)
    venv_options(parser)
    args = parser.parse_args()
    try:
        enter_venv(args, "datasets-venv", "datasets, numpy, safetensors, pyarrow", PACKAGES)
    except Skipped as skipped:
        say(f"skipped: {skipped}")
        return
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder).resolve()
        run(args.program, folder, "sample", "--out", "demo")
        check_inputs(args.program, folder)
        check_exports(args.program, folder)


if __name__ == "__main__":
    main()
