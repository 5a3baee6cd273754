"""The order of samples, shares of ranks and workers, and positions."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import slow_order

import ratdata

SEQ_LEN = 32


def feed(data="tokens", **options):
    options = {"batch_size": 4, "seq_len": SEQ_LEN, "seed": 7, **options}
    return ratdata.Feed(data, **options)


def rows(feed, batches=None):
    """The inputs of a feed's batches, as a list of rows."""
    return [row.tobytes() for batch in itertools.islice(feed, batches) for row in batch["input_ids"]]


def test_an_epoch_has_every_row_once_and_the_next_has_another_order():
    once = feed(epochs=2)
    sources, drawn = once.draws(2 * once.num_rows)

    first, second = drawn[: once.num_rows], drawn[once.num_rows :]
    assert not sources.any()
    assert sorted(first) == sorted(second) == list(range(once.num_rows))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, np.arange(once.num_rows))


def test_the_order_follows_from_the_seed_alone():
    assert feed().draws(50)[1].tolist() == feed(batch_size=9).draws(50)[1].tolist()
    assert feed().draws(50)[1].tolist() != feed(seed=8).draws(50)[1].tolist()


def test_the_order_is_recorded():
    """Another order for the same seed would break runs that are resumed."""
    with open("recorded.bin", "wb") as file:
        np.zeros(1001, np.uint16).tofile(file)

    found = ratdata.Feed("recorded.bin", batch_size=1, seq_len=1, seed=1005).draws(8)[1]

    assert found.tolist() == [564, 289, 438, 864, 997, 177, 893, 411]


def test_the_order_is_that_of_the_slow_twin():
    mixture = feed({"tokens": 3.0, "masked/tokens": 1.0})
    rows = [len(source) for source in mixture.sources]
    quotas = [3 << 14, 1 << 14]

    for first in [0, 65_530, 1_000_000]:
        mixture.load_state_dict({**mixture.state_dict(), "samples": first})
        sources, drawn = mixture.draws(200)
        for number, found in enumerate(zip(sources, drawn)):
            assert found == slow_order.draw(first + number, rows, quotas, 7)


def test_without_a_shuffle_rows_come_in_order():
    batches = list(feed(shuffle=False, epochs=1))

    together = np.concatenate([batch["input_ids"] for batch in batches])
    expected = ratdata.Sequences("tokens", seq_len=SEQ_LEN)
    assert np.array_equal(together, expected.read(range(len(expected)))["input_ids"])


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("drop_last", [False, True])
def test_ranks_and_workers_share_the_stream(world_size, workers, drop_last):
    whole = rows(feed(epochs=2, batch_size=1))
    step = 4 * world_size

    shares = []
    for rank in range(world_size):
        one = feed(epochs=2, rank=rank, world_size=world_size, drop_last=drop_last)
        running = [one.batches(worker, workers) for worker in range(workers)]
        batches = [batch for turn in itertools.zip_longest(*running) for batch in turn if batch is not None]
        assert len(batches) == len(one)
        shares.append([batch["input_ids"] for batch in batches])
    together = [
        row.tobytes() for turn in itertools.zip_longest(*shares) for part in turn if part is not None for row in part
    ]

    assert together == (whole[: len(whole) // step * step] if drop_last else whole)


def test_a_run_resumes_with_another_number_of_ranks_and_another_batch_size():
    whole = rows(feed(epochs=3, batch_size=1))
    before = feed(epochs=3)
    iterator = iter(before)
    first = [row.tobytes() for _ in range(5) for row in next(iterator)["input_ids"]]
    state = copy.deepcopy(before.state_dict())
    assert state["samples"] == 20

    shares = []
    for rank in range(3):
        resumed = feed(epochs=3, batch_size=2, rank=rank, world_size=3)
        resumed.load_state_dict(state)
        shares.append([batch["input_ids"] for batch in itertools.islice(resumed, 10)])
    then = [row.tobytes() for turn in zip(*shares) for part in turn for row in part]

    assert first + then == whole[: 20 + 60]


def test_a_state_of_another_order_is_refused():
    state = feed().state_dict()

    with pytest.raises(ratdata.Error, match="seed is 7, here 8"):
        feed(seed=8).load_state_dict(state)
    with pytest.raises(ratdata.Error, match="seq_len"):
        feed(seq_len=16).load_state_dict(state)


def test_a_mixture_has_the_shares_of_its_weights_in_every_block():
    mixture = feed({"tokens": 3.0, "masked/tokens": 1.0}, documents=True)
    sources, drawn = mixture.draws(1 << 16)

    assert (sources == 1).sum() == 1 << 14
    assert 900 < (sources[:4000] == 1).sum() < 1100
    for source, sequences in enumerate(mixture.sources):
        of_source = drawn[sources == source]
        counts = np.bincount(of_source.astype(np.int64), minlength=len(sequences))
        assert counts.max() - counts.min() <= 1, "every row comes equally often"
    batch = next(iter(mixture))
    for row, source, number in zip(batch["input_ids"], sources, drawn):
        assert np.array_equal(row, mixture.sources[source][int(number)]["input_ids"])


def test_a_mixture_resumes_in_the_middle_of_a_block():
    mixture = {"tokens": 3.0, "masked/tokens": 1.0}
    whole = rows(feed(mixture), 20)

    resumed = feed(mixture)
    resumed.load_state_dict({**resumed.state_dict(), "samples": 40})

    assert rows(resumed, 10) == whole[40:]


def test_weights_that_are_none_are_refused():
    with pytest.raises(ratdata.Error, match="expected a positive number"):
        feed({"tokens": 1.0, "packed": -1.0}, seq_len=64)
    with pytest.raises(ratdata.Error, match="at least one"):
        feed({})


def test_sources_of_different_lengths_are_refused():
    with pytest.raises(ratdata.Error, match="sequences of 96 inputs"):
        feed({"packed": 1.0, "pairs": 1.0}, seq_len=None)


def test_a_feed_survives_pickling_with_its_position():
    before = feed()
    next(iter(before))

    again = pickle.loads(pickle.dumps(before))

    assert again.samples == 4
    assert rows(again, 3) == rows(before, 3)


def test_a_feed_without_an_end_has_no_length():
    with pytest.raises(TypeError, match="epochs"):
        len(feed())


def test_a_shuffle_takes_no_memory():
    """A bin of a terabyte's length has an order at once; only its first pages are on disk."""
    with open("sparse.bin", "wb") as file:
        file.truncate(1 << 40)

    order = ratdata.Feed("sparse.bin", batch_size=2, seq_len=1, seed=3)

    assert order.num_rows == (1 << 39) - 1
    assert len(set(order.draws(1000)[1].tolist())) == 1000
