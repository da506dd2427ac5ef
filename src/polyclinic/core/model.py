"""The one interface between a department's models and the service that runs them."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias, TypeVar

from polyclinic.core.errors import PolyclinicError
from polyclinic.core.prediction import Familiarity, ModelIdentity, Prediction

Input = TypeVar("Input", contravariant=True)
Output = TypeVar("Output", bound="Told", covariant=True)

#: One item's answer by a model of diagnosis: a prediction, or the error that this item alone met.
Answer: TypeAlias = Prediction | PolyclinicError


class Told(Protocol):
    """What every department's answer says."""

    @property
    def abstained(self) -> str | None:
        """Why the answer is not to be relied on; None where it is."""
        ...

    @property
    def familiarity(self) -> Familiarity | None:
        """How usual the input is; None where the model cannot tell."""
        ...


class Model(Protocol[Input, Output]):
    """A loaded model version, ready to answer. Safe to call from one thread at a time."""

    @property
    def identity(self) -> ModelIdentity:
        """Which model this is."""
        ...

    def predict(
        self, items: Sequence[Input], *, explain: bool = False
    ) -> Sequence[Output | PolyclinicError]:
        """One answer an item, in order; a bad item is answered by its error, and alone."""
        ...
