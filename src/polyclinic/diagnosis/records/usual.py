"""What is usual of records: a space of few dimensions in which familiarity and shift are judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.core.errors import IntegrityError
from polyclinic.diagnosis.records.features import Feature, Floats
from polyclinic.diagnosis.records.models.linear import Doubles, usual_values

USUAL_FILE = "usual.safetensors"
#: At most so many directions; of more columns the principal ones.
DIRECTIONS = 64
#: Where training knows all values, a tenth of them missing is as far out as one value that lies a
#: deviation off: a missing value counts as the median, and a record of such alone would look usual.
PER_SHARE = 10.0
#: So many records are looked at together, which bounds the memory of it.
CHUNK = 1024


@dataclass(frozen=True)
class UsualSpace:
    """From features (n, d) to (n, r): the values themselves, standardised, and how many are known.

    columns: (c, w) the features that hold a value or, of several, its latest ones first: what is
    summed up of the past follows from them. median, scale: (c,). directions: (c, r - 1).
    known: (1,) what the share of known values is multiplied by.
    """

    columns: NDArray[np.int64]
    median: Doubles
    scale: Doubles
    directions: Doubles
    known: Doubles

    def place(self, x: Floats) -> Doubles:
        """Where records lie (n, r). A missing value counts as the median."""
        values = _latest(x, self.columns)
        z = np.nan_to_num((values - self.median) / self.scale, nan=0.0, posinf=1e6, neginf=-1e6)
        known = np.isfinite(values).mean(axis=1)
        return np.column_stack([z @ self.directions, known * self.known])

    def to_file(self) -> bytes:
        """The space as safetensors."""
        arrays = {name: np.ascontiguousarray(array) for name, array in vars(self).items()}
        return safetensors.numpy.save(arrays)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], features: int) -> "UsualSpace":
        """The space from stored arrays. Raises `IntegrityError` where they do not fit."""
        try:
            columns = np.asarray(arrays["columns"], dtype=np.int64)
            rest = [np.asarray(arrays[n], np.float64) for n in ("median", "scale", "directions")]
        except KeyError as missing:
            raise IntegrityError(f"The array {missing} of the usual space is missing.") from None
        c = len(columns)
        columns = columns.reshape(c, -1)  # earlier releases wrote (c,)
        fits = [array.shape for array in rest[:2]] == [(c,)] * 2 and rest[2].shape[:1] == (c,)
        if not fits or (c and not 0 <= columns.min() <= columns.max() < features):
            raise IntegrityError("The arrays of the usual space do not fit together.")
        # Earlier releases took the share as it is.
        known = np.asarray(arrays.get("known", np.ones(1)), np.float64).reshape(1)
        return cls(columns, rest[0], rest[1], rest[2], known)


def fit_usual_space(features: Sequence[Feature], x: Floats) -> UsualSpace:
    """The space of training features (n, d)."""
    columns = _columns(features)
    values = _latest(x, columns)
    median, scale = usual_values(values)
    directions = np.eye(len(columns))
    if len(columns) > DIRECTIONS:
        z = np.nan_to_num((values - median) / scale)
        _, vectors = np.linalg.eigh(z.T @ z)
        directions = vectors[:, ::-1][:, :DIRECTIONS]
    return UsualSpace(columns, median, scale, directions, np.array([PER_SHARE]))


def _columns(features: Sequence[Feature]) -> NDArray[np.int64]:
    """The columns (c, w) of what is known of each variable, the latest first."""
    found: dict[tuple[str, str | None, int | None], list[int]] = {}
    # Of a series the last row comes last.
    for i, each in reversed(list(enumerate(features))):
        if each.statistic in ("value", "last", "at", "embedding"):
            found.setdefault((each.variable, each.category, each.number), []).append(i)
    longest = max(map(len, found.values()), default=1)
    columns = [some + some[-1:] * (longest - len(some)) for some in found.values()]
    return np.array(columns, np.int64).reshape(len(columns), longest)


def _latest(x: Floats, columns: NDArray[np.int64]) -> Floats:
    """The first known of the columns (c, w) in features (n, d): (n, c), NaN where none is."""
    values = np.empty((len(x), len(columns)), x.dtype)
    for start in range(0, len(x), CHUNK):
        some = x[start : start + CHUNK, columns]
        first = np.isnan(some).argmin(axis=2, keepdims=True)
        values[start : start + CHUNK] = np.take_along_axis(some, first, axis=2)[..., 0]
    return values
