"""The shift alarm: whether a site's inputs come from where the held-out inputs came from.

The energy distance (Székely and Rizzo 2013) between the network's features there and here, judged
by permutation, so that the false-alarm rate holds for any features (Rabanser, Günnemann and Lipton
2019 compare such tests). Needs no label of the site, and NumPy alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polyclinic.core.errors import IntegrityError, InvalidInput
from polyclinic.learning.labels import Labels, multi_label, truth

Floats = NDArray[np.float64]

#: Principal directions kept: of 8 to 224, 32 told validation from test pictures best.
DIRECTIONS = 32

#: At most so many rows of each side are compared: distances between all take memory and time.
MAX_ROWS = 1000

PERMUTATIONS = 999


@dataclass(frozen=True)
class ShiftReference:
    """Held-out inputs, to compare a site's with.

    center: (d,) and directions: (d, r) turn features into `rows` (m, r). probabilities: (m, k),
    calibrated; y: the true labels (m,), or of multi-label data (m, k) bool.
    """

    center: Floats
    directions: Floats
    rows: Floats
    probabilities: Floats
    y: Labels

    def __post_init__(self) -> None:
        m, r = len(self.y), self.directions.shape[-1]
        fits = (
            self.directions.shape == (self.center.size, r)
            and self.rows.shape == (m, r)
            and self.probabilities.shape[:1] == (m,)
            and self.probabilities.ndim == 2
            and _fits(self.y, self.probabilities.shape[1])
        )
        if not fits:
            raise IntegrityError("The arrays of the shift reference do not fit together.")

    @property
    def prevalence(self) -> Floats:
        """How frequent each label is among the held-out inputs (k,)."""
        return np.asarray(truth(self.y, self.probabilities.shape[1]).mean(axis=0))

    def project(self, features: ArrayLike) -> Floats:
        """Features (n, d) as rows (n, r)."""
        return np.asarray((np.asarray(features, dtype=np.float64) - self.center) @ self.directions)

    def p_value(self, features: ArrayLike, seed: int = 0) -> float:
        """How often inputs of one source differ as much as features (n, d) do from held-out ones.

        Raises `InvalidInput` as `energy_test` does.
        """
        return energy_test(self.rows, self.project(features), seed=seed)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """The reference as named arrays, to be stored; single precision is precise enough.

        In C order: safetensors writes the bytes of an array as they lie.
        """
        return {
            "center": self.center.astype(np.float32),
            "directions": self.directions.astype(np.float32, order="C"),
            "rows": self.rows.astype(np.float32, order="C"),
            "probabilities": np.ascontiguousarray(self.probabilities),
            "y": self.y,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "ShiftReference":
        """The reference from stored arrays. Raises `IntegrityError` where they do not fit."""
        try:
            names = ("center", "directions", "rows", "probabilities")
            center, directions, rows, probabilities = (
                np.asarray(arrays[name], dtype=np.float64) for name in names
            )
            y = np.asarray(arrays["y"])
            y = y.astype(np.bool_ if multi_label(y) else np.int64)
            return cls(center, directions, rows, probabilities, y)
        except KeyError as missing:
            raise IntegrityError(f"The shift array {missing} is missing.") from None


def fit_shift_reference(
    train_features: ArrayLike,
    held_out_features: ArrayLike,
    held_out_probabilities: Floats,
    held_out_y: Labels,
) -> ShiftReference:
    """The reference of held-out inputs: features (m, d), calibrated probabilities (m, k), y.

    y: (m,), or of multi-label data (m, k) bool. The directions are the principal components of
    standardised training features (n, d), each of unit variance there. They must not come from the
    held-out inputs: then these would no longer be exchangeable with a site's. Raises `InvalidInput`
    where features are not finite.
    """
    train = _finite(train_features, "train features")
    center, spread = train.mean(axis=0), train.std(axis=0)
    scale = np.where(spread > 1e-7 * np.abs(train).max(axis=0), spread, np.inf)
    _, values, components = np.linalg.svd((train - center) / scale, full_matrices=False)
    kept = min(DIRECTIONS, int((values > 1e-4 * values[0]).sum()))
    deviations = values[:kept] / np.sqrt(len(train))
    directions = (components[:kept] / deviations[:, None]).T / scale[:, None]
    rows = (_finite(held_out_features, "held-out features") - center) @ directions
    return ShiftReference(center, directions, rows, held_out_probabilities, held_out_y)


def energy_test(
    first: ArrayLike, second: ArrayLike, permutations: int = PERMUTATIONS, seed: int = 0
) -> float:
    """The p-value of rows (m, r) and (n, r) being of one distribution: small where they are not.

    Exact by permutation: at level a it errs with probability at most a; no p-value is below
    1 / (permutations + 1). Of more than `MAX_ROWS` rows a random choice is compared. Raises
    `InvalidInput` where a side has fewer than two rows, or a value is not finite.
    """
    rng = np.random.default_rng(seed)
    sides = [_finite(side, name) for side, name in ((first, "first"), (second, "second"))]
    sides = [side[rng.permutation(len(side))[:MAX_ROWS]] for side in sides]
    m, n = (len(side) for side in sides)
    if min(m, n) < 2:
        raise InvalidInput(f"{m} and {n} inputs cannot be compared; two of each at the least.")
    distances = _distances(np.concatenate(sides))
    member = np.zeros((permutations + 1, m + n))
    member[0, :m] = 1
    member[1:] = rng.permuted(np.repeat(member[:1], permutations, axis=0), axis=1)
    # Sums of distances within the first side, and between the sides, of every permutation at once.
    to_first = member @ distances
    within = (to_first * member).sum(axis=1)
    between = to_first.sum(axis=1) - within
    rest = distances.sum() - within - 2 * between
    energy = 2 * between / (m * n) - within / m**2 - rest / n**2
    as_far = energy[1:] >= energy[0] - 1e-12 * np.abs(energy[0])
    return float((1 + as_far.sum()) / (1 + permutations))


def _fits(y: Labels, k: int) -> bool:
    """Whether these are labels of k kinds."""
    if multi_label(y):
        return y.shape[1:] == (k,)
    return len(y) == 0 or bool(0 <= y.min() <= y.max() < k)


def _distances(rows: Floats) -> Floats:
    """Euclidean distances (n, n) between rows (n, r)."""
    squares = np.square(rows).sum(axis=1)
    squared = squares[:, None] + squares - 2 * rows @ rows.T
    np.fill_diagonal(squared, 0.0)
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


def _finite(values: ArrayLike, where: str) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or not len(array) or not np.isfinite(array).all():
        raise InvalidInput("These must be a table of finite numbers with rows.", where=where)
    return array
