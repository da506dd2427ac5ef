"""All properties of molecules: one, a list, or as a table for a screen."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from polyclinic.discovery.admet.approved import percentiles
from polyclinic.discovery.molecules import Molecule
from polyclinic.discovery.properties.alerts import Alert, Alerts, alerts_of
from polyclinic.discovery.properties.approved import quantiles_of
from polyclinic.discovery.properties.catalogue import NAMES, QUICK
from polyclinic.discovery.properties.descriptors import Descriptors
from polyclinic.discovery.properties.likeness import lipinski_broken, qed, veber_broken
from polyclinic.discovery.properties.synthesis import accessibility

Floats = NDArray[np.float64]

_CATALOGUES = {"pains": "PAINS", "brenk": "Brenk", "nih": "NIH"}


@dataclass(frozen=True)
class Properties:
    """What is known of a molecule by its structure.

    values, percentiles: by the names of `catalogue()`; the percentile is the per cent of approved
    drugs with a lower value, of equal ones half. broken: rules of Lipinski and Veber, in words.
    """

    values: Mapping[str, float]
    percentiles: Mapping[str, float]
    alerts: tuple[Alert, ...]
    broken: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """m molecules in p properties. values (m, p). alerts, broken: as in `Properties`, by row."""

    names: tuple[str, ...]
    values: Floats
    alerts: tuple[tuple[Alert, ...], ...]
    broken: tuple[tuple[str, ...], ...]

    def percentiles(self) -> Floats:
        """Where the values stand among approved drugs, 0 to 100 (m, p)."""
        return percentiles(quantiles_of(self.names), self.values)


def properties(molecule: Molecule) -> Properties:
    """All properties of a molecule."""
    return describe([molecule])[0]


def describe(molecules: Sequence[Molecule], *, quick: bool = False) -> list[Properties]:
    """The properties of molecules, in order. quick: as in `measure`."""
    table = measure([each.mol for each in molecules], quick=quick)
    standing = table.percentiles()
    return [
        Properties(
            dict(zip(table.names, values.tolist(), strict=True)),
            dict(zip(table.names, places.tolist(), strict=True)),
            own,
            broken,
        )
        for values, places, own, broken in zip(
            table.values, standing, table.alerts, table.broken, strict=True
        )
    ]


def measure(mols: Sequence[Chem.Mol], *, quick: bool = False) -> Table:
    """The properties of molecules that are sanitised, without explicit hydrogens, and not empty.

    quick: only those that are cheap; neither alerts, nor QED, nor synthetic accessibility.
    """
    rows, broken = [], []
    found = [None] * len(mols) if quick else alerts_of(mols)
    for mol, own in zip(mols, found, strict=True):
        values, rules = _measured(mol, own)
        rows.append(values)
        broken.append(rules)
    names = QUICK if quick else NAMES
    return Table(
        names,
        np.array([[row[name] for name in names] for row in rows], np.float64).reshape(
            -1, len(names)
        ),
        tuple(() if each is None else each.found for each in found),
        tuple(broken),
    )


def _measured(mol: Chem.Mol, own: Alerts | None) -> tuple[dict[str, float], tuple[str, ...]]:
    described = Descriptors.of(mol)
    lipinski, veber = lipinski_broken(described), veber_broken(described)
    values = asdict(described) | {"lipinski": 4 - len(lipinski), "veber": 2 - len(veber)}
    if own is not None:
        named = [each.catalogue for each in own.found]
        values |= {name: named.count(catalogue) for name, catalogue in _CATALOGUES.items()}
        values["qed"] = qed(mol, described, own.of_qed)
        values["synthesis"] = accessibility(mol)
    return values, lipinski + veber
