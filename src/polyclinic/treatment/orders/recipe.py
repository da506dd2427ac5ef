"""The recipe of a model of past orders."""

from typing import Literal

from pydantic import Field, model_validator

from polyclinic.core.frozen import Frozen
from polyclinic.registry.manifest import NAME, CardText
from polyclinic.treatment.orders.models.settings import (
    BASELINES,
    AlsSettings,
    BlendSettings,
    BprSettings,
    ItemNeighbourSettings,
    LastVisitSettings,
    ModelSettings,
    NeighbourSettings,
    OneSettings,
    PopularitySettings,
    TransformerSettings,
    TreesSettings,
    TwoTowerSettings,
)


class OrdersData(Frozen):
    """Past orders: a folder of FHIR bulk NDJSON, or of the CSV tables of MIMIC-III or eICU.

    least: a treatment or condition that fewer persons of the training part have is not in
    the vocabulary. structures: the file of drugs' structures (`drugs.structures`), of which the
    network of content then reads fingerprints. simulated: the patients are, so that every figure
    proves plumbing, not merit.
    """

    name: str
    path: str | None = None
    export: Literal["fhir", "mimic", "eicu"] = "fhir"
    licence: str = "not stated"
    source: str = "not stated"
    least: int = Field(default=10, ge=2)
    structures: str | None = None
    simulated: bool = False


#: What `auto` tries unless told otherwise, the quickest first.
CANDIDATES: tuple[OneSettings, ...] = (
    PopularitySettings(name="popularity"),
    LastVisitSettings(name="last_visit"),
    NeighbourSettings(name="nearest_neighbour"),
    ItemNeighbourSettings(name="item_knn"),
    AlsSettings(name="als"),
    BprSettings(name="bpr"),
    TreesSettings(name="trees"),
    TwoTowerSettings(name="two_tower"),
    TransformerSettings(name="transformer"),
)


class AutoSettings(Frozen):
    """The choice of a model on one half of the validation part, within `minutes`.

    blend: whether a blend of all candidates that can be served is tried, too.
    """

    minutes: float = Field(default=30.0, gt=0.0)
    candidates: tuple[OneSettings, ...] = Field(default=CANDIDATES, min_length=2)
    blend: bool = True


class TrustSettings(Frozen):
    """coverage: what share of a visit's orders the set of treatments is to hold, on average.

    familiarity: an input whose p-value is not higher is unfamiliar. facts: with fewer pieces of
    evidence (conditions, history, values) the model abstains. groups: patients alike are shown in
    groups of about so many.
    """

    coverage: float = Field(default=0.9, gt=0.0, lt=1.0)
    familiarity: float = Field(default=0.01, ge=0.0, lt=1.0)
    facts: int = Field(default=1, ge=0)
    groups: int = Field(default=40, ge=10)


class OrdersRecipe(Frozen):
    """Data, model and settings for the five steps. `auto` chooses among models."""

    name: str = Field(pattern=NAME)
    kind: Literal["treatment.orders"]
    licence: str
    seed: int = Field(default=0, ge=0)
    data: OrdersData
    auto: AutoSettings | None = None
    model: ModelSettings | None = None
    memory: int = Field(default=8, ge=1, le=64)
    trust: TrustSettings = TrustSettings()
    card: CardText

    @model_validator(mode="after")
    def _names_a_model(self) -> "OrdersRecipe":
        if (self.model is None) == (self.auto is None):
            raise ValueError("give either a model or auto, which chooses one; not both")
        members = self.model.members if isinstance(self.model, BlendSettings) else (self.model,)
        if any(isinstance(each, NeighbourSettings) for each in members):
            raise ValueError("model: nearest_neighbour keeps rows of patients, and is never served")
        return self

    @property
    def tried(self) -> tuple[ModelSettings, ...]:
        """The model, or all candidates; with them the baselines, which every card compares."""
        candidates = self.auto.candidates if self.auto else (self.model,) if self.model else ()
        have = {each.name for each in candidates}
        missing = [each for each in CANDIDATES if each.name in BASELINES and each.name not in have]
        return (*missing, *candidates)
