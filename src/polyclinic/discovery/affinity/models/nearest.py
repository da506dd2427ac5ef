"""Familiarity: how near to training a drug and a protein are, in p-values.

How similar a new one is to the nearest known one, among how similar known ones are to their nearest
other (conformal anomaly detection: Laxhammar and Falkman 2015).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyclinic.discovery.affinity.models.known import Asked, Known

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Nearest:
    """Of each known drug and of each known protein the similarity to its nearest other, rising."""

    drug: Floats
    protein: Floats

    @classmethod
    def of(cls, known: Known) -> "Nearest":
        """Among what is known."""
        return cls(_to_others(known.drug_like), _to_others(known.protein_like))

    def p_values(self, asked: Asked) -> Floats:
        """How usual each pair (n,) is: twice the lesser of drug's and protein's (Bonferroni)."""
        drug = _p_values(self.drug, asked.drug_like)[asked.drug]
        protein = _p_values(self.protein, asked.protein_like)[asked.protein]
        return np.asarray(np.minimum(1.0, 2.0 * np.minimum(drug, protein)))


def _to_others(like: Floats) -> Floats:
    others = like.copy()
    np.fill_diagonal(others, 0.0)
    return np.sort(others.max(axis=1))


def _p_values(usual: Floats, like: Floats) -> Floats:
    no_nearer = np.searchsorted(usual, like.max(axis=1) + 1e-9, side="right")
    return np.asarray((1.0 + no_nearer) / (len(usual) + 1.0))
