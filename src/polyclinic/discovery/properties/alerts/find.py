"""Which alerts a molecule has."""

from collections.abc import Sequence
from dataclasses import dataclass

from rdkit import Chem

from polyclinic.discovery.properties.alerts.patterns import QED_ALERTS, Pattern, patterns
from polyclinic.discovery.properties.alerts.prescreen import prescreen


@dataclass(frozen=True)
class Alert:
    """A group that alerts. catalogue: PAINS, Brenk or NIH. atoms: where, by number from 0."""

    catalogue: str
    name: str
    atoms: tuple[int, ...]


@dataclass(frozen=True)
class Alerts:
    """A molecule's alerts, and how many of QED's own it has."""

    found: tuple[Alert, ...]
    of_qed: int


def alerts_of(mols: Sequence[Chem.Mol]) -> list[Alerts]:
    """The alerts of molecules, in order; all at once is far cheaper than one by one.

    They are exactly those of RDKit's catalogues, in the catalogues' order. The molecules are
    sanitised and without explicit hydrogens.
    """
    known = patterns()
    return [
        _of(mol, [each for row in rows.tolist() if (each := known[row]).matches(mol)])
        for mol, rows in zip(mols, prescreen().candidates(mols), strict=True)
    ]


def alerts(mol: Chem.Mol) -> tuple[Alert, ...]:
    """The alerts of one molecule, as `alerts_of`."""
    return alerts_of([mol])[0].found


def qed_alerts(mol: Chem.Mol) -> int:
    """How many of QED's own alerts a molecule has."""
    return alerts_of([mol])[0].of_qed


def _of(mol: Chem.Mol, matched: list[Pattern]) -> Alerts:
    shown = [each for each in matched if each.catalogue != QED_ALERTS]
    return Alerts(
        tuple(Alert(each.catalogue, each.name, each.atoms(mol)) for each in shown),
        len(matched) - len(shown),
    )
