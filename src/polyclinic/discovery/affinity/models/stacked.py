"""Kernel regression, and trees that learn what it is off by (stacking: Wolpert 1992).

The trees see of each pair what a kernel model that had not seen it foretold, in four ways: with
drug and protein known, with the drug new, with the protein new, and with both; so that they learn
how far to trust it in each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyclinic.discovery.affinity.models.features import features, width
from polyclinic.discovery.affinity.models.kernel import Kernel, fit_kernel
from polyclinic.discovery.affinity.models.known import Asked, Known
from polyclinic.discovery.affinity.models.trees import grown, hide, shown
from polyclinic.discovery.affinity.novelty import NOVELTIES, Novelty, held_out
from polyclinic.discovery.affinity.recipe import KernelSettings, TreesSettings
from polyclinic.learning.serve.trees import Trees

Floats = NDArray[np.float64]

FOLDS: dict[Novelty, int] = {"neither": 5, "drug": 5, "protein": 5, "both": 3}


@dataclass(frozen=True)
class Stacked:
    """The kernel of all measured pairs, and the trees that correct it."""

    known: Known
    kernel: Kernel
    text: bytes
    trees: Trees

    def predict(self, asked: Asked) -> Floats:
        """Affinities (n,)."""
        foretold = self.kernel.predict(asked)
        nothing = np.zeros(len(foretold), np.bool_)
        x = features(self.known, asked, nothing, nothing, trained=False)
        return foretold + self.trees.scores(_joined(x, foretold))[:, 0]

    @classmethod
    def from_parts(cls, kernel: Kernel, text: bytes, known: Known) -> "Stacked":
        """From stored parts. Raises `IntegrityError` where the trees are none."""
        return cls(known, kernel, text, Trees(text, width(known) + 1))


def fit_stacked(
    kernel: KernelSettings, correction: TreesSettings, known: Known, seed: int
) -> Stacked:
    """Of measured pairs. Raises `InputTooLarge` as `fit_kernel` does."""
    rng = np.random.default_rng(seed)
    n, itself = len(known.affinity), known.itself()
    parts, rows, off = [], [], []
    for novelty in NOVELTIES:
        foretold = _elsewhere(kernel, known, novelty, seed)
        chosen = shown(n, novelty, rng)
        chosen = chosen[np.isfinite(foretold[chosen])]
        x = features(known, itself, *hide(n, novelty), trained=True)[chosen]
        parts.append(_joined(x, foretold[chosen]))
        rows.append(chosen)
        off.append(known.affinity[chosen] - foretold[chosen])
    text = grown(correction, np.concatenate(parts), np.concatenate(off), seed)
    return Stacked.from_parts(fit_kernel(kernel, known), text, known)


def _elsewhere(settings: KernelSettings, known: Known, novelty: Novelty, seed: int) -> Floats:
    """What kernel models that had not seen it foretell of each pair (n,)."""
    foretold = np.full(len(known.affinity), np.nan)
    folds = FOLDS[novelty]
    for fold in held_out(novelty, known.drug, known.protein, folds, seed, crossings=folds):
        model = fit_kernel(settings, known.part(fold.learnt))
        foretold[fold.held] = model.predict(known.asked(fold.held, fold.learnt))
    return foretold


def _joined(x: NDArray[np.float32], foretold: Floats) -> NDArray[np.float32]:
    return np.concatenate([x, foretold[:, None].astype(np.float32)], axis=1)
