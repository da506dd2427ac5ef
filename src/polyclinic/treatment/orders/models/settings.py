"""Which model scores treatments, and its settings."""

from typing import Annotated, Literal

from pydantic import Field

from polyclinic.core.frozen import Frozen


class PopularitySettings(Frozen):
    """How often each treatment is ordered: a baseline."""

    name: Literal["popularity"]


class LastVisitSettings(Frozen):
    """What was ordered at the visit before, then by popularity: a baseline."""

    name: Literal["last_visit"]


class NeighbourSettings(Frozen):
    """What the `k` most similar visits ordered: a baseline.

    It keeps the visits that it was made from, rows of patients, so that it is never served.
    """

    name: Literal["nearest_neighbour"]
    k: int = Field(default=50, ge=1)


class AlsSettings(Frozen):
    """Collaborative filtering: alternating least squares on who had what."""

    name: Literal["als"]
    factors: int = Field(default=32, ge=1, le=512)
    iterations: int = Field(default=15, ge=1)
    regularisation: float = Field(default=0.05, gt=0.0)
    confidence: float = Field(default=10.0, gt=0.0)


class BprSettings(Frozen):
    """Collaborative filtering: Bayesian personalised ranking."""

    name: Literal["bpr"]
    factors: int = Field(default=32, ge=1, le=512)
    iterations: int = Field(default=100, ge=1)
    rate: float = Field(default=0.05, gt=0.0)
    regularisation: float = Field(default=0.01, gt=0.0)


class ItemNeighbourSettings(Frozen):
    """Collaborative filtering: treatments alike in who had them, `k` of each."""

    name: Literal["item_knn"]
    k: int = Field(default=30, ge=1)
    weighting: Literal["cosine", "tfidf", "bm25"] = "cosine"


class TreesSettings(Frozen):
    """Content filtering: gradient-boosted trees over pairs of a patient and a treatment.

    loss: `pairs` (whether it was ordered) or `lambdarank` (the order of a visit's treatments).
    """

    name: Literal["trees"]
    loss: Literal["pairs", "lambdarank"] = "pairs"
    rounds: int = Field(default=300, ge=1)
    leaves: int = Field(default=31, ge=2)
    learning_rate: float = Field(default=0.05, gt=0.0)
    min_rows: int = Field(default=50, ge=1)


class TwoTowerSettings(Frozen):
    """Content filtering: a network of the patient's facts and one of the treatment's ATC codes."""

    name: Literal["two_tower"]
    width: int = Field(default=128, ge=4)
    depth: int = Field(default=2, ge=1, le=6)
    dropout: float = Field(default=0.3, ge=0.0, lt=1.0)
    epochs: int = Field(default=40, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0.0)


class TransformerSettings(Frozen):
    """A Transformer over a patient's visits."""

    name: Literal["transformer"]
    width: int = Field(default=96, ge=8)
    heads: int = Field(default=4, ge=1)
    depth: int = Field(default=2, ge=1, le=8)
    dropout: float = Field(default=0.3, ge=0.0, lt=1.0)
    epochs: int = Field(default=40, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0.0)


OneSettings = Annotated[
    PopularitySettings
    | LastVisitSettings
    | NeighbourSettings
    | AlsSettings
    | BprSettings
    | ItemNeighbourSettings
    | TreesSettings
    | TwoTowerSettings
    | TransformerSettings,
    Field(discriminator="name"),
]


class BlendSettings(Frozen):
    """A weighted sum of several models' log-odds, the weights learnt on validation visits."""

    name: Literal["blend"]
    members: tuple[OneSettings, ...] = Field(min_length=2)


ModelSettings = Annotated[
    PopularitySettings
    | LastVisitSettings
    | NeighbourSettings
    | AlsSettings
    | BprSettings
    | ItemNeighbourSettings
    | TreesSettings
    | TwoTowerSettings
    | TransformerSettings
    | BlendSettings,
    Field(discriminator="name"),
]

BASELINES = ("popularity", "last_visit", "nearest_neighbour")
