"""The `model:` part of a recipe of records."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from polyclinic.core.frozen import Frozen


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


class NetworkSettings(Frozen):
    """What networks over hourly values share.

    steps: so many rows of the series up to the decision are seen. width: of the hidden state.
    dropout: between layers and before the head. members: so many networks are trained, with the
    seeds `seed`, `seed` + 1 and so on, and their logits averaged.
    """

    steps: int = Field(default=48, ge=2, le=24 * 30)
    width: int = Field(default=64, ge=2, le=1024)
    layers: int = Field(default=1, ge=1, le=12)
    dropout: float = Field(default=0.1, ge=0.0, lt=1.0)
    members: int = Field(default=1, ge=1, le=16)


class RecurrentSettings(NetworkSettings):
    """A recurrent network (Hochreiter and Schmidhuber 1997; Cho et al. 2014)."""

    name: Literal["recurrent"]
    cell: Literal["gru", "lstm"] = "gru"


class TransformerSettings(NetworkSettings):
    """A Transformer's encoder (Vaswani et al. 2017), read where the decision is made."""

    name: Literal["transformer"]
    heads: int = Field(default=4, ge=1, le=64)

    @model_validator(mode="after")
    def _divides(self) -> "TransformerSettings":
        if self.width % self.heads:
            raise ValueError("width must be a multiple of heads")
        return self


ModelSettings: TypeAlias = Annotated[
    LightGbmSettings
    | LogisticSettings
    | PrevalenceSettings
    | RecurrentSettings
    | TransformerSettings,
    Field(discriminator="name"),
]
