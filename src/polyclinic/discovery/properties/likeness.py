"""How like a drug: the rules of Lipinski and of Veber, and QED."""

from typing import Any

from rdkit import Chem
from rdkit.Chem import QED

from polyclinic.discovery.properties.descriptors import Descriptors

#: RDKit does not type it.
_QED: Any = QED


def lipinski_broken(of: Descriptors) -> tuple[str, ...]:
    """The rules of five that are broken (Lipinski et al. 1997), acceptors as RDKit counts them."""
    return _broken(
        (of.molecular_weight, 500, "Lipinski: molecular weight over 500 g/mol"),
        (of.logp, 5, "Lipinski: logP over 5"),
        (of.hydrogen_bond_donors, 5, "Lipinski: more than 5 hydrogen bond donors"),
        (of.hydrogen_bond_acceptors, 10, "Lipinski: more than 10 hydrogen bond acceptors"),
    )


def veber_broken(of: Descriptors) -> tuple[str, ...]:
    """The rules of oral bioavailability that are broken (Veber et al. 2002)."""
    return _broken(
        (of.rotatable_bonds, 10, "Veber: more than 10 rotatable bonds"),
        (of.tpsa, 140, "Veber: polar surface over 140 Å²"),
    )


def qed(mol: Chem.Mol, of: Descriptors, alerts: int) -> float:
    """QED as `rdkit.Chem.QED` tells it, from what is known already.

    mol: without explicit hydrogens. alerts: how many of QED's own it has.
    """
    parts = _QED.QEDproperties(
        MW=of.molecular_weight,
        ALOGP=of.logp,
        HBA=sum(len(mol.GetSubstructMatches(each)) for each in _QED.Acceptors),
        HBD=of.hydrogen_bond_donors,
        PSA=of.tpsa,
        ROTB=of.rotatable_bonds,
        AROM=_aromatic_rings(mol) if of.rings else 0,
        ALERTS=alerts,
    )
    return float(_QED.qed(mol, qedProperties=parts))


def _aromatic_rings(mol: Chem.Mol) -> int:
    """Rings that are left without the aliphatic ones, which QED counts as aromatic."""
    return len(Chem.GetSSSR(Chem.DeleteSubstructs(Chem.Mol(mol), _QED.AliphaticRings)))


def _broken(*rules: tuple[float, float, str]) -> tuple[str, ...]:
    return tuple(words for value, most, words in rules if value > most)
