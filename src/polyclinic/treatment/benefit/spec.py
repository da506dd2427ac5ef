"""The department's own part of a manifest of benefit."""

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding, Fraction
from polyclinic.treatment.benefit.recipe import Covariate

KIND = "treatment.benefit"


class SpecArm(Frozen):
    """An arm: its coding, and its drugs, by the formulary's name and by code."""

    coding: Coding
    drugs: tuple[str, ...]
    codings: tuple[Coding, ...]


class BenefitSpec(Frozen):
    """means: the outcome if all were given each arm, in training. randomised: as in the data.

    limits: the least and the most that the outcome can be, where there are such.
    knowledge: the version of the safety knowledge at training.
    """

    arms: tuple[SpecArm, ...]
    covariates: tuple[Covariate, ...]
    what: str
    unit: str
    limits: tuple[float, float] | None = None
    coverage: Fraction
    learner: str
    means: tuple[float, ...]
    randomised: bool
    familiarity_alpha: Fraction
    knowledge: str

    @property
    def best(self) -> int:
        """The place of the arm that did best on average in training."""
        return max(range(len(self.means)), key=self.means.__getitem__)
