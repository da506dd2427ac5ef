"""The department's own part of a manifest of affinity."""

from typing import Literal

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Fraction
from polyclinic.discovery.affinity.intervals import Interval
from polyclinic.discovery.affinity.novelty import Novelty
from polyclinic.discovery.affinity.recipe import KernelSettings, ModelName

KIND = "discovery.affinity"
#: The drugs and proteins of training, and what was measured of their pairs.
PAIRS_FILE, LIBRARY_FILE = "pairs.safetensors", "library.json"


class AffinitySpec(Frozen):
    """low, high: the range of what was measured, which predictions are kept within.

    bounded: the ends of it where so many measurements lie that they mean `or beyond`. intervals:
    by what of a pair is new; one that could not be fitted is missing.
    """

    model: ModelName
    what: str
    unit: Literal["pKd"] = "pKd"
    kernel: KernelSettings
    low: float
    high: float
    bounded: tuple[Literal["weaker", "stronger"], ...]
    coverage: Fraction
    intervals: dict[Novelty, Interval]
    familiarity_alpha: Fraction
