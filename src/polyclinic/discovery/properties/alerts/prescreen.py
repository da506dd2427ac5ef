"""Which patterns may match a molecule: the others need what it has not."""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from polyclinic.discovery.properties.alerts.classes import Kinds
from polyclinic.discovery.properties.alerts.needs import AtomKind, BondKind, Kind, Need, needs
from polyclinic.discovery.properties.alerts.patterns import patterns


class Prescreen:
    """A sieve for patterns. What it lets through has to be tried; what it holds back cannot match.

    A pattern's needs are alternatives; it is held back where a molecule falls short of every one.
    """

    def __init__(self, queries: Sequence[Chem.Mol | None]) -> None:
        """A sieve for these patterns; one that is not known is always let through."""
        found = [needs(query) if query is not None else {frozenset[Need]()} for query in queries]
        alternatives = [(row, each) for row, either in enumerate(found) for each in either]
        wanted = sorted({each for _, own in alternatives for each in own}, key=repr)
        bonds = sorted({kind for kind, _ in wanted if isinstance(kind, BondKind)})
        lone = {kind for kind, _ in wanted if isinstance(kind, AtomKind)}
        atoms = sorted(lone.union(*((bond.begin, bond.end) for bond in bonds)))
        self._kinds = Kinds(atoms, bonds)
        row_of: dict[Kind, int] = {kind: row for row, kind in enumerate(chain[Kind](atoms, bonds))}
        self._kind = np.array([row_of[kind] for kind, _ in wanted], np.int64)
        self._number = np.array([number for _, number in wanted], np.int64)
        place = {need: row for row, need in enumerate(wanted)}
        # The last place is of a need that every molecule meets: where alternatives have none.
        own_places = [
            sorted(place[need] for need in own) or [len(wanted)] for _, own in alternatives
        ]
        self._needs = np.concatenate([np.array(own, np.int64) for own in own_places])
        self._first = np.cumsum([0, *map(len, own_places)])[:-1]
        self._pattern_of = np.array([row for row, _ in alternatives], np.int64)
        self._lock = Lock()

    def candidates(self, mols: Sequence[Chem.Mol]) -> list[NDArray[np.int64]]:
        """The patterns to try on each molecule, by number, in order."""
        if not mols:
            return []
        with self._lock:
            counts = self._kinds.count(mols)
        missing = np.zeros((len(mols), len(self._kind) + 1), np.bool_)
        missing[:, :-1] = counts[:, self._kind] < self._number
        return [self._left(row) for row in missing]

    def _left(self, missing: NDArray[np.bool_]) -> NDArray[np.int64]:
        short = np.logical_or.reduceat(missing[self._needs], self._first)
        return np.unique(self._pattern_of[~short])


@cache
def prescreen() -> Prescreen:
    """The sieve for `patterns()`."""
    return Prescreen([each.query for each in patterns()])
