"""Structures as bits, for training: RDKit is no part of a service."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

BITS = 256
#: A structure of more heavy atoms is left out: a fingerprint's cost grows fast.
LARGEST = 200


def fingerprints(smiles: Sequence[str | None]) -> NDArray[np.float32]:
    """Morgan fingerprints (n, BITS) of radius 2; zeros where there is no structure to read.

    Source: Rogers and Hahn 2010, Extended-connectivity fingerprints, J. Chem. Inf. Model. 50:742.
    """
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
    bits = np.zeros((len(smiles), BITS), np.float32)
    with rdBase.BlockLogs():
        for row, structure in enumerate(smiles):
            molecule = Chem.MolFromSmiles(structure) if structure else None
            if molecule is not None and molecule.GetNumHeavyAtoms() <= LARGEST:
                bits[row] = generator.GetFingerprintAsNumPy(molecule)
    return bits
