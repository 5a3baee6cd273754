"""Tokenizers, artifacts and rows for training loops, from Python.

- :class:`Tokenizer` encodes and decodes text, on many threads.
- :func:`open` opens an artifact of ``ratdata tokenize``, ``pack`` or ``sft`` as arrays over memory maps.
- :class:`Sequences` reads sequences for training by number.
- :class:`Preferences` reads preference pairs of ``ratdata sft``.
- :class:`Feed` draws batches from one source or a mixture, shuffled, and resumes from one number.
- :mod:`ratdata.torch` has the same for PyTorch.

The programs ``ratdata`` and ``ratdata-train`` are installed with this package.
"""

from ratdata._artifact import Artifact, Pack, Pairs, Rows, Shard, TokenBins, open
from ratdata._documents import Documents
from ratdata._feed import Feed, FeedState
from ratdata._preference import Preferences
from ratdata._ratdata import Error, __version__
from ratdata._sequences import Batch, Sequences
from ratdata._tokenizer import Tokenizer

__all__ = [
    "Artifact",
    "Batch",
    "Documents",
    "Error",
    "Feed",
    "FeedState",
    "Pack",
    "Pairs",
    "Preferences",
    "Rows",
    "Sequences",
    "Shard",
    "TokenBins",
    "Tokenizer",
    "__version__",
    "open",
]
