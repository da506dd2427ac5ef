"""The profile as it is served: every number with its unit, and where it stands among drugs."""

from collections.abc import Sequence
from typing import NamedTuple

from pydantic import Field
from rdkit import Chem

from polyclinic.core.frozen import Frozen
from polyclinic.discovery.properties.approved import percentiles_of
from polyclinic.discovery.properties.profile import NUMBERS, profile


class _Told(NamedTuple):
    title: str
    unit: str


_TOLD = {
    "molecular_weight": _Told("Molecular weight", "g/mol"),
    "logp": _Told("logP, octanol and water (Crippen)", "log10"),
    "molar_refractivity": _Told("Molar refractivity (Crippen)", "m³/kmol"),
    "tpsa": _Told("Topological polar surface area", "Å²"),
    "hydrogen_bond_acceptors": _Told("Hydrogen bond acceptors", "count"),
    "hydrogen_bond_donors": _Told("Hydrogen bond donors", "count"),
    "rotatable_bonds": _Told("Rotatable bonds", "count"),
    "stereo_centres": _Told("Stereo centres", "count"),
    "heavy_atoms": _Told("Heavy atoms", "count"),
    "rings": _Told("Rings", "count"),
    "aromatic_rings": _Told("Aromatic rings", "count"),
    "fraction_csp3": _Told("Tetrahedral carbons", "fraction"),
    "formal_charge": _Told("Formal charge", "e"),
    "lipinski": _Told("Lipinski's rules kept, of 4", "count"),
    "veber": _Told("Veber's rules kept", "yes (1) or no (0)"),
    "qed": _Told("Drug-likeness (QED)", "0 to 1"),
    "synthetic_accessibility": _Told("Synthetic accessibility", "1 easy to 10 hard"),
    "pains_alerts": _Told("Alerts: PAINS", "count"),
    "brenk_alerts": _Told("Alerts: Brenk", "count"),
    "nih_alerts": _Told("Alerts: NIH", "count"),
}


class PropertyAnswer(Frozen):
    """One number. percentile: the per cent of approved drugs that have a lower one."""

    name: str
    title: str
    value: float
    unit: str
    percentile: float = Field(ge=0, le=100)


class AlertAnswer(Frozen):
    """A structural alert, its catalogue, and the atoms of the molecule that raise it, from 0."""

    catalogue: str
    name: str
    atoms: tuple[int, ...]


class PropertiesAnswer(Frozen):
    """A molecule's profile, without any trained model's word."""

    properties: tuple[PropertyAnswer, ...]
    alerts: tuple[AlertAnswer, ...]


def answers(mols: Sequence[Chem.Mol]) -> list[PropertiesAnswer]:
    """The answers about sanitised molecules, in order. Raises as `profile` does."""
    if not mols:
        return []
    profiles = profile(mols)
    standing = percentiles_of([each.numbers for each in profiles])
    return [
        PropertiesAnswer(
            properties=tuple(
                PropertyAnswer(
                    name=name, value=value, percentile=percentile, **_TOLD[name]._asdict()
                )
                for name, value, percentile in zip(NUMBERS, each.numbers, row.tolist(), strict=True)
            ),
            alerts=tuple(AlertAnswer(**alert._asdict()) for alert in each.alerts),
        )
        for each, row in zip(profiles, standing, strict=True)
    ]
