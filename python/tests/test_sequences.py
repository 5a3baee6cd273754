"""Sequences by number, compared with a plain reading of the bins."""

import numpy as np
import pytest

import ratdata


def plain(seq_len):
    """Cuts the training split into sequences the plain way."""
    bins = ratdata.open("tokens")["train"]
    eos = ratdata.Tokenizer.load("tokenizer.json").eos
    stream = np.concatenate([shard.ids for shard in bins.shards]).astype(np.int64)
    document = np.concatenate([np.full(len(ids), number) for number, ids in enumerate(bins.documents)])
    for start in range(0, len(stream) - seq_len, seq_len):
        inputs, labels = stream[start : start + seq_len], stream[start + 1 : start + seq_len + 1].copy()
        labels[inputs == eos] = -100
        documents = document[start : start + seq_len]
        numbers = documents - documents[0]
        first = np.searchsorted(documents, documents)
        yield {
            "input_ids": inputs,
            "labels": labels,
            "document_ids": numbers,
            "position_ids": np.arange(seq_len) - first,
        }


@pytest.mark.parametrize("seq_len", [1, 7, 64, 1000])
def test_sequences_are_those_of_a_plain_reading(seq_len):
    sequences = ratdata.Sequences("tokens", seq_len=seq_len, documents=True)
    expected = list(plain(seq_len))

    assert len(sequences) == len(expected)
    batch = sequences.read(range(len(sequences)))
    for number, sequence in enumerate(expected):
        for name, cells in sequence.items():
            assert batch[name].dtype == np.int64
            assert np.array_equal(batch[name][number], cells), (number, name)


def test_a_headerless_bin_is_read(tmp_path):
    ids = np.arange(1000, dtype=np.uint16)
    ids[70] = 5
    ids.tofile(tmp_path / "train.bin")

    sequences = ratdata.Sequences(tmp_path / "train.bin", seq_len=64, eos=5)

    assert len(sequences) == 15
    assert sequences.vocab_size is None
    assert np.array_equal(sequences[1]["input_ids"], ids[64:128])
    assert sequences[1]["labels"][6] == -100
    wide = ratdata.Sequences(tmp_path / "train.bin", seq_len=64, dtype="uint32")
    assert wide[0]["input_ids"][0] == 1 << 16


def test_a_number_beyond_the_last_is_an_index_error():
    sequences = ratdata.Sequences("packed")

    assert np.array_equal(sequences[-1]["labels"], sequences[len(sequences) - 1]["labels"])
    with pytest.raises(IndexError, match=f"sequence {len(sequences)}"):
        sequences[len(sequences)]
    with pytest.raises(IndexError):
        sequences.read([0, len(sequences)])


def test_lengths_that_do_not_fit_are_refused():
    with pytest.raises(ratdata.Error, match="no `seq_len`"):
        ratdata.Sequences("tokens")
    with pytest.raises(ratdata.Error, match="rows have 64 inputs, expected 32"):
        ratdata.Sequences("packed", seq_len=32)
    with pytest.raises(ratdata.Error, match="expected at least 100000001"):
        ratdata.Sequences("tokens", seq_len=100_000_000)
