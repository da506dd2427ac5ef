"""The recipe of a model of patient records."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding, Fraction
from polyclinic.diagnosis.labels import Label
from polyclinic.diagnosis.records.features import STAY
from polyclinic.diagnosis.records.variables import Variable
from polyclinic.diagnosis.trust import TrustSettings
from polyclinic.registry.manifest import NAME, CardText


class RecordLabel(Label):
    """A label, and how the data writes it (`value`; the code)."""

    value: str | None = None

    @property
    def written(self) -> str:
        """How the data writes it."""
        return self.code if self.value is None else self.value


class Onset(Frozen):
    """The label is true from `before` hours before an onset to `after` hours after it."""

    before: int = Field(ge=0)
    after: int = Field(ge=0)


class _Data(Frozen):
    """Which data: `path` (or `--data`), and its two labels, of which one is the finding."""

    name: str
    path: str | None = None
    licence: str = "not stated"
    source: str = "not stated"
    labels: tuple[RecordLabel, RecordLabel]

    @property
    def codings(self) -> tuple[Coding, ...]:
        """The labels."""
        return tuple(label.coding() for label in self.labels)

    @property
    def findings(self) -> tuple[str, ...]:
        """The code of the label that is a finding."""
        return tuple(label.code for label in self.labels if label.finding)

    @model_validator(mode="after")
    def _has_one_finding_last(self) -> "_Data":
        if [label.finding for label in self.labels] != [False, True]:
            raise ValueError("labels: the first is no finding (`finding: false`), the second is")
        return self


class TableData(_Data):
    """A table, CSV or Parquet, with its column dictionary (`sources.table`).

    columns: in the table's order where it has no header. header: whether the first line of a CSV
    names the columns; else it is left out. decided: the column of the time of the decision, for
    columns that say when they were measured.
    """

    layout: Literal["table"]
    columns: tuple[Variable, ...] = Field(min_length=2)
    header: bool = True
    decided: str | None = None

    @model_validator(mode="after")
    def _has_a_label_and_features(self) -> "TableData":
        names = [column.name for column in self.columns]
        roles = [column.role for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError("columns: a name stands there twice")
        if roles.count("label") != 1 or roles.count("patient") > 1 or roles.count("part") > 1:
            raise ValueError("columns: one must be the label, at most one the patient or the part")
        if "feature" not in roles:
            raise ValueError("columns: none is a feature")
        timed = {column.measured for column in self.columns if column.measured}
        if timed and self.decided is None:
            raise ValueError("decided: name the column that says when the decision is made")
        missing = sorted((timed | ({self.decided} if self.decided else set())) - set(names))
        if missing:
            raise ValueError(f"columns: there is no column of times {missing[0]}")
        return self


class HourlyData(_Data):
    """Stays by the hour, in a folder that `clinical.icu` reads.

    decision_hour: the hour at which the label of a stay is asked; None where each hour has a label
    of its own. onset: where labels surround an onset, from which the hours before it are told.
    """

    layout: Literal["hourly"]
    decision_hour: int | None = Field(default=None, ge=1, le=24 * 90)
    onset: Onset | None = None

    @model_validator(mode="after")
    def _has_an_onset_by_the_hour_alone(self) -> "HourlyData":
        if self.onset is not None and self.decision_hour is not None:
            raise ValueError("onset: labels by the stay have none")
        return self


class FeatureSettings(Frozen):
    """windows: of hourly values, in hours; 0 is all since the stay began.

    per: hourly variables that are also taken per unit of one that does not change: `urine: weight`.
    """

    windows: tuple[Annotated[int, Field(ge=STAY, le=24 * 30)], ...] = (6, 24, STAY)
    per: dict[str, str] = Field(default_factory=dict)


class LightGbmSettings(Frozen):
    """Gradient-boosted trees; `rounds` at most, fewer where validation stops getting better.

    feature_share, row_share: of features and rows that each tree sees. members: so many models are
    trained, with the seeds `seed`, `seed` + 1 and so on, and their log-odds averaged.
    """

    name: Literal["lightgbm"]
    rounds: int = Field(default=1000, ge=1)
    patience: int = Field(default=50, ge=1)
    learning_rate: float = Field(default=0.05, gt=0.0)
    leaves: int = Field(default=15, ge=2)
    min_rows: int = Field(default=20, ge=1)
    feature_share: float = Field(default=0.5, gt=0.0, le=1.0)
    row_share: float = Field(default=0.7, gt=0.0, le=1.0)
    l2: float = Field(default=1.0, ge=0.0)
    bins: int = Field(default=63, ge=2, le=255)
    members: int = Field(default=1, ge=1, le=16)
    threads: int = Field(default=1, ge=1)


class LogisticSettings(Frozen):
    """Logistic regression; of `strengths` of the L2 penalty's inverse validation chooses one."""

    name: Literal["logistic"]
    strengths: tuple[Annotated[float, Field(gt=0.0)], ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


class PrevalenceSettings(Frozen):
    """How frequent the finding is, whoever asks: the dull baseline."""

    name: Literal["prevalence"]


ModelSettings: TypeAlias = Annotated[
    LightGbmSettings | LogisticSettings | PrevalenceSettings, Field(discriminator="name")
]


class RecordRecipe(Frozen):
    """Data, features, model and settings for the five steps.

    after_onset: how much an hour after the onset counts in training, against one before it: those
    after it are easy, and many of them teach a model little of what comes before.
    """

    name: str = Field(pattern=NAME)
    kind: Literal["diagnosis.record"]
    licence: str
    seed: int = Field(default=0, ge=0)
    data: Annotated[TableData | HourlyData, Field(discriminator="layout")]
    features: FeatureSettings = FeatureSettings()
    model: ModelSettings
    after_onset: Fraction = 1.0
    trust: TrustSettings = TrustSettings()
    card: CardText
