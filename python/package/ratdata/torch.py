"""Datasets and a loader for PyTorch.

- :class:`IterableDataset` draws batches of one source or a mixture, shuffled, on any number of ranks.
- :class:`DataLoader` runs it in worker processes and knows its position.
- :class:`Dataset` has sequences by number, for samplers of your own.

The arrays of a batch become tensors without a copy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Optional, cast

from ratdata._feed import Feed, FeedState, Sources
from ratdata._sequences import Batch, Sequences

try:
    import torch
    import torch.utils.data
except ImportError as missing:
    raise ImportError("ratdata.torch needs PyTorch: pip install torch") from missing

Tensors = dict[str, "torch.Tensor"]

__all__ = ["DataLoader", "Dataset", "IterableDataset", "attention_mask"]


def _tensors(batch: Batch) -> Tensors:
    return {name: torch.from_numpy(array) for name, array in batch.items()}


class Dataset(torch.utils.data.Dataset[Tensors]):
    """The sequences of one split, by number; the arguments are those of :class:`ratdata.Sequences`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.sequences = Sequences(*arguments, **options)

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, number: int) -> Tensors:
        return _tensors(self.sequences[number])

    def __getitems__(self, numbers: Sequence[int]) -> list[Tensors]:
        """Reads several sequences at once; PyTorch's loader calls it."""
        batch = _tensors(self.sequences.read(numbers))
        return [{name: rows[at] for name, rows in batch.items()} for at in range(len(numbers))]


class IterableDataset(Feed, torch.utils.data.IterableDataset[Tensors]):
    """Batches of one source or of a mixture; the arguments are those of :class:`ratdata.Feed`.

    It yields whole batches, so a loader gets ``batch_size=None``, as :class:`DataLoader` does. Worker
    processes share its batches in turn. Rank and number of ranks are those of ``torch.distributed``, or of
    the variables ``RANK`` and ``WORLD_SIZE``, unless they are given.

    The position is counted where the batches are drawn: with worker processes, :class:`DataLoader` counts.
    """

    _convert = staticmethod(torch.from_numpy)

    def __init__(
        self,
        data: Sources,
        split: str = "train",
        *,
        rank: Optional[int] = None,
        world_size: Optional[int] = None,
        **options: Any,
    ) -> None:
        found_rank, found_size = _ranks()
        super().__init__(
            data,
            split,
            rank=found_rank if rank is None else rank,
            world_size=found_size if world_size is None else world_size,
            **options,
        )

    def __iter__(self) -> Iterator[Tensors]:  # type: ignore[override]
        info = torch.utils.data.get_worker_info()
        if info is None:
            return cast("Iterator[Tensors]", super().__iter__())
        return cast("Iterator[Tensors]", self.batches(info.id, info.num_workers))


class DataLoader(torch.utils.data.DataLoader[Tensors]):
    """PyTorch's loader, with the position of an :class:`IterableDataset`.

    ``state_dict`` counts the batches that the loop has received, not those that workers have read ahead.
    The state may be loaded with another number of workers, ranks or another batch size.
    """

    def __init__(self, dataset: IterableDataset, **options: Any) -> None:
        if options.get("batch_size") is not None:
            raise ValueError("the dataset makes batches; give `batch_size` to IterableDataset")
        options["batch_size"] = None
        options.setdefault("collate_fn", _as_it_is)
        super().__init__(dataset, **options)

    def __iter__(self) -> Iterator[Tensors]:  # type: ignore[override]
        if self.num_workers == 0 and not self.pin_memory:
            # PyTorch's iterator would look at every tensor and change none.
            return iter(self.dataset)
        return self._through_pytorch()

    def _through_pytorch(self) -> Iterator[Tensors]:
        feed: IterableDataset = self.dataset  # type: ignore[assignment]
        for batch in super().__iter__():
            if self.num_workers > 0:
                feed.advance()
            yield batch

    def state_dict(self) -> FeedState:
        """Returns the position of the dataset."""
        return self.dataset.state_dict()  # type: ignore[attr-defined, no-any-return]

    def load_state_dict(self, state: FeedState) -> None:
        """Continues from a position; it counts from the next iterator on."""
        self.dataset.load_state_dict(state)  # type: ignore[attr-defined]


def attention_mask(document_ids: torch.Tensor) -> torch.Tensor:
    """Returns which keys each query may attend to: those before it in its document, and itself.

    The mask has the shape ``[batch, 1, seq_len, seq_len]``, as ``scaled_dot_product_attention`` takes it.
    """
    same = document_ids[:, :, None] == document_ids[:, None, :]
    return same.tril()[:, None]


def _as_it_is(batch: Tensors) -> Tensors:
    """Returns a batch, which the dataset has made whole."""
    return batch


def _ranks() -> tuple[int, int]:
    """Returns the rank of this process and how many there are."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
