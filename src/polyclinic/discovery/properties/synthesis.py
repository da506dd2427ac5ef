"""Synthetic accessibility: how usual a molecule's fragments are, less what makes it complex.

Ertl and Schuffenhauer 2009, J. Cheminform. 1:8, in the form that RDKit ships under Contrib/SA_Score
(version 1.1), whose table of fragments is read where RDKit has installed it.
"""

import gzip
import math
import pickle
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, RDConfig
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

from polyclinic.core.errors import IntegrityError, Unavailable

#: What a fragment counts that the table does not know.
_UNKNOWN = -4.0
#: The sums of contributions that became 10 and 1.
_WORST, _BEST = -4.0, 2.5
#: RDKit does not type it.
_centres: Any = Chem.FindMolChiralCenters
_FRAGMENTS = rdFingerprintGenerator.GetMorganGenerator(radius=2)


@dataclass(frozen=True)
class Fragments:
    """Contributions of known fragments. numbers: sorted (n,). row: in `scores` (n,)."""

    numbers: NDArray[np.uint32]
    row: NDArray[np.uint16]
    scores: NDArray[np.float64]

    def contributions(self, numbers: NDArray[np.uint32]) -> NDArray[np.float64]:
        """What each fragment counts."""
        places = np.minimum(np.searchsorted(self.numbers, numbers), len(self.numbers) - 1)
        known = self.numbers[places] == numbers
        return np.where(known, self.scores[self.row[places]], _UNKNOWN)


def accessibility(mol: Chem.Mol) -> float:
    """From 1, easy to make, to 10, hard; the molecule has an atom.

    Raises `Unavailable` where this RDKit has no table of fragments, and `IntegrityError` where the
    table is not one.
    """
    found = _FRAGMENTS.GetSparseCountFingerprint(mol).GetNonzeroElements()
    numbers = np.fromiter(found.keys(), np.uint32, len(found))
    counts = np.fromiter(found.values(), np.int64, len(found))
    usual = float(_table().contributions(numbers) @ counts) / int(counts.sum())
    atoms = mol.GetNumAtoms()
    centres = len(_centres(mol, includeUnassigned=True))
    large = any(len(ring) > 8 for ring in mol.GetRingInfo().AtomRings())
    complexity = (
        atoms**1.005
        - atoms
        + math.log10(centres + 1)
        + math.log10(rdMolDescriptors.CalcNumSpiroAtoms(mol) + 1)
        + math.log10(rdMolDescriptors.CalcNumBridgeheadAtoms(mol) + 1)
        + (math.log10(2) if large else 0)
    )
    symmetry = max(math.log(atoms / len(found)), 0) / 2
    score = 11 - (usual - complexity + symmetry - _WORST + 1) / (_BEST - _WORST) * 9
    if score > 8:
        score = 8 + math.log(score - 8)
    return float(min(max(score, 1.0), 10.0))


class _DataOnly(pickle.Unpickler):
    """Reads lists and numbers; runs nothing."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise IntegrityError(f"RDKit's table of fragments asks for {module_name}.{global_name}.")


@cache
def _table() -> Fragments:
    path = Path(RDConfig.RDContribDir) / "SA_Score" / "fpscores.pkl.gz"
    try:
        with gzip.open(path) as file:
            rows = _DataOnly(file).load()
    except OSError:
        raise Unavailable(
            "This RDKit has no table of fragments for synthetic accessibility.",
            where="Contrib/SA_Score/fpscores.pkl.gz",
            remedy="Install RDKit's own wheel.",
        ) from None
    try:
        scores = np.array([row[0] for row in rows], np.float64)
        numbers = np.array([number for row in rows for number in row[1:]], np.uint32)
        row_of = np.repeat(np.arange(len(rows)), [len(row) - 1 for row in rows])
    except (TypeError, ValueError, IndexError, OverflowError):
        raise IntegrityError("RDKit's table of fragments is not one.", where=str(path)) from None
    order = np.argsort(numbers, kind="stable")
    return Fragments(numbers[order], row_of[order].astype(np.uint16), scores)
