"""The department's own part of a manifest of scores."""

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding, Fraction
from polyclinic.treatment.scores.recipe import PersistenceData, TableData

KIND = "treatment.scores"


class SpecTreatment(Frozen):
    """A treatment that is scored: its key (`scored.Treatment`), and its coding."""

    drug: str
    coding: Coding


class ScoresSpec(Frozen):
    """width: half of the interval of an expected score, which is of `coverage`; cold_width: of a
    patient without a score. persistence: whether a chart's own orders give scores. knowledge: the
    version of the safety knowledge at training.
    """

    treatments: tuple[SpecTreatment, ...]
    low: float
    high: float
    what: str
    model: str
    coverage: Fraction
    width: float
    cold_width: float
    persistence: bool
    simulated: bool
    knowledge: str


def is_persistence(data: TableData | PersistenceData) -> bool:
    """Whether scores are derived from orders."""
    return isinstance(data, PersistenceData)
