"""The `train:` and `tune:` parts of a recipe."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from polyclinic.core.frozen import Frozen

Positive = Annotated[float, Field(gt=0.0)]


class TrainSettings(Frozen):
    """How a loss is minimised.

    `patience`: epochs without a better validation loss before stopping (None: never).
    `averaging`: decay per step of the exponential moving average of the weights that is validated
    and kept (None: the last weights; Polyak and Juditsky 1992). `schedule`: `one-cycle` warms up
    over the first fifth and then falls along a cosine (Smith and Topin 2018), `cosine` only falls.
    `class_weights: balanced` weighs each label by n / (k * n_label), of multi-label data each one's
    presence and absence as if they were two labels. `threads`: CPU threads; runs
    agree bit for bit where this number and the machine agree.
    """

    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=64, ge=2)
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: Positive = 1e-3
    weight_decay: float = Field(default=0.0, ge=0.0)
    schedule: Literal["constant", "cosine", "one-cycle"] = "constant"
    patience: int | None = Field(default=None, ge=1)
    averaging: float | None = Field(default=None, gt=0.0, lt=1.0)
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    threads: int = Field(default=1, ge=1)


class Range(Frozen):
    """A number between `low` and `high`, searched on a log scale where `log`; whole if both are."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _is_a_range(self) -> "Range":
        if self.low > self.high or (self.log and self.low <= 0):
            raise ValueError("low must not pass high, and be above 0 on a log scale")
        return self

    @property
    def ends(self) -> tuple[int | float, ...]:
        """The values at its ends."""
        return self.low, self.high


class Choices(Frozen):
    """One of a few values."""

    choices: tuple[bool | int | float | str, ...] = Field(min_length=1)

    @property
    def ends(self) -> tuple[bool | int | float | str, ...]:
        """Every value."""
        return self.choices


class TuneSettings(Frozen):
    """The `tune:` part of a recipe; `space` maps its dotted paths to what may stand there.

    `trials` counts the finished ones, pruned ones included.
    """

    trials: int = Field(ge=1)
    space: dict[str, Range | Choices] = Field(min_length=1)
