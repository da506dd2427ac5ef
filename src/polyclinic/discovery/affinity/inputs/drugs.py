"""Molecules: read with care, and in numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, DataStructs
from rdkit.Chem import Descriptors, rdFingerprintGenerator

from polyclinic.core.errors import InvalidInput
from polyclinic.discovery.molecules.limits import check_size
from polyclinic.discovery.molecules.molecule import Molecule
from polyclinic.discovery.molecules.parse import parse

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

#: Paths of larger ones take long to count.
MOST_ATOMS = 250
#: Folded counts of circular substructures beside the descriptors.
FOLDED = 256

_CIRCULAR = rdFingerprintGenerator.GetMorganGenerator(radius=2)
_BY_FEATURE = rdFingerprintGenerator.GetMorganGenerator(
    radius=2, atomInvariantsGenerator=rdFingerprintGenerator.GetMorganFeatureAtomInvGen()
)
_PATHS = rdFingerprintGenerator.GetRDKitFPGenerator(fpSize=4096)
_FOLDING = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=FOLDED)

#: By RDKit's names.
DESCRIPTORS = (
    *("MolWt", "MolLogP", "MolMR", "TPSA", "LabuteASA", "FractionCSP3", "HeavyAtomCount"),
    *("NumHDonors", "NumHAcceptors", "NumRotatableBonds", "NumAromaticRings", "NumAliphaticRings"),
    *("NumHeteroatoms", "NumAmideBonds", "NumHeterocycles", "NumSpiroAtoms", "NumBridgeheadAtoms"),
    *("Chi0v", "Chi1v", "Kappa1", "Kappa2", "Kappa3"),
)
_DESCRIPTORS: tuple[Callable[[Chem.Mol], float], ...] = tuple(
    getattr(Descriptors, name) for name in DESCRIPTORS
)
FEATURES = len(_DESCRIPTORS) + FOLDED


def read_drug(text: str, where: str = "smiles") -> Molecule:
    """The molecule, without salts, neutral, of canonical SMILES.

    Raises `InvalidInput` where the text is no molecule, `InputTooLarge` where it is too long, or
    has more than 250 atoms, at once: no costly step comes before the limits.
    """
    try:
        molecule = parse(text)
        check_size("atoms", molecule.mol.GetNumAtoms(), MOST_ATOMS)
    except InvalidInput as error:
        raise type(error)(error.detail, where=where, remedy=error.remedy) from None
    return molecule


@dataclass(frozen=True)
class Fingerprints:
    """n molecules, by canonical SMILES, and how alike they are to others."""

    smiles: tuple[str, ...]

    def similarity(self, others: "Fingerprints") -> Floats:
        """Similarities (n, m) from 0 to 1: the mean Tanimoto of three kinds of fingerprint.

        Counts of circular substructures by atom and by feature (Rogers and Hahn 2010), and paths.
        """
        found = np.zeros((len(self.smiles), len(others.smiles)))
        for own, theirs in zip(self._kinds, others._kinds, strict=True):
            for row, fingerprint in enumerate(own):
                found[row] += DataStructs.BulkTanimotoSimilarity(fingerprint, theirs)
        return found / len(self._kinds)

    @cached_property
    def _kinds(self) -> tuple[list[Any], ...]:
        mols = [Chem.MolFromSmiles(smiles) for smiles in self.smiles]
        return (
            [_CIRCULAR.GetSparseCountFingerprint(mol) for mol in mols],
            [_BY_FEATURE.GetSparseCountFingerprint(mol) for mol in mols],
            [_PATHS.GetFingerprint(mol) for mol in mols],
        )


def features(smiles: Sequence[str]) -> Singles:
    """Descriptors and folded counts of substructures (n, `FEATURES`)."""
    found = np.zeros((len(smiles), FEATURES), np.float32)
    for row, each in enumerate(smiles):
        mol = Chem.MolFromSmiles(each)
        described = [float(descriptor(mol)) for descriptor in _DESCRIPTORS]
        found[row, : len(described)] = described
        found[row, len(described) :] = _FOLDING.GetCountFingerprintAsNumPy(mol)
    return np.nan_to_num(found, posinf=0.0, neginf=0.0)
