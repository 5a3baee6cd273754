"""Sequences for training, by number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt

from ratdata import _ratdata

Path = Union[str, "os.PathLike[str]"]
Batch = dict[str, npt.NDArray[np.int64]]


def as_batch(arrays: _ratdata.Arrays, convert: Callable[[npt.NDArray[np.int64]], Any] = np.asarray) -> dict[str, Any]:
    """Names the arrays of a batch as Hugging Face's models name their arguments, and converts each."""
    inputs, labels, documents = arrays
    batch = {"input_ids": convert(inputs), "labels": convert(labels)}
    if documents is not None:
        batch["document_ids"], batch["position_ids"] = map(convert, documents)
    return batch


class Sequences:
    """The sequences of one split, by number.

    Rows of instruction data and packs are sequences as they are. Token bins are cut into sequences of
    ``seq_len``: sequence ``i`` begins at token ``i * seq_len``. A path may also be a headerless bin, such as
    nanoGPT's ``train.bin``, of ids of ``dtype``.

    >>> sequences = Sequences("tokens", seq_len=32)
    >>> sequences[3]["input_ids"].shape
    (32,)
    >>> sequences.read([0, 5, 2])["labels"].shape
    (3, 32)

    ``labels`` are shifted by one already, and -100 where the loss ignores them: after an EOS, in padding,
    and where a loss mask says so. With ``documents``, ``document_ids`` has the number of each token's
    document within the row, -1 in padding, and ``position_ids`` the position in its document.
    """

    def __init__(
        self,
        path: Path,
        split: str = "train",
        *,
        seq_len: Optional[int] = None,
        documents: bool = False,
        dtype: Optional[str] = None,
        eos: Optional[int] = None,
    ) -> None:
        self._arguments = (os.fspath(path), split, seq_len, dtype, eos)
        self.documents = documents
        self.inner = _ratdata.Sequences(*self._arguments)

    @property
    def path(self) -> str:
        """The artifact, or the bin."""
        return self._arguments[0]

    @property
    def seq_len(self) -> int:
        """How many inputs a sequence has, and as many labels."""
        return self.inner.seq_len

    @property
    def vocab_size(self) -> Optional[int]:
        """The largest id plus one, if there is a manifest to say it."""
        return self.inner.vocab_size

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, number: int) -> Batch:
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError(f"{self.path}: sequence {number}, there are {len(self)}")
        return {name: rows[0] for name, rows in self.read([number]).items()}

    def read(self, numbers: Union[npt.ArrayLike, Iterable[int]]) -> Batch:
        """Reads several sequences as arrays of shape ``[sequences, seq_len]``."""
        wanted = np.ascontiguousarray(numbers, dtype=np.uint64)
        return as_batch(self.inner.read(wanted, self.documents))

    def __getstate__(self) -> dict[str, Any]:
        return {"arguments": self._arguments, "documents": self.documents}

    def __setstate__(self, state: dict[str, Any]) -> None:
        path, split, seq_len, dtype, eos = state["arguments"]
        Sequences.__init__(
            self, path, split, seq_len=seq_len, documents=state["documents"], dtype=dtype, eos=eos
        )

    def __repr__(self) -> str:
        return f"Sequences({self.path!r}, {self._arguments[1]!r}, {len(self):,} of {self.seq_len:,})"
