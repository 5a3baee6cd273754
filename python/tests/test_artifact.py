"""Artifacts as arrays over memory maps."""

import json
import pickle
import shutil

import numpy as np
import pytest

import ratdata


def test_documents_are_views_of_the_bins(folder):
    tokenizer = ratdata.Tokenizer.load("tokenizer.json")
    artifact = ratdata.open("tokens")
    lines = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {json.loads(line)["text"] for line in lines}

    decoded = []
    for split in artifact.values():
        for document in split.documents:
            assert document[-1] == tokenizer.eos
            decoded.append(tokenizer.decode(document[:-1]))

    assert len(decoded) == 400
    assert set(decoded) == texts
    train = artifact["train"]
    assert np.shares_memory(train.documents[7], train.shards[0].ids)
    assert np.array_equal(train.documents[-1], train.documents[len(train.documents) - 1])
    assert not train.shards[0].ids.flags.writeable


def test_all_layouts_of_rows_have_the_same_rows(folder):
    pack, rows = ratdata.open("packed")["train"], ratdata.open("rows")["train"]

    assert (type(pack), type(rows)) == (ratdata.Pack, ratdata.Rows)
    assert len(pack) == len(rows) > 10
    for number in range(len(pack)):
        for name, expected in pack[number].items():
            assert np.array_equal(rows[number][name], expected)
        assert np.array_equal(rows.ids[number][:-1], rows[number]["input_ids"])


def test_a_row_of_a_pack_is_its_spans_over_the_base(folder):
    pack = ratdata.open("packed")["train"]
    stream = np.concatenate([shard.ids for shard in pack.base["train"].shards])

    for number in range(0, len(pack), 7):
        row = pack[number]
        for document, span in enumerate(pack.spans_of(number)):
            start, length, column = (int(span[name]) for name in ("start", "len", "column"))
            ids = stream[start : start + length]
            columns = slice(column, min(column + length, pack.seq_len))
            count = columns.stop - columns.start
            assert np.array_equal(row["input_ids"][columns], ids[:count])
            assert (row["document_ids"][columns] == document).all()
            assert np.array_equal(row["position_ids"][columns], np.arange(count))
            within = min(length - 1, count)
            labels = row["labels"][column : column + within]
            assert np.array_equal(labels, ids[1 : 1 + within])


def test_pairs_are_maps_of_inputs_and_labels(folder):
    pairs = ratdata.open("pairs")["train"]

    assert pairs.inputs.shape == pairs.labels.shape == (len(pairs), 96)
    for number in range(len(pairs)):
        row, (prompt, length) = pairs[number], pairs.lengths[number]
        assert np.array_equal(row["input_ids"], pairs.inputs[number])
        assert np.array_equal(row["labels"], pairs.labels[number])
        assert (row["labels"][: prompt - 1] == -100).all()
        assert (row["document_ids"] == np.where(np.arange(96) < length, 0, -1)).all()


def test_masks_say_what_is_trained_on(folder):
    tokenizer = ratdata.Tokenizer.load("tokenizer.json")
    bins = ratdata.open("masked/tokens")["train"]

    assert len(bins.masks) == len(bins.documents) == 60
    for ids, mask in zip(bins.documents, bins.masks):
        assert len(mask) == len(ids)
        assert tokenizer.decode(ids[mask]).strip().startswith("world")
        assert tokenizer.decode(ids[~mask]).startswith("Q: the text")


def test_an_artifact_survives_pickling(folder):
    artifact = pickle.loads(pickle.dumps(ratdata.open("packed")))

    assert len(artifact["train"]) == len(ratdata.open("packed")["train"])


def test_a_folder_without_a_manifest_and_a_split_that_is_not_there_are_named(folder):
    with pytest.raises(ratdata.Error, match="manifest.json"):
        ratdata.open(folder / "nowhere")
    with pytest.raises(KeyError, match="no split `test`, there are: train"):
        ratdata.open("tokens")["test"]


def test_a_bin_that_was_cut_is_refused(folder, tmp_path):
    shutil.copytree("tokens", tmp_path / "tokens")
    path = next((tmp_path / "tokens" / "shards").glob("*-train-*.bin"))
    path.write_bytes(path.read_bytes()[:-2])

    with pytest.raises(ratdata.Error, match=r"\.bin.*bytes"):
        ratdata.open(tmp_path / "tokens")["train"]
    with pytest.raises(ratdata.Error, match=r"\.bin.*bytes"):
        ratdata.Sequences(tmp_path / "tokens", seq_len=8)


def test_a_link_out_of_the_folder_is_refused(folder, tmp_path):
    shutil.copytree("tokens", tmp_path / "tokens")
    path = next((tmp_path / "tokens" / "shards").glob("*-train-*.bin"))
    path.rename(tmp_path / "elsewhere.bin")
    path.symlink_to(tmp_path / "elsewhere.bin")

    with pytest.raises(ratdata.Error, match="elsewhere"):
        ratdata.open(tmp_path / "tokens")["train"]
