"""The best few of many items for each of many users.

Of a row cut into groups of columns, the k best values lie in the k groups whose greatest values are
the greatest: a value outside these has k values before it. So passes of maxima, which a processor
takes of many columns at once, leave a few columns to choose from.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput

Singles = NDArray[np.float32]
Ids = NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)
#: Which items are not to be had by the users of a block of rows: (rows, m) bool.
Mask = Callable[[slice], NDArray[np.bool_]]

#: Scores held at once by a thread: 2 MiB, which stay in a processor's cache.
_BLOCK = 2**19
#: Columns in a group, and columns so few that they are chosen from as they are: NumPy partitions
#: rows of up to 128 values twice as fast, for each, as longer ones.
_GROUP, _FEW = 4, 128


def top(
    users: Singles,
    items: Singles,
    k: int,
    *,
    biases: Singles | None = None,
    excluded: Mask | None = None,
    threads: int = 1,
) -> tuple[Ids, Singles]:
    """The k best items for each user, ids and scores (n, min(k, m)), the best first.

    A score is the product of factors users (n, f) and items (m, f), plus the item's of biases (m,).
    `excluded` is asked for one block of users after the other; of a matrix it is `__getitem__`.
    Where fewer than k items are left for a user the rest have the id -1 and the score -inf. Of
    equal scores the lower id comes first; which of those equal to the last are let in is left open.
    Blocks are shared out among `threads`, which pays where BLAS itself is held to one. Raises
    `InvalidInput` where factors do not fit together or are not finite.
    """
    if users.ndim != 2 or items.ndim != 2 or users.shape[1] != items.shape[1]:
        raise InvalidInput(f"Factors of {users.shape} users do not fit {items.shape} items.")
    if biases is not None and biases.shape != (len(items),):
        raise InvalidInput(f"{len(items)} items have biases of shape {biases.shape}.")
    for name, factors in {"users": users, "items": items, "biases": biases}.items():
        if factors is not None and not np.isfinite(factors).all():
            raise InvalidInput("A factor is not a finite number.", where=name)
    if k < 1:
        raise InvalidInput("At least one item must be asked for.", where="k")
    by_factor = np.ascontiguousarray(items.T, dtype=np.float32)
    ids = np.empty((len(users), min(k, len(items))), dtype=np.int64)
    values = np.empty(ids.shape, dtype=np.float32)

    def fill(rows: slice) -> None:
        scores = users[rows] @ by_factor
        if biases is not None:
            scores += biases
        if excluded is not None:
            scores[excluded(rows)] = -np.inf
        ids[rows], values[rows] = best(scores, k)

    if threads == 1:
        for rows in _blocks(len(users), len(items)):
            fill(rows)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(fill, _blocks(len(users), len(items))):
                pass
    return ids, values


def best(scores: Singles, k: int) -> tuple[Ids, Singles]:
    """The k best columns of scores (n, m), ids and scores (n, min(k, m)), as `top` gives them.

    A score of -inf excludes. Raises `InvalidInput` naming the row where a score is NaN.
    """
    missing = np.isnan(scores.max(axis=1, initial=-np.inf))
    if missing.any():
        raise InvalidInput("A score is not a number.", where=f"scores[{missing.argmax()}]")
    ids = _best(scores, min(k, scores.shape[1]))
    values = _at(scores, ids)
    # Scores fall, and ids rise among equal ones.
    order = np.lexsort((ids, -values))
    ids, values = _at(ids, order), _at(values, order)
    ids[values == -np.inf] = -1
    return ids, values


def _best(scores: Singles, k: int) -> Ids:
    """The columns (n, k) of the k best of scores (n, m), in any order."""
    n, m = scores.shape
    groups = m // _GROUP
    if m <= _FEW or groups <= k:
        return np.argpartition(scores, m - k, axis=1)[:, m - k :] if k else np.empty((n, 0), int)
    # Column c is in group c % groups: so the maxima of all groups are taken side by side.
    grouped = groups * _GROUP
    chosen = _best(scores[:, :grouped].reshape(n, _GROUP, groups).max(axis=1), k)
    columns = [chosen + start for start in range(0, grouped, groups)]
    rest = np.broadcast_to(np.arange(grouped, m), (n, m - grouped))
    candidates = np.concatenate([*columns, rest], axis=1)
    return _at(candidates, _best(_at(scores, candidates), k))


def _at(values: NDArray[Number], columns: Ids) -> NDArray[Number]:
    """The values (n, c) at columns (n, c) of each row; twice as fast as `take_along_axis`."""
    rows, width = values.shape
    found: NDArray[Number] = values.ravel().take(columns + width * np.arange(rows)[:, None])
    return found


def _blocks(users: int, items: int) -> Iterator[slice]:
    size = max(1, _BLOCK // max(1, items))
    return (slice(start, min(start + size, users)) for start in range(0, users, size))
