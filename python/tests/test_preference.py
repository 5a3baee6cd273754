"""Preference pairs as a trainer reads them."""

import pickle

import numpy as np
import pytest
import ratdata


def test_a_pair_has_one_prompt_and_two_answers():
    pairs = ratdata.Preferences("preferences")
    tokenizer = ratdata.Tokenizer.load("tokenizer.json")

    assert len(pairs) == 60
    for number, pair in enumerate(pairs):
        assert tokenizer.decode(pair["prompt_ids"]) == f"the text {number}?"
        assert tokenizer.decode(pair["chosen_ids"]).startswith(" world")
        assert tokenizer.decode(pair["rejected_ids"]).startswith(" the")
        assert pair["chosen_mask"].all() and pair["rejected_mask"].all()
    assert [len(pair["prompt_ids"]) for pair in pairs[:2]] == [len(pairs[n]["prompt_ids"]) for n in (0, 1)]
    with pytest.raises(IndexError):
        pairs[60]
    assert len(pickle.loads(pickle.dumps(pairs))) == 60


def test_a_batch_has_the_chosen_rows_before_the_rejected_ones():
    pairs = ratdata.Preferences("preferences")

    batch = pairs.batch([3, 7], pad_id=9)

    assert {array.shape for array in batch.values()} == {(4, batch["input_ids"].shape[1])}
    for row, (number, side) in enumerate([(3, "chosen"), (7, "chosen"), (3, "rejected"), (7, "rejected")]):
        pair = pairs[number]
        ids = np.concatenate([pair["prompt_ids"], pair[f"{side}_ids"]])
        assert batch["input_ids"][row, : len(ids)].tolist() == ids.tolist()
        assert (batch["input_ids"][row, len(ids) :] == 9).all()
        assert batch["attention_mask"][row].sum() == len(ids)
        assert batch["completion_mask"][row].sum() == len(pair[f"{side}_ids"])
    assert batch["input_ids"].dtype == np.int64


def test_an_artifact_without_pairs_is_told():
    with pytest.raises(KeyError, match="no split `train-chosen`, there are: train, val"):
        ratdata.Preferences("tokens")
