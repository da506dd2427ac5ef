"""The molecules most like another: FPSim2 counts, first on the folded table where that tells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyclinic.discovery.search.fingerprints import MOST_SURPLUS, Words
from polyclinic.discovery.search.kernel import Results, generic_search

_TANIMOTO = 0
#: So many of the folded table's best are looked at: this many times k, and no fewer.
_TIMES, _FEWEST = 4, 1000
#: One part in so many of the table shows whether the folded one is enough.
_PARTS = 32
#: Where more than one row in so many would be looked at, the folded table saves nothing.
_WORTH = 8


@dataclass(frozen=True)
class Neighbours:
    """What is like one query: rows of the library and their Tanimoto similarities, best first.

    Equals stand as in the library; of those as similar as the last, any may be left out.
    """

    rows: NDArray[np.int64]
    similarities: NDArray[np.float32]


class Similarities:
    """Exact searches of a table and its folded one, which are in the same order."""

    def __init__(self, rows: Words, folded: Words) -> None:
        self._rows, self._folded = rows, folded
        self._counts, starts = np.unique(rows[:, -1], return_index=True)
        self._edges = np.append(starts, len(rows))

    def search(self, query: Words, folded: Words, k: int, least: float) -> Neighbours:
        """The `k` most similar of those of a similarity of `least` or more.

        query (w + 2,), folded: a row of a table, and of its folded one.
        """
        start, end = self._within(query, least)
        found = self._screened(query, folded, k, least, start, end)
        if found is None:
            found = _search(query, self._rows, least, k, start, end)
        order = np.lexsort((found["mol_id"], -found["coeff"]))[:k]
        return Neighbours(found["mol_id"][order].astype(np.int64), found["coeff"][order])

    def _within(self, query: Words, least: float) -> tuple[int, int]:
        """From which row to which those are whose number of bits lets them be similar enough."""
        many = query[-1]
        most = np.minimum(self._counts, many) / np.maximum(np.maximum(self._counts, many), 1)
        (held,) = np.nonzero(most.astype(np.float32) >= np.float32(least))
        return (int(self._edges[held[0]]), int(self._edges[held[-1] + 1])) if len(held) else (0, 0)

    def _screened(
        self, query: Words, folded: Words, k: int, least: float, start: int, end: int
    ) -> Results | None:
        """The best rows by way of the folded table, or None where that does not tell them all."""
        candidates, size = max(_FEWEST, _TIMES * k), (end - start) // _PARTS
        if _WORTH * candidates > end - start or int(folded[-2]).bit_count() == MOST_SURPLUS:
            return None
        # A part of the table with as many bits as the query, asked for that part of the best.
        middle = int(self._edges[np.searchsorted(self._counts[:-1], query[-1])])
        first = int(np.clip(middle - size // 2, start, end - size))
        part = (first, first + size)
        share = (-(-k // _PARTS), candidates // _PARTS)
        if self._best(query, folded, *share, least, *part) is None:
            return None
        return self._best(query, folded, k, candidates, least, start, end)

    def _best(
        self, query: Words, folded: Words, k: int, many: int, least: float, start: int, end: int
    ) -> Results | None:
        """The best `k` rows, or None where one outside the `many` candidates may be better."""
        candidates = _search(folded, self._folded, least, many, start, end)
        rows = self._rows[candidates["mol_id"]]
        found = _search(query, rows, least, 0, 0, len(rows))
        if len(candidates) < many:
            return found
        enough = len(found) >= k and candidates["coeff"][-1] < found["coeff"][k - 1]
        return found if enough else None


def _search(query: Words, rows: Words, least: float, k: int, start: int, end: int) -> Results:
    """FPSim2's search of the rows from `start` to `end`: the best `k`, or all where k is 0."""
    return generic_search(query, rows, least, k, _TANIMOTO, start, end)
