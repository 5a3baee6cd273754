#!/usr/bin/env python3
"""Compares the speed of loaders for PyTorch: ours, Hugging Face datasets, MosaicML streaming, litdata, nanoGPT's loop.

    bench_loader.py --work DIR make            # writes the same rows in each tool's own format
    bench_loader.py --work DIR time [--rounds 5] [--only ratdata,litdata] [--workers 0,2]

Each loop draws one shuffled epoch of rows of 2,048 tokens in batches of 8, as int64 tensors of inputs and labels, as a
training loop takes them. Every loop but nanoGPT's has the same rows: before the first round, the sums of all inputs and
labels of an epoch are compared. A tool is timed with each number of worker processes; its best median counts. The files are
in the system's memory.

It needs a venv with torch, datasets, mosaicml-streaming, litdata and the wheel of this repository:
`pip install torch datasets mosaicml-streaming litdata target/wheels/ratdata-*.whl`.
"""

import argparse
import functools
import json
import os
import pathlib
import shutil
import statistics
import sys
import time

SEQ_LEN = 2048
ROWS = 32768
BATCH = 8
SEED = 1005
VOCABULARY = 32000

os.environ["HF_HUB_OFFLINE"] = "1"
# Both ask a server for their news otherwise.
os.environ["DISABLE_TELEMETRY"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def stream():
    """The ids of all rows, one after the other, and one more for the last label."""
    import numpy as np

    return np.random.default_rng(SEED).integers(0, VOCABULARY, ROWS * SEQ_LEN + 1).astype(np.uint16)


def rows():
    """Each row with its last label: rows overlap by one id."""
    ids = stream()
    return [ids[number * SEQ_LEN : (number + 1) * SEQ_LEN + 1] for number in range(ROWS)]


def make(work):
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    stream().tofile(work / "train.bin")
    make_datasets(work)
    make_streaming(work)
    make_litdata(work)
    for folder in sorted(work.iterdir()):
        files = [folder] if folder.is_file() else [file for file in folder.rglob("*") if file.is_file()]
        print(f"{folder.name:12} {sum(file.stat().st_size for file in files) / 1e6:8.1f} MB in {len(files)} files")


def make_datasets(work):
    import datasets

    features = datasets.Features({"tokens": datasets.List(datasets.Value("uint16"), length=SEQ_LEN + 1)})
    datasets.Dataset.from_dict({"tokens": rows()}, features=features).save_to_disk(work / "datasets")


def make_streaming(work):
    from streaming import MDSWriter

    with MDSWriter(out=str(work / "streaming"), columns={"tokens": f"ndarray:uint16:{SEQ_LEN + 1}"}) as writer:
        for row in rows():
            writer.write({"tokens": row})


def torch_row(number, all_rows):
    import torch

    return torch.from_numpy(all_rows[number].astype("int16"))


def make_litdata(work):
    from litdata import TokensLoader, optimize

    optimize(
        fn=functools.partial(torch_row, all_rows=rows()),
        inputs=list(range(ROWS)),
        output_dir=str(work / "litdata"),
        chunk_size=(SEQ_LEN + 1) * 1024,
        item_loader=TokensLoader(),
        num_workers=1,
    )


def split(tokens):
    """Inputs and labels of rows that have one token more, as int64."""
    tokens = tokens.long()
    return tokens[:, :-1], tokens[:, 1:]


def with_ratdata(work, workers):
    import ratdata.torch

    dataset = ratdata.torch.IterableDataset(
        work / "train.bin", seq_len=SEQ_LEN, batch_size=BATCH, seed=SEED, epochs=1
    )
    for batch in ratdata.torch.DataLoader(dataset, num_workers=workers):
        yield batch["input_ids"], batch["labels"]


def with_datasets(work, workers):
    import datasets
    from torch.utils.data import DataLoader

    dataset = datasets.load_from_disk(work / "datasets").with_format("torch")
    for batch in DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=workers):
        yield split(batch["tokens"])


def with_datasets_by_batch(work, workers):
    """Hugging Face's iterable form, shuffled in a buffer, whose arrays of a batch come in one piece."""
    import datasets
    from torch.utils.data import DataLoader

    dataset = datasets.load_from_disk(work / "datasets").to_iterable_dataset(num_shards=8)
    dataset = dataset.shuffle(seed=SEED, buffer_size=1000).with_format("torch").batch(BATCH)
    for batch in DataLoader(dataset, batch_size=None, num_workers=workers):
        yield split(batch["tokens"])


def with_streaming(work, workers):
    import numpy as np
    import torch
    from streaming import StreamingDataset
    from streaming.base.util import clean_stale_shared_memory
    from torch.utils.data import DataLoader

    clean_stale_shared_memory()
    dataset = StreamingDataset(local=str(work / "streaming"), shuffle=True, batch_size=BATCH, shuffle_seed=SEED)

    def together(samples):
        return torch.from_numpy(np.stack([sample["tokens"] for sample in samples]).astype(np.int64))

    for tokens in DataLoader(dataset, batch_size=BATCH, num_workers=workers, collate_fn=together):
        yield split(tokens)


def with_litdata(work, workers):
    from litdata import StreamingDataLoader, StreamingDataset, TokensLoader

    loader = TokensLoader(block_size=SEQ_LEN + 1)
    dataset = StreamingDataset(str(work / "litdata"), item_loader=loader, shuffle=True, seed=SEED)
    for tokens in StreamingDataLoader(dataset, batch_size=BATCH, num_workers=workers):
        yield split(tokens)


def with_nanogpt(work, workers):
    """nanoGPT's own loop: a new map for each batch, rows at random places, with replacement."""
    import numpy as np
    import torch

    for _ in range(ROWS // BATCH):
        data = np.memmap(work / "train.bin", dtype=np.uint16, mode="r")
        places = torch.randint(len(data) - SEQ_LEN, (BATCH,))
        inputs = [torch.from_numpy(data[at : at + SEQ_LEN].astype(np.int64)) for at in places]
        labels = [torch.from_numpy(data[at + 1 : at + 1 + SEQ_LEN].astype(np.int64)) for at in places]
        yield torch.stack(inputs), torch.stack(labels)


LOOPS = {
    "ratdata": with_ratdata,
    "nanogpt": with_nanogpt,
    "litdata": with_litdata,
    "streaming": with_streaming,
    "datasets": with_datasets,
    "datasets-iter": with_datasets_by_batch,
}


def timed(loop, work, workers):
    """Returns tokens a second of one epoch, from the first batch on; the loop does nothing else than to take batches."""
    batches = iter(loop(work, workers))
    inputs, labels = next(batches)
    assert inputs.dtype == labels.dtype and str(inputs.dtype) == "torch.int64"
    count, begun = inputs.numel(), time.perf_counter()
    tokens = 0
    for inputs, labels in batches:
        tokens += labels.numel()
    seconds = time.perf_counter() - begun
    if count + tokens != ROWS * SEQ_LEN:
        sys.exit(f"bench_loader: {loop.__name__} gave {count + tokens} tokens, expected {ROWS * SEQ_LEN}")
    return tokens / seconds


def check(work, names):
    """Takes an epoch of each loader that has every row once, and compares the sums of inputs and labels."""
    ids = stream().astype("int64")
    expected = int(ids[:-1].sum()), int(ids[1:].sum())
    for name in names:
        if name != "nanogpt":
            batches = [(int(inputs.sum()), int(labels.sum())) for inputs, labels in LOOPS[name](work, 0)]
            found = tuple(map(sum, zip(*batches)))
            if found != expected:
                sys.exit(f"bench_loader: {name}: inputs and labels add up to {found}, expected {expected}")


def measure(work, names, all_workers, rounds):
    import torch

    torch.set_num_threads(1)
    check(work, names)
    found = {(name, workers): [] for name in names for workers in all_workers if name != "nanogpt" or workers == 0}
    for number in range(rounds):
        for (name, workers), speeds in found.items():
            speed = timed(LOOPS[name], work, workers)
            speeds.append(speed)
            print(f"round {number + 1}: {name}, {workers} workers: {speed / 1e6:.1f} M tokens/s", flush=True)
    best = {}
    for (name, workers), speeds in found.items():
        speed = statistics.median(speeds)
        if speed > best.get(name, (0, 0))[0]:
            best[name] = (speed, workers)
    ours = best.get("ratdata", (0, 0))[0]
    print(f"\n{'loader':14} {'M tokens/s':>10} {'workers':>8} {'ours is':>9}")
    for name, (speed, workers) in sorted(best.items(), key=lambda item: -item[1][0]):
        print(f"{name:14} {speed / 1e6:>10.1f} {workers:>8} {ours / speed:>8.1f}x")
    return {f"{name}/{workers}": speeds for (name, workers), speeds in found.items()}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=["make", "time"])
    options.add_argument("--work", type=pathlib.Path, required=True, help="the folder of the files")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", default=",".join(LOOPS), help="loaders, with commas")
    options.add_argument("--workers", default="0,2", help="numbers of worker processes, with commas")
    options.add_argument("--results", type=pathlib.Path, help="where all speeds go, as JSON")
    given = options.parse_args()
    if given.what == "make":
        make(given.work)
        return
    workers = [int(number) for number in given.workers.split(",")]
    speeds = measure(given.work, given.only.split(","), workers, given.rounds)
    if given.results:
        given.results.write_text(json.dumps(speeds, indent=1))


if __name__ == "__main__":
    main()
