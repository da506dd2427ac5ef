"""Molecules as one graph of atoms and directed bonds, with the features that the networks know.

The features are those of chemprop 2's default featurisers of atoms ("v2") and bonds, which the
networks were trained with (Heid et al. 2024, J. Chem. Inf. Model. 64(1), 9-17). Atoms of equal
features are of one kind, and so are bonds: there are few kinds, and each is written out once.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import Atom, Bond, BondType, HybridizationType, Mol

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

#: What each group of an atom's features tells apart; anything else sets the group's last one.
_ATOM_GROUPS: tuple[tuple[int, ...], ...] = (
    (*range(1, 37), 53),  # atomic number
    tuple(range(6)),  # neighbours, hydrogens counted
    (-1, -2, 1, 2, 0),  # formal charge
    tuple(range(4)),  # chiral tag
    tuple(range(5)),  # hydrogens
    tuple(
        int(each)
        for each in (
            HybridizationType.S,
            HybridizationType.SP,
            HybridizationType.SP2,
            HybridizationType.SP2D,
            HybridizationType.SP3,
            HybridizationType.SP3D,
            HybridizationType.SP3D2,
        )
    ),
)
_BOND_TYPES = tuple(
    int(each) for each in (BondType.SINGLE, BondType.DOUBLE, BondType.TRIPLE, BondType.AROMATIC)
)
_BOND_STEREOS = 6

#: 72: the groups, each with its "anything else", aromaticity, and a hundredth of the mass.
ATOM_FEATURES = sum(len(group) + 1 for group in _ATOM_GROUPS) + 2
#: 14: no bond (never here), type, conjugated, in a ring, stereo with its "anything else".
BOND_FEATURES = 1 + len(_BOND_TYPES) + 2 + _BOND_STEREOS + 1

#: One call an atom or bond of each property, in the order of a kind.
_OF_ATOM: tuple[Callable[[Atom], float], ...] = (
    Atom.GetAtomicNum,
    Atom.GetTotalDegree,
    Atom.GetFormalCharge,
    Atom.GetChiralTag,
    Atom.GetTotalNumHs,
    Atom.GetHybridization,
    Atom.GetIsAromatic,
    Atom.GetMass,
)
_OF_BOND: tuple[Callable[[Bond], float], ...] = (
    Bond.GetBondType,
    Bond.GetIsConjugated,
    Bond.IsInRing,
    Bond.GetStereo,
)


@dataclass(frozen=True)
class Graphs:
    """M molecules with A atoms and B bonds between them.

    atom_kinds: features (kinds, 72). bond_kinds: features (kinds, 14). atoms: each atom's kind
    (A,). bonds: each bond's kind (B,). ends: the two atoms of each bond (B, 2). first: (M + 1,),
    molecule m has the atoms `first[m]` to `first[m + 1]`.
    """

    atom_kinds: Floats
    bond_kinds: Floats
    atoms: Ints
    bonds: Ints
    ends: Ints
    first: Ints


def featurise(mols: Sequence[Mol]) -> Graphs:
    """The molecules' graph. They are sanitised, and each has an atom."""
    atom_kinds: dict[tuple[float, ...], int] = defaultdict(lambda: len(atom_kinds))
    bond_kinds: dict[tuple[float, ...], int] = defaultdict(lambda: len(bond_kinds))
    atoms: list[int] = []
    bonds: list[int] = []
    begins: list[int] = []
    finishes: list[int] = []
    bonded: list[int] = []
    first = [0]
    for mol in mols:
        # `GetAtoms` and `GetBonds` go through Python for each of them: this is far faster.
        of_mol = [*map(mol.GetAtomWithIdx, range(mol.GetNumAtoms()))]
        keys = zip(*(map(get, of_mol) for get in _OF_ATOM), strict=True)
        atoms += [atom_kinds[key] for key in keys]
        first.append(len(atoms))
        between = [*map(mol.GetBondWithIdx, range(mol.GetNumBonds()))]
        bonded.append(len(between))
        keys = zip(*(map(get, between) for get in _OF_BOND), strict=True)
        bonds += [bond_kinds[key] for key in keys]
        begins += map(Bond.GetBeginAtomIdx, between)
        finishes += map(Bond.GetEndAtomIdx, between)
    ends = np.array((begins, finishes), np.int64).T
    ends += np.repeat(np.array(first[:-1], np.int64), bonded)[:, None]
    return Graphs(
        atom_kinds=np.array([_atom_features(key) for key in atom_kinds], np.float32),
        bond_kinds=np.array([_bond_features(key) for key in bond_kinds], np.float32).reshape(
            -1, BOND_FEATURES
        ),
        atoms=np.array(atoms, np.int64),
        bonds=np.array(bonds, np.int64),
        ends=ends,
        first=np.array(first, np.int64),
    )


def _atom_features(key: tuple[float, ...]) -> Floats:
    row = np.zeros(ATOM_FEATURES, np.float32)
    starts = accumulate((len(group) + 1 for group in _ATOM_GROUPS), initial=0)
    for start, group, value in zip(starts, _ATOM_GROUPS, key, strict=False):
        row[start + _place(group, value)] = 1
    aromatic, mass = key[-2:]
    row[-2:] = aromatic, 0.01 * mass
    return row


def _bond_features(key: tuple[float, ...]) -> Floats:
    kind, conjugated, in_ring, stereo = key
    row = np.zeros(BOND_FEATURES, np.float32)
    if kind in _BOND_TYPES:
        row[1 + _BOND_TYPES.index(int(kind))] = 1
    row[5:7] = conjugated, in_ring
    row[7 + _place(tuple(range(_BOND_STEREOS)), stereo)] = 1
    return row


def _place(group: tuple[int, ...], value: float) -> int:
    """Where the value stands in the group, else the place after it."""
    return group.index(int(value)) if value in group else len(group)
