"""Datasets and the loader for PyTorch, or on the stand-in."""

import itertools

import numpy as np
import pytest
import torch

import ratdata.torch

OPTIONS = {"batch_size": 4, "seq_len": 32, "seed": 7}


def rows(batches):
    return [np.asarray(row).tobytes() for batch in batches for row in batch["input_ids"]]


def expected(count):
    feed = ratdata.Feed("tokens", **OPTIONS)
    return rows(itertools.islice(feed, count))


def test_a_dataset_has_the_sequences_by_number():
    dataset = ratdata.torch.Dataset("tokens", seq_len=32)
    sequences = ratdata.Sequences("tokens", seq_len=32)

    assert isinstance(dataset, torch.utils.data.Dataset)
    assert len(dataset) == len(sequences)
    for number, item in zip([3, 1, 2], dataset.__getitems__([3, 1, 2])):
        assert np.array_equal(np.asarray(item["labels"]), sequences[number]["labels"])
        assert np.array_equal(np.asarray(dataset[number]["labels"]), sequences[number]["labels"])


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_loader_gives_the_batches_in_order_for_any_number_of_workers(workers):
    dataset = ratdata.torch.IterableDataset("tokens", **OPTIONS)
    loader = ratdata.torch.DataLoader(dataset, num_workers=workers)

    batches = list(itertools.islice(loader, 7))

    assert rows(batches) == expected(7)
    assert all(isinstance(batch["labels"], torch.Tensor) for batch in batches)


@pytest.mark.parametrize("before, after", [(0, 2), (2, 0), (2, 3)])
def test_a_loader_resumes_with_another_number_of_workers_and_ranks(before, after):
    loader = ratdata.torch.DataLoader(
        ratdata.torch.IterableDataset("tokens", **OPTIONS), num_workers=before
    )
    first = rows(itertools.islice(loader, 5))
    state = loader.state_dict()
    assert state["samples"] == 20

    shares = []
    for rank in range(2):
        options = {**OPTIONS, "batch_size": 2, "rank": rank, "world_size": 2}
        dataset = ratdata.torch.IterableDataset("tokens", **options)
        resumed = ratdata.torch.DataLoader(dataset, num_workers=after)
        resumed.load_state_dict(state)
        shares.append([rows([batch]) for batch in itertools.islice(resumed, 4)])
    then = [row for turn in zip(*shares) for part in turn for row in part]

    assert first + then == expected(9)


def test_an_epoch_ends_with_workers_too():
    dataset = ratdata.torch.IterableDataset("tokens", **OPTIONS, epochs=1)
    loader = ratdata.torch.DataLoader(dataset, num_workers=2)

    found = rows(loader)

    assert sorted(found) == sorted(rows(ratdata.Feed("tokens", **OPTIONS, epochs=1)))
    assert loader.state_dict()["samples"] == dataset.num_rows
    assert rows(loader) == []


def test_ranks_are_those_of_the_environment(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")

    dataset = ratdata.torch.IterableDataset("tokens", **OPTIONS)

    assert (dataset.rank, dataset.world_size) == (1, 3)


def test_a_batch_size_of_the_loader_is_refused():
    dataset = ratdata.torch.IterableDataset("tokens", **OPTIONS)

    with pytest.raises(ValueError, match="give `batch_size` to IterableDataset"):
        ratdata.torch.DataLoader(dataset, batch_size=8)


def test_no_query_attends_to_another_document():
    if torch.__version__ == "stand-in":
        pytest.skip("torch is not installed")
    dataset = ratdata.torch.IterableDataset("packed", batch_size=2, documents=True)
    batch = next(iter(dataset))

    mask = ratdata.torch.attention_mask(batch["document_ids"])

    assert mask.shape == (2, 1, 64, 64)
    for row, documents in zip(mask[:, 0], batch["document_ids"]):
        for query, key in itertools.product(range(64), range(64)):
            same = documents[query] == documents[key]
            assert bool(row[query, key]) == bool(same and key <= query)
