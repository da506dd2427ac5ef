"""The recipe of a model of benefit."""

from typing import Literal

from pydantic import Field, model_validator

from polyclinic.core.frozen import Frozen
from polyclinic.learning.effect.learners import LEARNERS, Learner
from polyclinic.registry.manifest import NAME, CardText


class Arm(Frozen):
    """A treatment arm: how the table writes it, what it is called, and its drugs, by name."""

    value: str
    display: str
    drugs: tuple[str, ...] = Field(min_length=1)


class Covariate(Frozen):
    """A number known before treatment. low, high: what can be, both included.

    values: what the numbers of a code mean, such as {"0": "no", "1": "yes"}.
    """

    name: str
    display: str
    unit: str = ""
    low: float
    high: float
    values: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _rises(self) -> "Covariate":
        if not self.low < self.high:
            raise ValueError(f"{self.name}: low must be below high")
        try:
            [float(code) for code in self.values]
        except ValueError:
            raise ValueError(
                f"{self.name}: the keys of values are the numbers that the table has, such as "
                '{"0": "no", "1": "yes"}'
            ) from None
        return self


class BenefitData(Frozen):
    """A table, CSV or Parquet, a row a patient.

    outcome: a column of which more is better; or time and event (1 where it happened), of which the
    model tells the mean time without the event up to `horizon`. randomised: whether arms were given
    by lot; if not, every figure and answer says that it rests on observational data.
    """

    name: str
    path: str | None = None
    licence: str = "not stated"
    source: str = "not stated"
    arm: str
    arms: tuple[Arm, ...] = Field(min_length=2, max_length=20)
    outcome: str | None = None
    time: str | None = None
    event: str | None = None
    horizon: float | None = Field(default=None, gt=0.0)
    what: str
    unit: str = ""
    covariates: tuple[Covariate, ...] = Field(min_length=1, max_length=200)
    subgroups: tuple[str, ...] = ()
    randomised: bool

    @property
    def limits(self) -> tuple[float, float] | None:
        """The least and the most that the outcome can be: of survival, none and the horizon."""
        return None if self.horizon is None else (0.0, self.horizon)

    @model_validator(mode="after")
    def _has_an_outcome(self) -> "BenefitData":
        survival = (self.time, self.event, self.horizon)
        if (self.outcome is None) == (None in survival) and self.outcome is None:
            raise ValueError("outcome: give it, or time, event and horizon")
        if self.outcome is not None and survival != (None, None, None):
            raise ValueError("outcome: give it, or time, event and horizon; not both")
        names = [covariate.name for covariate in self.covariates]
        if len(set(names)) < len(names) or len({arm.value for arm in self.arms}) < len(self.arms):
            raise ValueError("covariates: a name, or an arm's value, stands there twice")
        if missing := set(self.subgroups) - set(names):
            raise ValueError(f"subgroups: there is no covariate {min(missing)}")
        return self


class BenefitRecipe(Frozen):
    """Data, learner and settings for the five steps; `auto` chooses among `learners`.

    replicates: bootstrap replicates behind the intervals, which are of `coverage`. familiarity: a
    patient whose p-value is not higher is unfamiliar.
    """

    name: str = Field(pattern=NAME)
    kind: Literal["treatment.benefit"]
    licence: str
    seed: int = Field(default=0, ge=0)
    data: BenefitData
    model: Learner | Literal["auto"] = "auto"
    learners: tuple[Learner, ...] = LEARNERS
    folds: int = Field(default=5, ge=2, le=20)
    replicates: int = Field(default=200, ge=20, le=2000)
    coverage: float = Field(default=0.9, gt=0.0, lt=1.0)
    familiarity: float = Field(default=0.01, ge=0.0, lt=1.0)
    card: CardText
