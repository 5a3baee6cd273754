"""Preference pairs: a prompt, the answer that is preferred, and the other one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Union, overload

import numpy as np
import numpy.typing as npt

from ratdata._artifact import TokenBins, open
from ratdata._documents import Array
from ratdata._sequences import Path

SIDES = ("chosen", "rejected")


class Preferences(Sequence["dict[str, Array]"]):
    """The preference pairs of one split of an artifact of ``ratdata sft``.

    A pair has ``prompt_ids``, ``chosen_ids`` and ``rejected_ids``, which are views of memory maps, and ``chosen_mask``
    and ``rejected_mask``: which tokens of an answer are trained on.

    >>> import ratdata
    >>> pairs = ratdata.Preferences("preferences")
    >>> pair = pairs[0]
    >>> sorted(pair)
    ['chosen_ids', 'chosen_mask', 'prompt_ids', 'rejected_ids', 'rejected_mask']
    >>> pairs.batch([0, 1], pad_id=0)["completion_mask"].shape[0]
    4
    """

    def __init__(self, path: Path, split: str = "train") -> None:
        artifact = open(path)
        self._sides: list[TokenBins] = []
        for side in SIDES:
            bins = artifact[f"{split}-{side}"]
            if not isinstance(bins, TokenBins):
                raise ValueError(f"{artifact.path}: split `{split}-{side}` holds no documents")
            self._sides.append(bins)
        one, other = (len(bins.documents) for bins in self._sides)
        if one != other:
            raise ValueError(f"{artifact.path}: split `{split}` has {one} chosen and {other} rejected answers")

    def __len__(self) -> int:
        return len(self._sides[0].documents)

    @overload
    def __getitem__(self, number: int) -> dict[str, Array]: ...
    @overload
    def __getitem__(self, number: slice) -> list[dict[str, Array]]: ...
    def __getitem__(self, number: Union[int, slice]) -> Union[dict[str, Array], list[dict[str, Array]]]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        pair: dict[str, Array] = {}
        for side, bins in zip(SIDES, self._sides):
            ids, mask = bins.documents[number], bins.masks[number]
            # The prompt ends where the first token is trained on.
            prompt = int(mask.argmax()) if mask.any() else len(mask)
            pair.setdefault("prompt_ids", ids[:prompt])
            pair[f"{side}_ids"], pair[f"{side}_mask"] = ids[prompt:], mask[prompt:]
        return pair

    def batch(self, numbers: Sequence[int], pad_id: int) -> dict[str, npt.NDArray[np.int64]]:
        """Returns pairs as arrays of int64: all chosen rows, then all rejected ones, filled up with ``pad_id``.

        ``input_ids``, ``attention_mask`` and ``completion_mask`` are those of trl's ``DataCollatorForPreference``.
        Labels are not shifted: a model of ``transformers`` shifts them.
        """
        pairs = [self[number] for number in numbers]
        longest = max((len(p["prompt_ids"]) + len(p[f"{side}_ids"]) for p in pairs for side in SIDES), default=0)
        shape = (2 * len(pairs), longest)
        made = {
            "input_ids": np.full(shape, pad_id, np.int64),
            "attention_mask": np.zeros(shape, np.int64),
            "completion_mask": np.zeros(shape, np.int64),
        }
        rows = [(pair, side) for side in SIDES for pair in pairs]
        for row, (pair, side) in enumerate(rows):
            prompt, ids = len(pair["prompt_ids"]), pair[f"{side}_ids"]
            end = prompt + len(ids)
            made["input_ids"][row, :prompt] = pair["prompt_ids"]
            made["input_ids"][row, prompt:end] = ids
            made["attention_mask"][row, :end] = 1
            made["completion_mask"][row, prompt:end] = pair[f"{side}_mask"]
        return made

    def __repr__(self) -> str:
        return f"Preferences({len(self):,} pairs)"
