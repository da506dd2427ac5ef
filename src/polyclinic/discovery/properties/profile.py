"""The property profile of molecules: descriptors, drug-likeness, alerts and synthesis."""

from collections.abc import Sequence
from typing import NamedTuple

from rdkit import Chem

from polyclinic.core.errors import InvalidInput
from polyclinic.discovery.properties.alerts.patterns import (
    CATALOGUES,
    QED_ALERTS,
    Pattern,
    patterns,
)
from polyclinic.discovery.properties.alerts.prescreen import prescreen
from polyclinic.discovery.properties.descriptors import Descriptors, describe
from polyclinic.discovery.properties.likeness import lipinski, qed, veber
from polyclinic.discovery.properties.synthesis import synthetic_accessibility

#: The names of a profile's numbers, in order.
NUMBERS = (
    *Descriptors._fields,
    *("lipinski", "veber", "qed", "synthetic_accessibility"),
    *(f"{name.lower()}_alerts" for name in CATALOGUES),
)


class Alert(NamedTuple):
    """A pattern of a catalogue (PAINS, Brenk, NIH) that a molecule has, and on which atoms."""

    catalogue: str
    name: str
    atoms: tuple[int, ...]


class Profile(NamedTuple):
    """A molecule's properties.

    lipinski: rules kept, 0 to 4. veber: whether both are. qed: 0 to 1. synthetic_accessibility: 1
    easy to 10 hard.
    """

    descriptors: Descriptors
    lipinski: int
    veber: bool
    qed: float
    synthetic_accessibility: float
    alerts: tuple[Alert, ...]

    @property
    def numbers(self) -> tuple[float, ...]:
        """All as numbers, in the order of `NUMBERS`."""
        found = [alert.catalogue for alert in self.alerts]
        return (
            *self.descriptors,
            *(self.lipinski, float(self.veber), self.qed, self.synthetic_accessibility),
            *(found.count(name) for name in CATALOGUES),
        )


def profile(mols: Sequence[Chem.Mol]) -> list[Profile]:
    """Profiles of sanitised molecules, in order. Raises `InvalidInput` where one has no atoms."""
    for row, mol in enumerate(mols):
        if mol.GetNumAtoms() == 0:
            raise InvalidInput("The molecule has no atoms.", where=f"molecules[{row}]")
    bare = [_without_hydrogens(mol) for mol in mols]
    return [
        _profile(mol, plain, found)
        for mol, plain, found in zip(mols, bare, matched(bare), strict=True)
    ]


def matched(mols: Sequence[Chem.Mol]) -> list[list[Pattern]]:
    """The patterns that molecules have; those that cannot match are not tried."""
    every = patterns()
    return [
        [every[at] for at in places.tolist() if every[at].matches(mol)]
        for mol, places in zip(mols, prescreen().candidates(mols), strict=True)
    ]


def _profile(mol: Chem.Mol, bare: Chem.Mol, found: list[Pattern]) -> Profile:
    told = describe(bare)
    own = sum(pattern.catalogue == QED_ALERTS for pattern in found)
    return Profile(
        descriptors=told,
        lipinski=lipinski(told),
        veber=veber(told),
        qed=qed(bare, told, own),
        synthetic_accessibility=synthetic_accessibility(bare),
        alerts=tuple(
            Alert(pattern.catalogue, pattern.name, pattern.atoms(mol))
            for pattern in found
            if pattern.catalogue != QED_ALERTS
        ),
    )


def _without_hydrogens(mol: Chem.Mol) -> Chem.Mol:
    """The molecule itself, where it has no hydrogens as atoms; patterns and QED want none."""
    return mol if mol.GetNumHeavyAtoms() == mol.GetNumAtoms() else Chem.RemoveHs(mol)
