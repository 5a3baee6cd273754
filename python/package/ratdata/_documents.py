"""Documents as views into one array of ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Union, overload

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class ListOfDocuments(Sequence[Array]):
    """One array a document, by number or by slice."""

    __slots__ = ()

    def _one(self, number: int) -> Array:
        """Returns a document by its number, which is in range."""
        raise NotImplementedError

    @overload
    def __getitem__(self, number: int) -> Array: ...
    @overload
    def __getitem__(self, number: slice) -> list[Array]: ...
    def __getitem__(self, number: Union[int, slice]) -> Union[Array, list[Array]]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        if number < 0:
            number += len(self)
        if not 0 <= number < len(self):
            raise IndexError(f"document {number} of {len(self)}")
        return self._one(number)


class Documents(ListOfDocuments):
    """Documents in one array: the ids one after the other, and the end of each document.

    A document is a view into :attr:`ids`; nothing is copied.

    >>> documents = Documents(np.array([5, 6, 7, 8]), np.array([1, 4]))
    >>> len(documents), documents[1]
    (2, array([6, 7, 8]))
    """

    __slots__ = ("ends", "ids")

    def __init__(self, ids: Array, ends: Array) -> None:
        self.ids = ids
        self.ends = ends

    def __len__(self) -> int:
        return len(self.ends)

    def _one(self, number: int) -> Array:
        start = int(self.ends[number - 1]) if number else 0
        return self.ids[start : int(self.ends[number])]

    def __iter__(self) -> Iterator[Array]:
        start = 0
        for end in self.ends:
            yield self.ids[start : int(end)]
            start = int(end)

    def __repr__(self) -> str:
        return f"Documents({len(self):,} of {len(self.ids):,} ids, {self.ids.dtype})"
