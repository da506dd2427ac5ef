"""Answers of the original package, recorded once: what every conversion is checked against.

`reference.json` holds 48 molecules, among them salts, ions, isotopes, metals, stereoisomers, single
atoms, macrocycles and some that alert for assay interference, with the answers of `admet-ai` and
the versions that gave them. It was written by `benchmarks/rivals/admet_package.py`.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem


@dataclass(frozen=True)
class Reference:
    """m molecules and what the package tells of them: by endpoint (m,)."""

    smiles: tuple[str, ...]
    answers: dict[str, NDArray[np.float64]]
    versions: dict[str, str]

    @property
    def mols(self) -> list[Chem.Mol]:
        """The molecules, as the package reads them."""
        return [Chem.MolFromSmiles(each) for each in self.smiles]

    def difference(self, told: dict[str, NDArray[np.float64]]) -> float:
        """The greatest absolute difference from answers before bounds, by endpoint (m,)."""
        return max(float(np.abs(told[name] - right).max()) for name, right in self.answers.items())


def reference() -> Reference:
    """What was recorded."""
    content = json.loads(Path(__file__).with_name("reference.json").read_text(encoding="utf-8"))
    return Reference(
        smiles=tuple(content["smiles"]),
        answers={name: np.array(told) for name, told in content["answers"].items()},
        versions=content["versions"],
    )
