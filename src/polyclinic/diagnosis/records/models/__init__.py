"""What makes logits of features: trees, a linear model, the prevalence, a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import safetensors.numpy

from polyclinic.diagnosis.records.features import Floats, Rows
from polyclinic.diagnosis.records.models.linear import LINEAR_FILE, Doubles, Linear
from polyclinic.diagnosis.records.models.network import NETWORK_FILE, Network
from polyclinic.learning.serve.trees import TREES_FILE, Forest, Trees

__all__ = ["Additive", "Forest", "Linear", "RecordModel", "Trees", "load_model"]


class RecordModel(Protocol):
    """A trained model of features (n, d), float32, NaN where unknown."""

    @property
    def method(self) -> str:
        """How its answers are explained (`Explanation.method`)."""
        ...

    def logits(self, x: Floats) -> Doubles:
        """The logits of k labels (n, k), not calibrated."""
        ...

    def contributions(self, x: Floats, label: int, groups: Sequence[Rows]) -> Doubles:
        """What each of g groups of features adds to the logit of a label (n, g)."""
        ...


class _Scores(Protocol):
    """A model whose scores are sums of what its features add."""

    def scores(self, x: Floats) -> Doubles:
        """Of features (n, d) the scores (n, c)."""
        ...

    def contributions(self, x: Floats) -> Doubles:
        """What each feature adds to them (n, c, d)."""
        ...


@dataclass(frozen=True)
class Additive:
    """A model of scores as one of logits.

    A lone score is the log-odds of the second of two labels. Several are a logit of each label: of
    labels that exclude each other, what counts is what a feature adds beyond what it adds to all.
    """

    model: _Scores
    method: str
    exclusive: bool

    def logits(self, x: Floats) -> Doubles:
        """The logits of k labels (n, k)."""
        scores = self.model.scores(x)
        if self.exclusive and scores.shape[1] == 1:
            return np.concatenate([np.zeros_like(scores), scores], axis=1)
        return scores

    def contributions(self, x: Floats, label: int, groups: Sequence[Rows]) -> Doubles:
        """What each group of features adds to the logit of a label (n, g)."""
        each = self.model.contributions(x)
        if not self.exclusive:
            added = each[:, label]
        elif each.shape[1] == 1:
            added = each[:, 0] if label == 1 else -each[:, 0]
        else:
            added = each[:, label] - each.mean(axis=1)
        starts = np.cumsum([0, *(len(group) for group in groups[:-1])])
        return np.asarray(np.add.reduceat(added[:, np.concatenate(groups)], starts, axis=1))


def load_model(
    files: Mapping[str, bytes], features: int, labels: int, *, exclusive: bool
) -> RecordModel:
    """The model in the files of a version, whose digests were checked.

    Raises `IntegrityError` where it is not one of so many features and labels.
    """
    if NETWORK_FILE in files:
        return Network(files[NETWORK_FILE], labels, exclusive=exclusive)
    trees = [files[name] for name in map(TREES_FILE.format, range(len(files))) if name in files]
    if trees:
        forest = Forest(trees, features, 1 if exclusive else labels)
        return Additive(forest, "tree-shap", exclusive)
    linear = Linear.from_arrays(safetensors.numpy.load(files[LINEAR_FILE]), features)
    return Additive(linear, "weights", exclusive)
