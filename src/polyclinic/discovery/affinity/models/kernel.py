"""Kernel ridge regression over pairs, with profiles of affinity learnt on the way.

The kernel of two pairs is that of their drugs times that of their proteins, so that one product of
three small matrices stands for the kernel matrix of all pairs (KronRLS: Pahikkala et al. 2015,
Brief Bioinform 16:325-337), and conjugate gradients solve for pairs that are not a whole table.
After a first pass every drug has a profile, its affinities to all known proteins, measured or
foretold; a Gaussian kernel of profiles joins that of structures in the next pass, and of proteins
likewise (after van Laarhoven, Nabuurs and Marchiori 2011, Bioinformatics 27:3036-3043, who had
profiles of yes and no). Only pairs that were given to `fit_kernel` are in any profile.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InputTooLarge
from polyclinic.discovery.affinity.models.known import Asked, Known, Rows
from polyclinic.discovery.affinity.recipe import KernelSettings

Floats = NDArray[np.float64]

#: Multiplications a step of conjugate gradients that are still quick.
MOST_WORK = 2e9
STEPS, TOLERANCE = 300, 1e-5


@dataclass(frozen=True)
class Pass:
    """duals: (p, q). Of each pass after the first also profiles (p, q), measured or foretold by
    the pass before, and the mean squared distances of drugs' and of proteins' profiles.
    """

    duals: Floats
    profiles: Floats
    drug_distance: float
    protein_distance: float


@dataclass(frozen=True)
class Kernel:
    """Fitted passes over p drugs and q proteins, and the mean that all of them are off from."""

    settings: KernelSettings
    mean: float
    drug_like: Floats
    protein_like: Floats
    passes: tuple[Pass, ...]

    def predict(self, asked: Asked) -> Floats:
        """Affinities (n,)."""
        s = self.settings
        drugs = _base(asked.drug_like, asked.known_drug, s.drug, s.drug_all, s.drug_own)
        proteins = _base(
            asked.protein_like, asked.known_protein, s.protein, s.protein_all, s.protein_own
        )
        everyone = [np.arange(size) for size in self.passes[0].duals.shape]
        known_drugs = _base(self.drug_like, everyone[0], s.drug, s.drug_all, s.drug_own)
        known_proteins = _base(
            self.protein_like, everyone[1], s.protein, s.protein_all, s.protein_own
        )
        drug, protein, known_drug, known_protein = drugs, proteins, known_drugs, known_proteins
        for before, after in zip(self.passes, self.passes[1:], strict=False):
            rows = self.mean + drug @ before.duals @ known_protein
            columns = self.mean + protein @ before.duals.T @ known_drug
            rows = _where_known(rows, asked.known_drug, after.profiles)
            columns = _where_known(columns, asked.known_protein, after.profiles.T)
            width = s.drug_width * after.drug_distance
            drug = drugs + s.drug_profile * _gaussian(rows, after.profiles, width)
            known_drug = known_drugs + s.drug_profile * _gaussian(
                after.profiles, after.profiles, width
            )
            width = s.protein_width * after.protein_distance
            protein = proteins + s.protein_profile * _gaussian(columns, after.profiles.T, width)
            known_protein = known_proteins + s.protein_profile * _gaussian(
                after.profiles.T, after.profiles.T, width
            )
        weighed = drug @ self.passes[-1].duals
        over = np.einsum("nq,nq->n", weighed[asked.drug], protein[asked.protein])
        return np.asarray(self.mean + over)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """To be stored; similarities are worked out anew from molecules and sequences."""
        found: dict[str, NDArray[np.generic]] = {"mean": np.array([self.mean])}
        for number, each in enumerate(self.passes):
            found[f"duals_{number}"] = each.duals.astype(np.float32)
            if number:
                found[f"profiles_{number}"] = each.profiles.astype(np.float32)
                distances = [each.drug_distance, each.protein_distance]
                found[f"distances_{number}"] = np.array(distances)
        return found

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.generic]], settings: KernelSettings, known: Known
    ) -> "Kernel":
        """From stored arrays. Raises `KeyError` where one is missing."""
        doubles = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
        passes = [Pass(doubles["duals_0"], np.zeros((0, 0)), 1.0, 1.0)]
        for number in range(1, settings.passes + 1):
            distances = doubles[f"distances_{number}"].tolist()
            profiles = doubles[f"profiles_{number}"]
            passes.append(Pass(doubles[f"duals_{number}"], profiles, *distances))
        mean = float(doubles["mean"][0])
        return cls(settings, mean, known.drug_like, known.protein_like, tuple(passes))


def work(known: Known) -> float:
    """Multiplications of one step of conjugate gradients."""
    p, q = known.counts.shape
    return float(p * q * (p + q))


def fit_kernel(settings: KernelSettings, known: Known) -> Kernel:
    """Of measured pairs. Raises `InputTooLarge` of more drugs and proteins than it is for."""
    if work(known) > MOST_WORK:
        p, q = known.counts.shape
        raise InputTooLarge(
            f"{p:,} drugs and {q:,} proteins are too many for kernel regression.",
            where="model",
            remedy="Use trees or network.",
        )
    s, p, q = settings, *known.counts.shape
    drugs = _base(known.drug_like, np.arange(p), s.drug, s.drug_all, s.drug_own)
    proteins = _base(known.protein_like, np.arange(q), s.protein, s.protein_all, s.protein_own)
    mean = float(known.affinity.mean())
    measured = known.counts > 0
    values = known.sums / np.maximum(known.counts, 1)
    away = np.where(measured, values - mean, 0.0)
    noise = np.where(measured, s.noise / np.maximum(known.counts, 1), 1.0)
    duals = _solve(drugs, proteins, away, measured, noise)
    passes = [Pass(duals, np.zeros((0, 0)), 1.0, 1.0)]
    drug, protein = drugs, proteins
    for _ in range(s.passes):
        profiles = np.where(measured, values, mean + drug @ passes[-1].duals @ protein)
        distances = _mean_distance(profiles), _mean_distance(profiles.T)
        drug = drugs + s.drug_profile * _gaussian(profiles, profiles, s.drug_width * distances[0])
        protein = proteins + s.protein_profile * _gaussian(
            profiles.T, profiles.T, s.protein_width * distances[1]
        )
        passes.append(Pass(_solve(drug, protein, away, measured, noise), profiles, *distances))
    return Kernel(s, mean, known.drug_like, known.protein_like, tuple(passes))


def _base(like: Floats, known: Rows, power: float, shared: float, own: float) -> Floats:
    """The kernel (a, p) to known ones: power of likeness, what all share, and identity."""
    kernel = shared + like**power
    rows = np.flatnonzero(known >= 0)
    kernel[rows, known[rows]] += own
    return kernel


def _where_known(foretold: Floats, known: Rows, profiles: Floats) -> Floats:
    return np.where((known >= 0)[:, None], profiles[known], foretold)


def _squared_distances(rows: Floats, others: Floats) -> Floats:
    """Mean squared difference of each row (a, d) from each other (b, d): (a, b)."""
    middle = others.mean(axis=0)
    a, b = rows - middle, others - middle
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squares, 0.0) / rows.shape[1])


def _mean_distance(rows: Floats) -> float:
    return max(float(_squared_distances(rows, rows).mean()), 1e-9)


def _gaussian(rows: Floats, others: Floats, width: float) -> Floats:
    return np.asarray(np.exp(-_squared_distances(rows, others) / width))


def _solve(
    drugs: Floats, proteins: Floats, away: Floats, measured: NDArray[np.bool_], noise: Floats
) -> Floats:
    """Duals (p, q), 0 where nothing was measured, by diagonally scaled conjugate gradients."""
    diagonal = np.outer(np.diag(drugs), np.diag(proteins)) + noise
    duals = np.zeros_like(away)
    left = away.copy()
    scaled = left / diagonal
    direction, size = scaled, float((left * scaled).sum())
    enough = TOLERANCE * float(np.linalg.norm(away))
    for _ in range(STEPS):
        if float(np.linalg.norm(left)) <= enough:
            break
        moved = (drugs @ direction @ proteins + noise * direction) * measured
        step = size / float((direction * moved).sum())
        duals = duals + step * direction
        left = left - step * moved
        scaled = left / diagonal
        previous, size = size, float((left * scaled).sum())
        direction = scaled + size / previous * direction
    return duals
