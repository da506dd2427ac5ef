"""A baseline: what users alike had."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: So many users are compared at once, which bounds the memory of it.
CHUNK = 1024


def nearest_neighbour(known: Floats, ordered: NDArray[np.bool_], asked: Floats, k: int) -> Floats:
    """The share (q, m) of the k nearest known rows that had each item, weighted by likeness.

    known: (n, d) features with what they had, ordered (n, m); asked: (q, d). Likeness is the cosine
    of features, none below 0; of equals the first are taken.
    """
    k = min(k, len(known))
    unit, had = _unit(known), ordered.astype(np.float32)
    shares = np.zeros((len(asked), ordered.shape[1]), np.float32)
    for start in range(0, len(asked), CHUNK):
        likeness = _unit(asked[start : start + CHUNK]) @ unit.T
        nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :k]
        weight = np.maximum(np.take_along_axis(likeness, nearest, axis=1), 0)
        total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
        shares[start : start + CHUNK] = np.einsum("qk,qkm->qm", weight / total, had[nearest])
    return shares


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-9), np.float32)
