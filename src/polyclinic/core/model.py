"""The one interface between a department's models and the service that runs them."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from polyclinic.core.errors import PolyclinicError
from polyclinic.core.prediction import ModelIdentity, Prediction

Input = TypeVar("Input", contravariant=True)

#: One item's answer: a prediction, or the error that this item alone met.
Answer = Prediction | PolyclinicError


class Model(Protocol[Input]):
    """A loaded model version, ready to answer. Safe to call from one thread at a time."""

    @property
    def identity(self) -> ModelIdentity:
        """Which model this is."""
        ...

    def predict(self, items: Sequence[Input], *, explain: bool = False) -> list[Answer]:
        """One answer an item, in order; a bad item is answered by its error, and alone."""
        ...
