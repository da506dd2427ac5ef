"""The dull baseline: what a drug adds on average, and a protein."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyclinic.discovery.affinity.models.known import Asked, Known

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Means:
    """The mean of all, and what each known drug (p,) and protein (q,) has over it."""

    mean: float
    drug: Floats
    protein: Floats

    def predict(self, asked: Asked) -> Floats:
        """Affinities (n,); what is not known adds nothing."""
        drug = np.append(self.drug, 0.0)[asked.known_drug]
        protein = np.append(self.protein, 0.0)[asked.known_protein]
        return np.asarray(self.mean + drug[asked.drug] + protein[asked.protein])

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """To be stored."""
        return {"mean": np.array([self.mean]), "drug": self.drug, "protein": self.protein}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "Means":
        """From stored arrays. Raises `KeyError` where one is missing."""
        doubles = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
        return cls(float(doubles["mean"][0]), doubles["drug"], doubles["protein"])


def fit_means(known: Known) -> Means:
    """Of measured pairs."""
    mean = float(known.affinity.mean())
    over = known.sums - mean * known.counts
    return Means(
        mean,
        over.sum(axis=1) / np.maximum(1, known.counts.sum(axis=1)),
        over.sum(axis=0) / np.maximum(1, known.counts.sum(axis=0)),
    )
