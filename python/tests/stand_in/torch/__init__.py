"""A stand-in for the parts of PyTorch that `ratdata.torch` builds on, for machines without PyTorch.

Tensors are NumPy arrays. The loader runs "workers" one after the other in this process, in the order in which
PyTorch gives their batches. Nothing is trained with it.
"""

import numpy

from torch import utils  # noqa: F401

__version__ = "stand-in"
Tensor = numpy.ndarray


def from_numpy(array):
    return array


class distributed:
    @staticmethod
    def is_available():
        return False
