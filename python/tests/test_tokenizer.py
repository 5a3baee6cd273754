"""Text to ids and back."""

import pickle
import threading

import numpy as np
import pytest

import ratdata

TEXTS = ["Hello world", "", "the text of the world", "naïve 世界 🙂", "<|endoftext|>"] * 40_000


@pytest.fixture(scope="module")
def tokenizer(folder):
    return ratdata.Tokenizer.load(folder / "tokenizer.json")


def test_ids_have_the_type_of_the_vocabulary_and_spell_the_text(tokenizer):
    ids = tokenizer.encode("Hello world")

    assert ids.dtype == tokenizer.dtype == np.uint16
    assert len(ids) == 2
    assert tokenizer.decode(ids) == "Hello world"


@pytest.mark.parametrize("ids", [np.uint16, np.uint32, np.int64, list])
def test_ids_of_any_integer_type_are_decoded(tokenizer, ids):
    encoded = tokenizer.encode("the text of the world")
    wanted = encoded.tolist() if ids is list else encoded.astype(ids)

    assert tokenizer.decode(wanted) == "the text of the world"
    assert tokenizer.decode(wanted[::-1][::-1]) == "the text of the world"


def test_a_batch_has_the_ids_of_its_texts_for_any_number_of_threads(tokenizer):
    alone = tokenizer.encode_batch(TEXTS, threads=1)

    for threads in [2, 5, None]:
        found = tokenizer.encode_batch(TEXTS, threads=threads)
        assert np.array_equal(found.ids, alone.ids)
        assert np.array_equal(found.ends, alone.ends)
    for text, ids in list(zip(TEXTS, alone))[:5]:
        assert np.array_equal(ids, tokenizer.encode(text))
    assert np.shares_memory(alone[3], alone.ids)


def test_an_empty_batch_has_no_documents(tokenizer):
    documents = tokenizer.encode_batch([])

    assert len(documents) == 0
    assert list(documents) == []


def test_other_threads_run_while_a_batch_is_encoded(tokenizer):
    counted, done = [0], threading.Event()

    def count():
        while not done.is_set():
            counted[0] += 1

    counter = threading.Thread(target=count)
    counter.start()
    before = counted[0]
    tokenizer.encode_batch(TEXTS, threads=1)
    after = counted[0]
    done.set()
    counter.join()

    assert after > before


def test_a_special_token_is_an_id_or_text_or_an_error(tokenizer):
    assert tokenizer.encode("<|endoftext|>").tolist() == [tokenizer.eos]
    assert len(tokenizer.encode("<|endoftext|>", special_in_text="plain")) > 1
    with pytest.raises(ratdata.Error, match="byte 0.*special token"):
        tokenizer.encode("<|endoftext|>", special_in_text="error")
    with pytest.raises(ValueError, match="expected `parse`, `plain` or `error`"):
        tokenizer.encode("x", special_in_text="skip")


def test_texts_that_are_none_are_refused(tokenizer):
    with pytest.raises(TypeError):
        tokenizer.encode(b"Hello")
    with pytest.raises(TypeError, match="expected several"):
        tokenizer.encode_batch("Hello")
    with pytest.raises(UnicodeEncodeError):
        tokenizer.encode("\ud800")


def test_a_tokenizer_survives_pickling(tokenizer):
    again = pickle.loads(pickle.dumps(tokenizer))

    assert again.fingerprint == tokenizer.fingerprint
    assert np.array_equal(again.encode("Hello"), tokenizer.encode("Hello"))


def test_a_missing_tokenizer_is_named():
    with pytest.raises(ratdata.Error, match="no-such-tokenizer"):
        ratdata.Tokenizer.load("no-such-tokenizer")
