"""What tells the log-odds of a finding from features: trees, a linear model, the prevalence."""

from collections.abc import Mapping
from typing import Protocol

import safetensors.numpy

from polyclinic.diagnosis.records.features import Floats
from polyclinic.diagnosis.records.models.linear import LINEAR_FILE, Doubles, Linear
from polyclinic.diagnosis.records.models.trees import TREES_FILE, Members, Trees

__all__ = ["Doubles", "Linear", "Members", "RecordModel", "Trees", "load_model"]


class RecordModel(Protocol):
    """A trained model of features (n, d), float32, NaN where unknown."""

    def log_odds(self, x: Floats) -> Doubles:
        """The log-odds of the finding (n,), not calibrated."""
        ...

    def contributions(self, x: Floats) -> Doubles:
        """What each feature adds to the log-odds (n, d), against what is usual."""
        ...


def load_model(files: Mapping[str, bytes], features: int) -> RecordModel:
    """The model in the files of a version, whose digests were checked.

    Raises `IntegrityError` where it is not one of so many features.
    """
    trees = [files[name] for name in map(TREES_FILE.format, range(len(files))) if name in files]
    if trees:
        return Members(trees, features)
    return Linear.from_arrays(safetensors.numpy.load(files[LINEAR_FILE]), features)
