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
        global _worker
        if self.num_workers == 0:
            yield from self.dataset
            return
        running = []
        for number in range(self.num_workers):
            running.append((number, iter(copy.deepcopy(self.dataset))))
        while running:
            for number, worker in list(running):
                _worker = types.SimpleNamespace(id=number, num_workers=self.num_workers)
                try:
                    batch = next(worker)
                except StopIteration:
                    running.remove((number, worker))
                    continue
                finally:
                    _worker = None
                yield batch
