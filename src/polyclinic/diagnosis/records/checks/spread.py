"""How usual a value is, robustly: some wrong values among many do not move it."""

from dataclasses import dataclass

import numpy as np

from polyclinic.diagnosis.records.checks.sheet import Doubles, Mask

#: So many times as far from the middle as nine tenths of all: 4.5 standard deviations if normal.
FENCE = 3.5


@dataclass(frozen=True)
class Spread:
    """The middle of some values, and how far below and above it nine tenths of each side lie."""

    middle: float
    below: float
    above: float

    @classmethod
    def of(cls, values: Doubles) -> "Spread":
        """The spread of known values (n,)."""
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
        # A column of few different values has still a width.
        least = 1e-3 * max(abs(float(middle)), 1e-9)
        return cls(float(middle), max(float(middle - low), least), max(float(high - middle), least))

    def distance(self, values: Doubles) -> Doubles:
        """How far out values lie: 1 where a tenth of each side lies farther out."""
        apart = values - self.middle
        return np.abs(apart) / np.where(apart < 0, self.below, self.above)

    def unusual(self, values: Doubles) -> Mask:
        """Which values lie beyond the fence."""
        outside: Mask = self.distance(values) > FENCE
        return outside

    def usual(self, values: Doubles, within: float = 1.3) -> Mask:
        """Which values lie where most do: within so many times nine tenths of each side."""
        inside: Mask = self.distance(values) <= within
        return inside
