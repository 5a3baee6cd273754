"""Base classes of data sets, and a loader in one process."""

import copy
import types
from typing import Generic, TypeVar

T = TypeVar("T")
_worker = None


class Dataset(Generic[T]):
    pass


class IterableDataset(Dataset[T]):
    pass


def get_worker_info():
    return _worker


class DataLoader(Generic[T]):
    pin_memory = False

    def __init__(self, dataset, batch_size=1, num_workers=0, collate_fn=None):
        assert batch_size is None, "the stand-in makes no batches"
        self.dataset, self.num_workers = dataset, num_workers

    def __iter__(self):
        if self.num_workers == 0:
            yield from self.dataset
            return
        workers = [types.SimpleNamespace(id=number, num_workers=self.num_workers) for number in range(self.num_workers)]
        running = [(worker, _as_worker(worker, iter, copy.deepcopy(self.dataset))) for worker in workers]
        while running:
            for worker, batches in list(running):
                try:
                    batch = _as_worker(worker, next, batches)
                except StopIteration:
                    running.remove((worker, batches))
                    continue
                yield batch


def _as_worker(worker, call, argument):
    """Calls something as a worker process does, which knows from its beginning who it is."""
    global _worker
    _worker = worker
    try:
        return call(argument)
    finally:
        _worker = None
