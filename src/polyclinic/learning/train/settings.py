"""The `train:` part of a recipe."""

from typing import Annotated, Literal

from pydantic import Field

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
