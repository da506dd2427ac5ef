"""Gradient-boosted trees (Ke et al. 2017) over features of pairs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyclinic.discovery.affinity.models.features import features, width
from polyclinic.discovery.affinity.models.known import Asked, Known, Rows
from polyclinic.discovery.affinity.novelty import NOVELTIES, Novelty
from polyclinic.discovery.affinity.recipe import TreesSettings
from polyclinic.learning.serve.trees import Trees

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Boosted:
    """Trees and the measured pairs that their features need. text: as LightGBM writes them."""

    known: Known
    text: bytes
    trees: Trees

    def predict(self, asked: Asked) -> Floats:
        """Affinities (n,)."""
        nothing = np.zeros(len(asked.drug), np.bool_)
        x = features(self.known, asked, nothing, nothing, trained=False)
        return self.trees.scores(x)[:, 0]

    @classmethod
    def from_text(cls, text: bytes, known: Known) -> "Boosted":
        """From stored trees. Raises `IntegrityError` where they are none."""
        return cls(known, text, Trees(text, width(known)))


def fit_trees(settings: TreesSettings, known: Known, seed: int) -> Boosted:
    """Of measured pairs: each as it is, and half of them once more as if new in some way."""
    rng = np.random.default_rng(seed)
    itself = known.itself()
    parts, rows = [], []
    for novelty in NOVELTIES:
        chosen = shown(len(known.affinity), novelty, rng)
        hidden = hide(len(known.affinity), novelty)
        parts.append(features(known, itself, *hidden, trained=True)[chosen])
        rows.append(chosen)
    y = known.affinity[np.concatenate(rows)]
    return Boosted.from_text(grown(settings, np.concatenate(parts), y, seed), known)


def shown(n: int, novelty: Novelty, rng: np.random.Generator) -> Rows:
    """Which of n pairs trees see as if new in this way: all as they are, a sixth in any other."""
    if novelty == "neither":
        return np.arange(n)
    return np.sort(rng.permutation(n)[: max(1, n // 6)])


def hide(n: int, novelty: Novelty) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of n pairs, whether what is known of the drug and of the protein is hidden."""
    drug, protein = novelty in {"drug", "both"}, novelty in {"protein", "both"}
    return np.full(n, drug), np.full(n, protein)


def grown(settings: TreesSettings, x: NDArray[np.float32], y: Floats, seed: int) -> bytes:
    """Trees that foretell y (n,) from features (n, d), as LightGBM writes them."""
    import lightgbm

    parameters = {
        "objective": "regression",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.min_rows,
        "feature_fraction": settings.feature_share,
        "bagging_fraction": settings.row_share,
        "bagging_freq": 1,
        "lambda_l2": settings.l2,
        "max_bin": settings.bins,
        "num_threads": settings.threads,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "verbose": -1,
    }
    data = lightgbm.Dataset(x, y, params=parameters)
    text: str = lightgbm.train(parameters, data, settings.rounds).model_to_string()
    return text.encode()
