"""How the labels of examples are written: one label each, or for each label whether it is true."""

import numpy as np
from numpy.typing import NDArray

#: (n,) int64, each an index into the labels; or, of multi-label data, (n, k) bool.
Labels = NDArray[np.int64 | np.bool_]


def multi_label(y: Labels) -> bool:
    """Whether none, one or several labels are true of each example."""
    return y.ndim == 2


def truth(y: Labels, k: int) -> NDArray[np.bool_]:
    """Which of k labels are true of each example (n, k), however they are written."""
    return y.astype(np.bool_) if multi_label(y) else y[:, None] == np.arange(k)
