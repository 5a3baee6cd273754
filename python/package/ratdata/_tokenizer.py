"""Text to ids and back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Optional, Union

import numpy as np
import numpy.typing as npt

from ratdata import _ratdata
from ratdata._documents import Documents

SpecialInText = Literal["parse", "plain", "error"]
Ids = Union[npt.NDArray[np.integer[Any]], Sequence[int]]


class Tokenizer:
    """A tokenizer: the ids of Hugging Face ``tokenizers``, SentencePiece or ``tiktoken``, by its file.

    >>> tokenizer = Tokenizer.load("tokenizer.json")
    >>> tokenizer.encode("Hello world")
    array([...], dtype=uint16)
    >>> tokenizer.decode(tokenizer.encode("Hello world"))
    'Hello world'

    A tokenizer may be used by many threads at once. It can be pickled; it is loaded again from its file.
    """

    __slots__ = ("_inner",)

    def __init__(self, inner: _ratdata.Tokenizer) -> None:
        self._inner = inner

    @classmethod
    def load(cls, path_or_name: Union[str, os.PathLike[str]]) -> Tokenizer:
        """Loads a ``tokenizer.json``, a SentencePiece ``.model``, a ``.tiktoken`` file or a ``tekken.json``.

        A name is an alias, such as ``"llama"``, or an id on the Hugging Face hub; it is fetched once.
        """
        return cls(_ratdata.Tokenizer.load(os.fspath(path_or_name)))

    def encode(self, text: str, *, special_in_text: SpecialInText = "parse") -> npt.NDArray[Any]:
        """Returns the ids of a text, ``uint16`` where the vocabulary fits and ``uint32`` otherwise.

        Neither BOS nor EOS is added. A special token in the text becomes its id (``"parse"``), is text
        like any other (``"plain"``), or is refused (``"error"``).
        """
        return self._inner.encode(text, special_in_text)

    def encode_batch(
        self,
        texts: Iterable[str],
        *,
        special_in_text: SpecialInText = "parse",
        threads: Optional[int] = None,
    ) -> Documents:
        """Returns the ids of many texts, encoded on all cores or on ``threads`` threads.

        The result is the same for any number of threads. Other Python threads run meanwhile.

        >>> tokenizer = Tokenizer.load("tokenizer.json")
        >>> documents = tokenizer.encode_batch(["Hello", " world"])
        >>> [tokenizer.decode(ids) for ids in documents]
        ['Hello', ' world']
        """
        if isinstance(texts, str):
            raise TypeError("texts is one str, expected several; `encode` takes one")
        count = threads if threads is not None else _cores()
        return Documents(*self._inner.encode_batch(list(texts), special_in_text, count))

    def decode(self, ids: Ids) -> str:
        """Returns the text of ids; special tokens appear as they are written."""
        return self._inner.decode(ids)

    def token_text(self, token: int) -> str:
        """Returns what one id is written as within a text."""
        return self._inner.token_text(token)

    def id_of(self, piece: str) -> Optional[int]:
        """Returns the id of a piece or added token, as the vocabulary writes it."""
        return self._inner.id_of(piece)

    @property
    def name(self) -> str:
        """What the tokenizer is called in a manifest."""
        return self._inner.name

    @property
    def path(self) -> str:
        """The file that was loaded."""
        return os.fspath(self._inner.path)

    @property
    def vocab_size(self) -> int:
        """The largest id plus one."""
        return self._inner.vocab_size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the ids: ``uint16``, or ``uint32`` for more than 65,536 ids."""
        return np.dtype(self._inner.dtype)

    @property
    def bos(self) -> Optional[int]:
        """The id that begins a document."""
        return self._inner.bos

    @property
    def eos(self) -> Optional[int]:
        """The id that ends a document."""
        return self._inner.eos

    @property
    def pad(self) -> Optional[int]:
        """The id that fills rows up."""
        return self._inner.pad

    @property
    def unk(self) -> Optional[int]:
        """The id of text that cannot be spelt."""
        return self._inner.unk

    @property
    def fingerprint(self) -> str:
        """The checksum of the tokenizer and its semantics, as manifests record it."""
        return self._inner.fingerprint

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Tokenizer.load, (self.path,)

    def __repr__(self) -> str:
        return f"Tokenizer({self.name!r}, {self.vocab_size:,} ids)"


def _cores() -> int:
    """Returns how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no affinity.
        return os.cpu_count() or 1
