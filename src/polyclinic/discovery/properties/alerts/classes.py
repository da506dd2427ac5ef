"""Molecules as counts of kinds of atoms and bonds, computed once for each class of them."""

from collections.abc import Iterator, Sequence
from operator import methodcaller
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from polyclinic.discovery.properties.alerts.expression import Expression, plain
from polyclinic.discovery.properties.alerts.needs import AtomKind, BondKind

Flags = NDArray[np.bool_]

_BONDS = frozenset({"BondOrder", "SingleOrAromaticBond", "BondNull", "BondInRing", "BondAnd"})
_KNOWN_BONDS = _BONDS | {"BondOr"}
_hydrogens = methodcaller("GetTotalNumHs", True)
#: Classes kept; when there are more, counting begins anew.
_MOST = 20_000


class Kinds:
    """Which kinds each atom and bond matches, and how many of each kind a molecule has."""

    def __init__(self, atoms: Sequence[AtomKind], bonds: Sequence[BondKind]) -> None:
        self._atoms = [(Expression.of(smarts), degree) for smarts, degree in atoms]
        places = {kind: place for place, kind in enumerate(atoms)}
        ends = [(places[bond.begin], places[bond.end]) for bond in bonds]
        self._ends = np.array(ends, np.int64).reshape(-1, 2).T
        self._rings = np.array([bond.ring for bond in bonds], np.int64)
        orders = sorted({bond.smarts for bond in bonds})
        self._order = np.array([orders.index(bond.smarts) for bond in bonds], np.int64)
        self._bond_queries = [_bond_query(smarts) for smarts in orders]
        self._plain: dict[str, Chem.Atom | None] = {}
        self._forget()

    def count(self, mols: Sequence[Chem.Mol]) -> NDArray[np.int32]:
        """How many atoms and bonds of each kind, atoms' kinds first (m, kinds)."""
        if len(self._bond_rows) + len(self._atom_rows) > _MOST:
            self._forget()
        atoms, bonds = zip(*(self._classes(mol) for mol in mols), strict=True)
        return np.hstack((self._atom_rows.sums(atoms), self._bond_rows.sums(bonds)))

    def _forget(self) -> None:
        self._atom_classes: dict[Any, int] = {}
        self._atom_rows = _Rows(len(self._atoms))
        self._bond_classes: dict[Any, int] = {}
        self._bond_rows = _Rows(len(self._order))
        self._orders_of: dict[Any, Flags] = {}

    def _classes(self, mol: Chem.Mol) -> tuple[list[int], list[int]]:
        """The class of each atom, and of each bond."""
        rings = mol.GetRingInfo()
        # `GetAtoms` and `GetBonds` go through Python for each of them: this is far faster.
        atoms = [*map(mol.GetAtomWithIdx, range(mol.GetNumAtoms()))]
        of_atom = self._atom_classes
        own = []
        for atom, facts in zip(atoms, _facts(atoms, rings), strict=True):
            found = of_atom.get(facts)
            if found is None:
                found = of_atom[facts] = len(self._atom_rows)
                self._atom_rows.append(self._match_atom(atom))
            own.append(found)
        bonds = [*map(mol.GetBondWithIdx, range(mol.GetNumBonds()))]
        begins = map(own.__getitem__, map(Chem.Bond.GetBeginAtomIdx, bonds))
        ends = map(own.__getitem__, map(Chem.Bond.GetEndAtomIdx, bonds))
        orders = map(Chem.Bond.GetBondType, bonds)
        smallest = map(rings.MinBondRingSize, range(len(bonds)))
        of_bond = self._bond_classes
        between = []
        for bond, key in zip(bonds, zip(begins, ends, orders, smallest, strict=True), strict=True):
            found = of_bond.get(key)
            if found is None:
                found = of_bond[key] = len(self._bond_rows)
                self._bond_rows.append(self._match_bond(bond, key[0], key[1], key[3]))
            between.append(found)
        return own, between

    def _match_atom(self, atom: Chem.Atom) -> Flags:
        answers: dict[str, bool] = {}

        def answer(primitive: str) -> bool:
            if primitive not in answers:
                if primitive not in self._plain:
                    self._plain[primitive] = plain(primitive)
                query = self._plain[primitive]
                answers[primitive] = query is None or query.Match(atom)
            return answers[primitive]

        neighbours = atom.GetDegree()
        return np.array([n <= neighbours and each.admits(answer) for each, n in self._atoms])

    def _match_bond(self, bond: Chem.Bond, one: int, other: int, ring: int) -> Flags:
        key = (bond.GetBondType(), ring > 0)
        if key not in self._orders_of:
            each = [query is None or query.Match(bond) for query in self._bond_queries]
            self._orders_of[key] = np.array(each, np.bool_)
        left, right = self._atom_rows[one], self._atom_rows[other]
        begin, end = self._ends
        ends = (left[begin] & right[end]) | (right[begin] & left[end])
        ringed = (self._rings == 0) | ((ring > 0) & (ring <= self._rings))
        return np.asarray(ends & ringed & self._orders_of[key][self._order])


def _facts(atoms: Sequence[Chem.Atom], rings: Chem.RingInfo) -> Iterator[tuple[int, ...]]:
    """All by which atoms of one class are alike."""
    places = range(len(atoms))
    return zip(
        map(Chem.Atom.GetAtomicNum, atoms),
        map(Chem.Atom.GetIsotope, atoms),
        map(Chem.Atom.GetIsAromatic, atoms),
        map(Chem.Atom.GetFormalCharge, atoms),
        map(_hydrogens, atoms),
        map(Chem.Atom.GetDegree, atoms),
        map(Chem.Atom.GetTotalDegree, atoms),
        map(Chem.Atom.GetTotalValence, atoms),
        map(rings.NumAtomRings, places),
        map(rings.MinAtomRingSize, places),
        strict=True,
    )


def _bond_query(smarts: str) -> Chem.Bond | None:
    """The query of a bond's SMARTS; None where the facts of a class do not answer it."""
    query = Chem.BondFromSmarts(smarts) if smarts else Chem.MolFromSmarts("**").GetBondWithIdx(0)
    if query is None or not query.HasQuery():
        return None
    names = {line.split()[0] for line in query.DescribeQuery().splitlines() if line.strip()}
    return query if names <= _KNOWN_BONDS else None


class _Rows:
    """A table that grows: for each class, which kinds it is."""

    def __init__(self, kinds: int) -> None:
        self._table = np.zeros((64, kinds), np.bool_)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, row: int) -> Flags:
        return np.asarray(self._table[row])

    def append(self, row: Flags) -> None:
        if self._size == len(self._table):
            self._table = np.concatenate((self._table, np.zeros_like(self._table)))
        self._table[self._size] = row
        self._size += 1

    def sums(self, classes: Sequence[list[int]]) -> NDArray[np.int32]:
        """The sum of the rows of each molecule's classes (m, kinds)."""
        found = np.zeros((len(classes), self._table.shape[1]), np.int32)
        for row, own in enumerate(classes):
            if own:
                self._table[own].sum(0, out=found[row])
        return found
