"""Data sets as every department hands them to the five steps."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.prediction import Coding
from polyclinic.learning.labels import Labels, multi_label, truth


@dataclass(frozen=True)
class Part:
    """Examples with their labels.

    x: (n, ...) inputs, any dtype. y: (n,) int64, each an index into the data set's labels; or, of
    multi-label data, where none, one or several are true at once, (n, k) bool: whether each is.
    patient: (n,) patient ids, or None where the data has none. subgroups: attribute -> (n,) values.
    """

    x: NDArray[Any]
    y: Labels
    patient: NDArray[np.str_] | None = None
    subgroups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: NDArray[np.int64]) -> "Part":
        """The examples of `rows`, in that order."""
        return Part(
            self.x[rows],
            self.y[rows],
            None if self.patient is None else self.patient[rows],
            {name: values[rows] for name, values in self.subgroups.items()},
        )

    def truth(self, k: int) -> NDArray[np.bool_]:
        """Which of the data set's k labels are true of each example (n, k)."""
        return truth(self.y, k)

    def digest(self) -> str:
        """SHA-256 over dtype, shape and bytes of inputs and labels."""
        digest = hashlib.sha256()
        for array in (self.x, self.y):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """A named data set in parts. `test` may be absent; it is read by one logged command only."""

    name: str
    labels: tuple[Coding, ...]
    train: Part
    validation: Part
    test: Part | None
    licence: str
    source: str

    @property
    def multi_label(self) -> bool:
        """Whether none, one or several labels are true of each example."""
        return multi_label(self.train.y)

    @property
    def parts(self) -> dict[str, Part]:
        """The parts that are there, by name."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}

    def digest(self) -> str:
        """SHA-256 over the digests of the parts."""
        digests = (f"{name}:{part.digest()}" for name, part in self.parts.items())
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()
