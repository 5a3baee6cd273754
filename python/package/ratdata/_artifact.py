"""Artifacts as arrays over memory maps."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt

from ratdata import _ratdata
from ratdata._documents import Array, Documents, ListOfDocuments
from ratdata._sequences import Batch, Path, Sequences

SPAN = np.dtype([("start", "<u8"), ("len", "<u4"), ("column", "<u4")])
"""A span of a pack: the first token in the stream of the base, how many, and the column of the first."""


def open(path: Path) -> Artifact:
    """Opens the folder of an artifact.

    >>> import ratdata
    >>> artifact = ratdata.open("tokens")
    >>> sorted(artifact)
    ['train', 'val']
    >>> artifact["train"].documents[0][:4]
    memmap([...], dtype=uint16)
    """
    return Artifact(path)


class Artifact(Mapping[str, "Split"]):
    """The splits of an artifact, by name."""

    def __init__(self, path: Path) -> None:
        self.path = os.fspath(path)
        self._inner = _ratdata.Artifact(self.path)
        self.manifest: dict[str, Any] = json.loads(self._inner.manifest)

    def __getitem__(self, split: str) -> Split:
        record = self.manifest["splits"].get(split)
        if record is None:
            known = ", ".join(self)
            raise KeyError(f"{self.path}: no split `{split}`, there are: {known}")
        base = self._inner.check(split)
        place = _Place(self.path, split, self.manifest)
        if record["layout"] == "shards":
            return TokenBins(place, record)
        if record["layout"] == "pairs":
            return Pairs(place, record)
        if record["layout"] == "pack":
            return Pack(place, record, open(base or self.path))
        return Rows(place, record)

    def __iter__(self) -> Iterator[str]:
        return iter(self.manifest["splits"])

    def __len__(self) -> int:
        return len(self.manifest["splits"])

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Artifact, (self.path,)

    def __repr__(self) -> str:
        return f"Artifact({self.path!r}, splits {', '.join(self)})"


class _Place:
    """A split of an artifact, and its files as arrays."""

    def __init__(self, root: str, split: str, manifest: dict[str, Any]) -> None:
        self.root, self.split, self.manifest = root, split, manifest
        self.dtype = np.dtype({"u16": "<u2", "u32": "<u4"}[manifest["dtype"]])

    def map(self, record: dict[str, Any], dtype: npt.DTypeLike, shape: tuple[int, ...] = (-1,)) -> Array:
        if record["bytes"] == 0:  # The system maps no empty file.
            return np.empty(0, dtype).reshape([0 if length == -1 else length for length in shape])
        path = os.path.join(self.root, *record["path"].split("/"))
        return np.memmap(path, dtype, "r").reshape(shape)


class Shard:
    """One token bin with its document index and, for instruction data, its loss mask."""

    def __init__(self, place: _Place, record: dict[str, Any]) -> None:
        self.ids = place.map(record["bin"], place.dtype)
        """The ids, as a memory map."""
        self.ends = place.map(record["idx"], "<u8")
        """The end of every document, as a memory map."""
        mask = record.get("mask")
        self.mask_bits = None if mask is None else place.map(mask, "u1")
        """The loss mask, one bit a token, lowest bit first; none where every token is trained on."""

    @property
    def documents(self) -> Documents:
        """The documents, as views into :attr:`ids`."""
        return Documents(self.ids, self.ends)

    def mask(self, start: int, end: int) -> npt.NDArray[np.bool_]:
        """Returns which of the tokens from ``start`` to ``end`` are trained on."""
        if self.mask_bits is None:
            return np.ones(end - start, np.bool_)
        first = start // 8
        bits = np.unpackbits(self.mask_bits[first : (end + 7) // 8], bitorder="little")
        return bits[start - 8 * first : end - 8 * first].astype(np.bool_)


class TokenBins:
    """A split of token bins: shards, read as one stream.

    >>> import ratdata
    >>> bins = ratdata.open("tokens")["train"]
    >>> bins.num_tokens == sum(len(document) for document in bins.documents)
    True
    """

    def __init__(self, place: _Place, record: dict[str, Any]) -> None:
        self._place = place
        self.shards = [Shard(place, shard) for shard in record["shards"]]
        self.documents = _StreamOfDocuments(self.shards)
        """The documents of all shards, as views."""
        self.masks = _StreamOfMasks(self.shards)
        """For each document, which of its tokens are trained on."""

    @property
    def num_tokens(self) -> int:
        """How many tokens all shards have."""
        return sum(len(shard.ids) for shard in self.shards)

    def sequences(self, seq_len: int, *, documents: bool = False) -> Sequences:
        """Cuts the stream into sequences for training."""
        place = self._place
        return Sequences(place.root, place.split, seq_len=seq_len, documents=documents)

    def __repr__(self) -> str:
        return f"TokenBins({self.num_tokens:,} tokens in {len(self.documents):,} documents)"


class _Stream(ListOfDocuments):
    """What each document of all shards has, one shard after the other."""

    def __init__(self, shards: list[Shard]) -> None:
        self._shards = shards
        self._first = np.cumsum([0] + [len(shard.ends) for shard in shards])

    def _of(self, shard: Shard, start: int, end: int) -> Array:
        raise NotImplementedError

    def __len__(self) -> int:
        return int(self._first[-1])

    def _one(self, number: int) -> Array:
        place = int(np.searchsorted(self._first, number, side="right")) - 1
        shard, number = self._shards[place], number - int(self._first[place])
        start = int(shard.ends[number - 1]) if number else 0
        return self._of(shard, start, int(shard.ends[number]))


class _StreamOfDocuments(_Stream):
    def _of(self, shard: Shard, start: int, end: int) -> Array:
        return shard.ids[start:end]


class _StreamOfMasks(_Stream):
    def _of(self, shard: Shard, start: int, end: int) -> Array:
        return shard.mask(start, end)


class _RowsOfAnyLayout:
    """Rows by number, whatever their layout."""

    def __init__(self, place: _Place) -> None:
        self.sequences = Sequences(place.root, place.split, documents=True)
        """The rows as sequences for training."""

    @property
    def seq_len(self) -> int:
        """How many inputs a row has, and as many labels."""
        return self.sequences.seq_len

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, number: int) -> Batch:
        """Returns a row: inputs, labels, and the document and position of each token."""
        return self.sequences[number]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self):,} rows of {self.seq_len:,})"


class Pairs(_RowsOfAnyLayout):
    """Rows as inputs and labels, in the form of the reference's scripts."""

    def __init__(self, place: _Place, record: dict[str, Any]) -> None:
        super().__init__(place)
        shape = (-1, record["row_len"])
        self.inputs = place.map(record["inputs"], "<i2", shape)
        """The inputs, as a memory map of shape ``[rows, seq_len]``."""
        self.labels = place.map(record["labels"], "<i2", shape)
        """The labels, -100 where the loss ignores them, as a memory map."""
        self.lengths = place.map(record["lengths"], "<u4", (-1, 2))
        """The length of each prompt, and of each row without padding, as a memory map."""


class Pack(_RowsOfAnyLayout):
    """Rows as spans over the token bins of another artifact.

    >>> import ratdata
    >>> pack = ratdata.open("packed")["train"]
    >>> int(pack.spans_of(0)["column"][0])
    0
    """

    def __init__(self, place: _Place, record: dict[str, Any], base: Optional[Artifact]) -> None:
        super().__init__(place)
        self.row_ends = place.map(record["row_ends"], "<u8")
        """The end of each row in :attr:`spans`, as a memory map."""
        self.spans = place.map(record["spans"], SPAN)
        """The spans of all rows, as a memory map with the fields ``start``, ``len`` and ``column``."""
        self.base = base
        """The artifact whose tokens the spans are."""

    def spans_of(self, row: int) -> Array:
        """Returns the spans of a row, in the order of their columns."""
        start = int(self.row_ends[row - 1]) if row else 0
        return self.spans[start : int(self.row_ends[row])]


class Rows(Pack):
    """A pack that was written out."""

    def __init__(self, place: _Place, record: dict[str, Any]) -> None:
        super().__init__(place, record["pack"], None)
        row_len = record["pack"]["row_len"]
        self.ids = place.map(record["bin"], place.dtype, (-1, row_len))
        """The ids, as a memory map of shape ``[rows, seq_len + 1]``."""
        self.mask_bits = place.map(record["mask"], "u1", (-1, (row_len + 7) // 8))
        """The loss masks, one bit a token, lowest bit first, as a memory map."""

    def mask(self, row: int) -> npt.NDArray[np.bool_]:
        """Returns which tokens of a row are trained on."""
        bits = np.unpackbits(self.mask_bits[row], bitorder="little")
        return bits[: self.seq_len + 1].astype(np.bool_)


Split = Union[TokenBins, Pairs, Pack, Rows]
