"""What a molecule must have, at the least, before a pattern can match it.

A match maps the pattern's atoms and bonds to as many different ones of the molecule. So for every
kind of atom and bond in the pattern the molecule has at least as many that match the kind alone.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import product
from typing import Any, NamedTuple

from rdkit import Chem

from polyclinic.discovery.properties.alerts.expression import Expression


class AtomKind(NamedTuple):
    """An atom: its SMARTS, and how many neighbours the pattern gives it."""

    smarts: str
    degree: int


class BondKind(NamedTuple):
    """A bond: its SMARTS, and the atoms at its ends.

    ring: the size of the pattern's smallest ring with it, 0 without: its image lies in a ring that
    is no larger.
    """

    smarts: str
    begin: AtomKind
    end: AtomKind
    ring: int


Kind = AtomKind | BondKind
#: A kind, and how many are needed.
Need = tuple[Kind, int]
Needs = frozenset[Need]

#: Alternatives of a pattern beyond which its inner patterns are not looked into.
_MOST = 64


def needs(query: Chem.Mol) -> set[Needs]:
    """Alternatives, of which a molecule must meet one in full before the pattern can match."""
    Chem.GetSymmSSSR(query)
    rings = query.GetRingInfo()
    kinds = [AtomKind(atom.GetSmarts(), atom.GetDegree()) for atom in query.GetAtoms()]
    own: Counter[Kind] = Counter(kinds)
    bonds: list[Any] = list(query.GetBonds())
    for bond in bonds:
        begin, end = sorted((kinds[bond.GetBeginAtomIdx()], kinds[bond.GetEndAtomIdx()]))
        own[BondKind(bond.GetSmarts(), begin, end, rings.MinBondRingSize(bond.GetIdx()))] += 1
    found = {frozenset(own.items())}
    for smarts, _ in set(kinds):
        for choices in Expression.of(smarts).around():
            either = {each for texts in choices for each in _all(texts)}
            if len(found) * len(either) <= _MOST:
                found = {_merged(pair) for pair in product(found, either)}
    return {_bare(each) for each in found}


def _all(texts: list[str]) -> set[Needs]:
    """Alternatives of what must be met where each pattern must stand around one atom."""
    sets = [needs(Chem.MolFromSmarts(text)) for text in texts]
    return {_merged(each) for each in product(*sets)}


def _merged(parts: Iterable[Needs]) -> Needs:
    """What meets all parts, whose atoms may be the same ones."""
    most: dict[Kind, int] = {}
    for part in parts:
        for kind, number in part:
            most[kind] = max(number, most.get(kind, 0))
    return frozenset(most.items())


def _bare(needs: Needs) -> Needs:
    """The same, without single atoms that stand at the end of a bond that is needed."""
    bonds = [kind for kind, _ in needs if isinstance(kind, BondKind)]
    ends = {end for bond in bonds for end in (bond.begin, bond.end)}
    return frozenset((kind, number) for kind, number in needs if number > 1 or kind not in ends)
