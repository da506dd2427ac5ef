"""The recipe of a model of scores."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from polyclinic.core.frozen import Frozen
from polyclinic.learning.recommend.ratings.knn import KnnSettings
from polyclinic.learning.recommend.ratings.svd import SvdSettings
from polyclinic.learning.recommend.ratings.svdpp import SvdppSettings
from polyclinic.registry.manifest import NAME, CardText


class _Data(Frozen):
    """Which data. what: of what a score tells; least: a treatment with fewer scores is left out."""

    name: str
    path: str | None = None
    licence: str = "not stated"
    source: str = "not stated"
    what: str
    least: int = Field(default=10, ge=2)
    simulated: bool = False


class TableData(_Data):
    """A table, CSV or Parquet, a row a score: its columns, and the scale's ends.

    Of several scores of one patient and treatment the latest by `time` counts, else the last row.
    """

    layout: Literal["table"]
    patient: str = "patient"
    treatment: str = "treatment"
    score: str = "score"
    time: str | None = None
    low: float
    high: float

    @model_validator(mode="after")
    def _rises(self) -> "TableData":
        if not self.low < self.high:
            raise ValueError("low must be below high")
        return self


class PersistenceData(_Data):
    """An export of past orders, as `treatment.orders` reads it.

    The score of a patient's treatment, from 1 to 5, is 1 + 4 × the share of the patient's later
    visits with orders at which it was ordered again; without a later visit there is none.
    """

    layout: Literal["persistence"]
    export: Literal["fhir", "mimic", "eicu"] = "fhir"

    @property
    def low(self) -> float:
        """Never ordered again."""
        return 1.0

    @property
    def high(self) -> float:
        """Ordered at every later visit."""
        return 5.0


class Mean(Frozen):
    """The treatment's mean, and how far the patient's own scores lie from others': a baseline."""

    name: Literal["mean"] = "mean"


class Svd(Frozen):
    """Biased matrix factorisation."""

    name: Literal["svd"] = "svd"
    settings: SvdSettings = SvdSettings(factors=20)


class Svdpp(Frozen):
    """SVD++, to which having a treatment scored at all says something."""

    name: Literal["svdpp"] = "svdpp"
    settings: SvdppSettings = SvdppSettings(factors=20)


class Knn(Frozen):
    """Neighbours with baselines. It keeps rows of patients: compared, and never served."""

    name: Literal["knn"] = "knn"
    settings: KnnSettings = KnnSettings()


OneModel = Annotated[Mean | Svd | Svdpp | Knn, Field(discriminator="name")]
CANDIDATES: tuple[OneModel, ...] = (Mean(), Svd(), Svdpp(), Knn())


class ScoresRecipe(Frozen):
    """Data, model and settings for the five steps; without a `model` the candidates compete.

    coverage: of the interval of an expected score.
    """

    name: str = Field(pattern=NAME)
    kind: Literal["treatment.scores"]
    licence: str
    seed: int = Field(default=0, ge=0)
    data: Annotated[TableData | PersistenceData, Field(discriminator="layout")]
    model: OneModel | None = None
    candidates: tuple[OneModel, ...] = Field(default=CANDIDATES, min_length=1)
    coverage: float = Field(default=0.9, gt=0.0, lt=1.0)
    card: CardText

    @model_validator(mode="after")
    def _serves(self) -> "ScoresRecipe":
        tried = (self.model,) if self.model else self.candidates
        if all(isinstance(each, Knn) for each in tried):
            raise ValueError("model: knn keeps rows of patients, and is never served")
        return self
