"""Batches of one source or a mixture, shuffled without a list, from a position that is one number."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Optional, TypedDict, Union

import numpy as np
import numpy.typing as npt

from ratdata import _ratdata
from ratdata._sequences import Batch, Path, Sequences, as_batch

Sources = Union[Path, Mapping[str, float]]


class FeedState(TypedDict):
    """Where a feed is: how many samples all ranks together have drawn, and in which order."""

    samples: int
    order: dict[str, Any]


class Feed:
    """An iterator over batches of one source, or of several by weight.

    ``data`` is an artifact or a headerless bin, or a mixture: ``{"web": 3.0, "books": 1.0}`` draws three of
    four sequences from ``web``.

    >>> feed = Feed("tokens", seq_len=32, batch_size=4, seed=1)
    >>> batch = next(iter(feed))
    >>> batch["input_ids"].shape, batch["labels"].shape
    ((4, 32), (4, 32))

    All samples are one stream that depends on the data, the weights and ``seed``. Shuffled, every sequence
    comes once in each epoch of its source. The order is a keyed permutation that is computed for each sample,
    so it takes no memory. One shuffled source has the order of ``ratdata-train`` with the same seed.

    Ranks share the stream: a global batch is ``batch_size * world_size`` samples, and rank ``r`` takes the
    ``r``-th part. Therefore a position is one number, :attr:`samples`, and a run continues exactly with
    another number of ranks or another batch size:

    >>> state = feed.state_dict()
    >>> state["samples"]
    4
    >>> resumed = Feed("tokens", seq_len=32, batch_size=2, seed=1, rank=1, world_size=2)
    >>> resumed.load_state_dict(state)

    Without ``epochs`` the stream does not end. With them it ends after ``epochs`` times the rows of all
    sources, and the last batch may be smaller; ``drop_last`` leaves it out.
    """

    #: What an array of a batch becomes.
    _convert: staticmethod[[npt.NDArray[np.int64]], Any] = staticmethod(np.asarray)

    def __init__(
        self,
        data: Sources,
        split: str = "train",
        *,
        batch_size: int,
        seq_len: Optional[int] = None,
        shuffle: bool = True,
        seed: int = 0,
        epochs: Optional[int] = None,
        drop_last: bool = False,
        documents: bool = False,
        rank: int = 0,
        world_size: int = 1,
        dtype: Optional[str] = None,
        eos: Optional[int] = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, expected at least 1")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank is {rank} of {world_size}, expected 0 to {world_size - 1}")
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"seed is {seed}, expected 0 to 2**64 - 1")
        weights = dict(data) if isinstance(data, Mapping) else {os.fspath(data): 1.0}
        self.sources = [
            Sequences(path, split, seq_len=seq_len, dtype=dtype, eos=eos) for path in weights
        ]
        self.weights = [float(weight) for weight in weights.values()]
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.epochs = epochs
        self.drop_last = drop_last
        self.documents = documents
        self.rank = rank
        self.world_size = world_size
        self._samples = 0
        self._open()

    def _open(self) -> None:
        inner = [source.inner for source in self.sources]
        self._inner = _ratdata.Feed(inner, self.weights, self.seed, self.shuffle)
        self._end = None if self.epochs is None else self.epochs * self.num_rows

    @property
    def samples(self) -> int:
        """How many samples all ranks together have drawn."""
        return self._samples

    @property
    def seq_len(self) -> int:
        """How many inputs a sequence has, and as many labels."""
        return self._inner.seq_len

    @property
    def vocab_size(self) -> Optional[int]:
        """The largest id of all sources plus one, if their manifests say it."""
        sizes = [source.vocab_size for source in self.sources]
        return max(size for size in sizes if size is not None) if None not in sizes else None

    @property
    def num_rows(self) -> int:
        """How many sequences an epoch has: those of all sources."""
        return self._inner.num_rows

    @property
    def end(self) -> Optional[int]:
        """The number of samples after which the stream ends; none where it does not."""
        return self._end

    def __len__(self) -> int:
        """Returns how many batches are left for this rank."""
        if self.end is None:
            raise TypeError("the feed has no end; give `epochs`")
        left = max(0, self.end - self._samples)
        whole, rest = divmod(left, self.batch_size * self.world_size)
        return whole + int(not self.drop_last and rest > self.rank * self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.batches(0, 1):
            self.advance()
            yield batch

    def batches(self, worker: int, workers: int) -> Iterator[Batch]:
        """Yields every ``workers``-th batch of this rank, from batch ``worker`` on; the position stays."""
        # A batch takes a few microseconds, so the loop looks up and computes what it can before.
        read, convert = self._inner.batch, self._convert
        size, documents, end = self.batch_size, self.documents, self.end
        step = size * self.world_size
        first = self._samples + worker * step + self.rank * size
        stride = workers * step
        if end is None:
            while True:
                yield as_batch(read(first, size, documents), convert)
                first += stride
        # With `drop_last` the batch is whole for all ranks, otherwise for this one.
        last = end - step + self.rank * size if self.drop_last else end - size
        while first <= last:
            yield as_batch(read(first, size, documents), convert)
            first += stride
        if first < end and not self.drop_last:
            yield as_batch(read(first, end - first, documents), convert)

    def advance(self, batches: int = 1) -> None:
        """Counts batches as drawn, by all ranks."""
        self._samples += batches * self.batch_size * self.world_size
        if self._end is not None and self._samples > self._end:
            self._samples = self._end

    def draws(self, count: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        """Returns the sources and rows of the next ``count`` samples of all ranks, without reading them."""
        return self._inner.draws(self._samples, count)

    def state_dict(self) -> FeedState:
        """Returns the position: the samples that all ranks together have drawn, and what orders them."""
        return {"samples": self._samples, "order": self._order()}

    def load_state_dict(self, state: FeedState) -> None:
        """Continues from a position, which may be one of another number of ranks or another batch size."""
        for name, expected in self._order().items():
            found = state["order"].get(name)
            if found != expected:
                raise _ratdata.Error(f"the state is of another order: {name} is {found!r}, here {expected!r}")
        self._samples = int(state["samples"])

    def _order(self) -> dict[str, Any]:
        return {
            "seq_len": self.seq_len,
            "rows": [len(source) for source in self.sources],
            "weights": self.weights,
            "seed": self.seed,
            "shuffle": self.shuffle,
        }

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        del state["_inner"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __repr__(self) -> str:
        paths = [source.path for source in self.sources]
        return f"{type(self).__name__}({paths}, {self.num_rows:,} rows of {self.seq_len:,}, at {self._samples:,})"
