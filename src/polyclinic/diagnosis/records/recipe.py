"""The recipe of a model of patient records."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from polyclinic.core.errors import InvalidInput
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding, Fraction
from polyclinic.diagnosis.labels import Label
from polyclinic.diagnosis.records.features import STAY, Step
from polyclinic.diagnosis.records.models.settings import (
    LightGbmSettings,
    LogisticSettings,
    ModelSettings,
    NetworkSettings,
    PrevalenceSettings,
    RecurrentSettings,
)
from polyclinic.diagnosis.records.variables import Variable
from polyclinic.diagnosis.trust import TrustSettings
from polyclinic.learning.recipe import override, parse_recipe
from polyclinic.learning.train.settings import TrainSettings, TuneSettings
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
    """Which data: `path` (or `--data`), and its labels, of which at least one is a finding.

    multi_label: none, one or several labels are true of an example.
    """

    name: str
    path: str | None = None
    licence: str = "not stated"
    source: str = "not stated"
    labels: tuple[RecordLabel, ...] = Field(min_length=2, max_length=1000)
    multi_label: bool = False

    @property
    def codings(self) -> tuple[Coding, ...]:
        """The labels."""
        return tuple(label.coding() for label in self.labels)

    @property
    def findings(self) -> tuple[str, ...]:
        """The codes of the labels that are findings."""
        return tuple(label.code for label in self.labels if label.finding)

    @model_validator(mode="after")
    def _has_a_finding(self) -> "_Data":
        if not self.findings:
            raise ValueError("labels: at least one must be a finding")
        if len({label.code for label in self.labels}) < len(self.labels):
            raise ValueError("labels: a code stands there twice")
        return self


class TableData(_Data):
    """A table, CSV or Parquet, with its column dictionary (`sources.table`).

    Of multi-label data the label's column names all that are true, `|` between them.
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
    def _has_two_labels(self) -> "HourlyData":
        if self.multi_label or [label.finding for label in self.labels] != [False, True]:
            raise ValueError("labels: the first is no finding (`finding: false`), the second is")
        if self.onset is not None and self.decision_hour is not None:
            raise ValueError("onset: labels by the stay have none")
        return self


class TimelineData(_Data):
    """Timelines of patients, and which conditions each has at the end of the last encounter.

    export: a folder of FHIR bulk NDJSON, or of the CSV tables of MIMIC-III or eICU. A label is true
    of a patient with a condition of its code, or of one below it, whenever that became known; what
    a model is given was known by then (`sources.timeline`).
    fixed: age, sex, and what else is taken as the latest value. measured: values by LOINC, and
    medications, in rows of an hour or a day (`step`).
    """

    layout: Literal["timeline"]
    export: Literal["fhir", "mimic", "eicu"] = "fhir"
    fixed: tuple[Variable, ...] = ()
    measured: tuple[Variable, ...] = Field(min_length=1)
    step: Step = "d"

    @model_validator(mode="after")
    def _names_codes_and_conditions(self) -> "TimelineData":
        if not self.multi_label:
            raise ValueError("multi_label: a patient may have several conditions; say `true`")
        if any(label.value is not None or not label.finding for label in self.labels):
            raise ValueError("labels: each is a finding, which data write as its code")
        names = [variable.name for variable in (*self.fixed, *self.measured)]
        if len(set(names)) < len(names):
            raise ValueError("measured: a name stands there twice")
        for variable in self.measured:
            if variable.loinc is None and variable.medication is None:
                raise ValueError(f"measured: {variable.name} names no LOINC and no medication")
        return self


class FeatureSettings(Frozen):
    """windows: of hourly values, in hours; 0 is all since the stay began.

    per: hourly variables that are also taken per unit of one that does not change: `urine: weight`.
    encoder: of texts: `minilm` (`polyclinic data get minilm`), or a folder with a BERT.
    """

    windows: tuple[Annotated[int, Field(ge=STAY, le=24 * 30)], ...] = (6, 24, STAY)
    per: dict[str, str] = Field(default_factory=dict)
    encoder: str | None = None


#: What `auto` tries unless told otherwise, the quickest first.
CANDIDATES: tuple[ModelSettings, ...] = (
    PrevalenceSettings(name="prevalence"),
    LogisticSettings(name="logistic"),
    LightGbmSettings(name="lightgbm"),
    LightGbmSettings(name="lightgbm", leaves=4, learning_rate=0.02),
    RecurrentSettings(name="recurrent"),
)


class AutoSettings(Frozen):
    """The choice of a model by nested cross-validation: `folds` outer ones, within `minutes`."""

    minutes: float = Field(default=30.0, gt=0.0)
    folds: int = Field(default=3, ge=2, le=10)
    candidates: tuple[ModelSettings, ...] = Field(default=CANDIDATES, min_length=1)


class RecordRecipe(Frozen):
    """Data, features, model and settings for the five steps.

    `auto` chooses among models; without it the recipe names its `model`. init, train: of networks.
    after_onset: how much an hour after the onset counts in training, against one before it: those
    after it are easy, and many of them teach a model little of what comes before.
    """

    name: str = Field(pattern=NAME)
    kind: Literal["diagnosis.record"]
    licence: str
    seed: int = Field(default=0, ge=0)
    data: Annotated[TableData | HourlyData | TimelineData, Field(discriminator="layout")]
    features: FeatureSettings = FeatureSettings()
    auto: AutoSettings | None = None
    model: ModelSettings | None = None
    init: Literal["kaiming", "xavier", "orthogonal"] = "xavier"
    train: TrainSettings = TrainSettings()
    tune: TuneSettings | None = None
    after_onset: Fraction = 1.0
    trust: TrustSettings = TrustSettings()
    card: CardText

    def changed(self, changes: dict[str, Any]) -> "RecordRecipe":
        """This recipe with dotted paths such as `model.width` replaced."""
        return parse_recipe(override(self.model_dump(), changes), RecordRecipe, ", ".join(changes))

    @property
    def chosen(self) -> ModelSettings:
        """The model that is named or, by now, chosen."""
        if self.model is None:
            raise InvalidInput("The model is not chosen yet.", where="auto")
        return self.model

    @property
    def network(self) -> NetworkSettings | None:
        """The model where it is a network."""
        return self.model if isinstance(self.model, NetworkSettings) else None

    @model_validator(mode="after")
    def _names_a_model_of_its_data(self) -> "RecordRecipe":
        if (self.model is None) == (self.auto is None):
            raise ValueError("give either a model or auto, which chooses one; not both")
        tried = self.auto.candidates if self.auto else (self.model,)
        if isinstance(self.data, TableData) and all(isinstance(m, NetworkSettings) for m in tried):
            raise ValueError("model: a network reads series, and a table has none")
        return self

    @model_validator(mode="after")
    def _has_an_encoder_of_its_texts(self) -> "RecordRecipe":
        columns = self.data.columns if isinstance(self.data, TableData) else ()
        texts = any(each.type == "text" and each.role == "feature" for each in columns)
        if texts != (self.features.encoder is not None):
            raise ValueError("features.encoder: tables with a text need one, other data none")
        return self

    @model_validator(mode="after")
    def _fits_its_labels(self) -> "RecordRecipe":
        several = self.data.multi_label
        if several and self.trust.conformal == "marginal":
            raise ValueError("trust.conformal: multi-label data has class-conditional sets alone")
        if "platt" in self.trust.calibration and not several and len(self.data.labels) > 2:
            raise ValueError("trust.calibration: Platt scaling is for two labels")
        return self
