"""Reads the exports of `layouts.rs` with the readers of others: NumPy, safetensors, Megatron.

`python3 read_exports.py READER ARTIFACT EXPORT`; prints nothing when all is equal, and
`missing MODULE` where a reader is not installed.
"""

import csv
import functools
import glob
import gzip
import importlib.util
import json
import os
import sys
import types

try:
    import numpy as np
except ImportError:
    print("missing numpy")
    sys.exit()


def shards(artifact):
    with open(os.path.join(artifact, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    for shard in manifest["splits"]["train"]["shards"]:
        ids = np.fromfile(os.path.join(artifact, shard["bin"]["path"]), "<u2")
        ends = np.fromfile(os.path.join(artifact, shard["idx"]["path"]), "<u8")
        mask = None
        if "mask" in shard:
            bits = np.fromfile(os.path.join(artifact, shard["mask"]["path"]), np.uint8)
            mask = np.unpackbits(bits, bitorder="little")[: len(ids)].astype(bool)
        stem = os.path.basename(shard["bin"]["path"])[: -len(".bin")]
        yield stem, ids, ends, mask, manifest["tokenizer"]["eos"]


def npy(stem, export, ids, ends, mask, eos):
    found = np.load(f"{export}/{stem}.npy", mmap_mode="r")
    assert found.dtype == np.uint16 and np.array_equal(found, ids)
    assert np.array_equal(np.load(f"{export}/{stem}.ends.npy"), ends)
    if mask is not None:
        found = np.load(f"{export}/{stem}.mask.npy")
        assert found.dtype == bool and np.array_equal(found, mask)


def safetensors(stem, export, ids, ends, mask, eos):
    if importlib.util.find_spec("safetensors") is None:
        print("missing safetensors")
        sys.exit()
    from safetensors import safe_open

    with safe_open(f"{export}/{stem}.safetensors", "np") as file:
        assert np.array_equal(file.get_tensor("tokens"), ids)
        assert np.array_equal(file.get_tensor("document_ends"), ends)
        assert ("loss_mask" in file.keys()) == (mask is not None)
        if mask is not None:
            assert np.array_equal(file.get_tensor("loss_mask"), mask)
        assert file.metadata()["eos"] == str(eos)


def olmo(stem, export, ids, ends, mask, eos):
    found = np.memmap(f"{export}/{stem}.npy", np.uint16, "r")
    assert np.array_equal(found, ids)
    with gzip.open(f"{export}/{stem}.csv.gz", "rt", newline="") as file:
        rows = list(csv.reader(file))
    assert [int(row[1]) for row in rows] == ends.tolist()
    assert [int(row[0]) for row in rows] == [0, *ends.tolist()[:-1]]
    assert [int(row[4]) for row in rows] == list(range(1, len(ends) + 1))
    if mask is not None:
        assert np.array_equal(np.fromfile(f"{export}/label_mask/{stem}.npy", bool), mask)


def datatrove(stem, export, ids, ends, mask, eos):
    assert np.array_equal(np.memmap(f"{export}/{stem}.ds", np.uint16, "r"), ids)
    assert np.array_equal(np.fromfile(f"{export}/{stem}.ds.index", "<u8"), ends)
    if mask is not None:
        assert np.array_equal(np.fromfile(f"{export}/{stem}.ds.loss", bool), mask)
    with open(f"{export}/{stem}.ds.metadata", encoding="utf-8") as file:
        first, count, _ = file.read().split("\n")
    assert first.endswith("|2") and int(count) == len(ids)


def llmc(stem, export, ids, ends, mask, eos):
    # As llm.c's dataloader and modded-nanogpt read it.
    with open(f"{export}/{stem}.bin", "rb") as file:
        header = np.frombuffer(file.read(256 * 4), np.int32)
        found = np.frombuffer(file.read(), np.uint16)
    assert header[0] == 20240520 and header[1] == 1 and header[2] == len(found)
    documents = [[eos, *ids[start : end - 1]] for start, end in zip([0, *ends[:-1]], ends)]
    assert np.array_equal(found, np.concatenate(documents))


def megatron(stem, export, ids, ends, mask, eos):
    """By `megatron-core`'s own reader where it is installed, by its documented layout otherwise."""
    starts = np.concatenate([[0], ends[:-1]])
    with open(f"{export}/{stem}.idx", "rb") as file:
        content = file.read()
    assert content[:9] == b"MMIDIDX\x00\x00" and content[17] == 8
    count = len(ends)
    assert len(content) == 34 + 12 * count + 8 * (count + 1)
    assert np.array_equal(np.frombuffer(content, "<i4", count, 34), ends - starts)
    assert np.array_equal(np.frombuffer(content, "<i8", count, 34 + 4 * count), starts * 2)
    reader = megatron_reader()
    if reader is None:
        return
    dataset = reader.IndexedDataset(f"{export}/{stem}")
    assert len(dataset) == count
    for document, (start, end) in enumerate(zip(starts.astype(int), ends.astype(int))):
        assert np.array_equal(dataset[document], ids[start:end])
    assert np.array_equal(dataset.document_indices, np.arange(count + 1))


@functools.cache
def megatron_reader():
    """Loads `indexed_dataset.py` of `megatron-core` alone.

    It needs PyTorch for a base class and for logging; where PyTorch is not installed, two empty
    stand-ins serve, and the reading is Megatron's own all the same.
    """
    spec = importlib.util.find_spec("megatron")
    places = [f"{place}/core" for place in spec.submodule_search_locations] if spec else []
    places = [place for place in places if os.path.exists(f"{place}/datasets/indexed_dataset.py")]
    if not places:
        return None

    def stand_in(name, path=None, **content):
        module = types.ModuleType(name)
        module.__path__ = [path] if path else []
        for key, value in content.items():
            setattr(module, key, value)
        sys.modules[name] = module

    if importlib.util.find_spec("torch") is None:
        utils = types.SimpleNamespace(data=types.SimpleNamespace(Dataset=object))
        group = types.SimpleNamespace(is_initialized=lambda: False)
        stand_in("torch", utils=utils, distributed=group, Tensor=object)
    stand_in("megatron.core", places[0])
    stand_in("megatron.core.datasets", f"{places[0]}/datasets")
    stand_in("megatron.core.utils", log_single_rank=lambda *_, **__: None)
    import megatron.core.datasets.indexed_dataset as reader

    if os.environ.get("RATDATA_SHOW_READERS"):
        print(f"read by {reader.__file__}", file=sys.stderr)
    return reader


def main():
    read, artifact, export = globals()[sys.argv[1]], sys.argv[2], sys.argv[3]
    found = list(shards(artifact))
    assert found and glob.glob(f"{export}/*")
    for stem, ids, ends, mask, eos in found:
        read(stem, export, ids, ends, mask, eos)


main()
