"""Properties that RDKit computes at once."""

from dataclasses import dataclass

from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

_STRICT = rdMolDescriptors.NumRotatableBondsOptions.Strict


@dataclass(frozen=True)
class Descriptors:
    """The quick properties of a molecule, by the names of `properties.csv`."""

    molecular_weight: float
    heavy_atoms: int
    logp: float
    molar_refractivity: float
    tpsa: float
    formal_charge: int
    hydrogen_bond_donors: int
    hydrogen_bond_acceptors: int
    rotatable_bonds: int
    rings: int
    aromatic_rings: int
    fraction_sp3: float
    stereo_centers: int

    @classmethod
    def of(cls, mol: Chem.Mol) -> "Descriptors":
        """Those of a sanitised molecule."""
        logp, refractivity = rdMolDescriptors.CalcCrippenDescriptors(mol)
        return cls(
            molecular_weight=rdMolDescriptors._CalcMolWt(mol),
            heavy_atoms=mol.GetNumHeavyAtoms(),
            logp=logp,
            molar_refractivity=refractivity,
            tpsa=rdMolDescriptors.CalcTPSA(mol),
            formal_charge=Chem.GetFormalCharge(mol),
            hydrogen_bond_donors=rdMolDescriptors.CalcNumHBD(mol),
            hydrogen_bond_acceptors=rdMolDescriptors.CalcNumHBA(mol),
            rotatable_bonds=rdMolDescriptors.CalcNumRotatableBonds(mol, _STRICT),
            rings=rdMolDescriptors.CalcNumRings(mol),
            aromatic_rings=rdMolDescriptors.CalcNumAromaticRings(mol),
            fraction_sp3=rdMolDescriptors.CalcFractionCSP3(mol),
            stereo_centers=rdMolDescriptors.CalcNumAtomStereoCenters(mol),
        )
