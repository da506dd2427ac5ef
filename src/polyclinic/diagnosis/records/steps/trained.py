"""What training gives, whatever the model; and how much each example counts in it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.records import AFTER, HOURS
from polyclinic.learning.labels import multi_label
from polyclinic.learning.prepare.dataset import Part


@dataclass(frozen=True)
class Trained:
    """A fitted model as the files that serve it, and figures of its training."""

    files: dict[str, bytes]
    figures: dict[str, float]

    @property
    def validation_loss(self) -> float:
        """The lowest mean loss on the validation part, of several members their mean."""
        return self.figures["validation_loss"]


def weights(recipe: RecordRecipe, part: Part) -> NDArray[np.float64]:
    """How much each example of a part counts (n,)."""
    hours = part.subgroups.get(HOURS)
    if hours is None:
        return np.ones(len(part))
    return np.where(hours == AFTER, recipe.after_onset, 1.0)


def questions(part: Part) -> list[NDArray[np.int64]]:
    """What is asked of a part: which label is true; or of each label whether it is (n,) each."""
    if multi_label(part.y):
        return [column.astype(np.int64) for column in part.y.T]
    return [part.y.astype(np.int64)]
