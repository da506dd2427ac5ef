"""What is usual of visits: a space of few dimensions in which familiarity is judged."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyclinic.treatment.orders.encoding import Floats

USUAL_FILE = "usual.safetensors"
DIRECTIONS = 32


@dataclass(frozen=True)
class Usual:
    """mean: (d,). directions: (d, r), the principal ones of standardised columns."""

    mean: Floats
    directions: Floats

    def place(self, x: Floats) -> Floats:
        """Where visits (n, d) lie (n, r)."""
        return np.asarray((x - self.mean) @ self.directions, np.float32)

    def arrays(self) -> dict[str, Floats]:
        """To be stored."""
        return {"mean": self.mean, "directions": np.ascontiguousarray(self.directions)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "Usual":
        """From stored arrays. Raises `KeyError` where one is missing."""
        return cls(*(np.asarray(arrays[name], np.float32) for name in ("mean", "directions")))


def learn_usual(x: Floats) -> Usual:
    """The space of training visits (n, d)."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    # What hardly anybody has would be far out by the deviation of its column.
    spread = np.maximum(spread, 0.1)
    z = (x - mean) / spread
    _, vectors = np.linalg.eigh(z.T @ z)
    directions = vectors[:, ::-1][:, :DIRECTIONS] / spread[:, None]
    return Usual(mean.astype(np.float32), np.ascontiguousarray(directions, np.float32))
