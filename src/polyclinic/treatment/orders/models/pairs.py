"""A patient and a treatment as one row of features, for trees.

What training visits tell of treatments is kept in tables: how often each is ordered, how much
more often with each condition, age and sex, with which others, and to which classes it belongs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyclinic.treatment.orders.encoding import Encoded, Floats, Vocabulary

#: A condition's own rate counts like so many visits at the treatment's overall rate.
PRIOR = 20.0
#: So many values, those that are known most often, are features.
VALUES = 15
_BANDS = np.array([0, 18, 30, 40, 50, 60, 70, 80]) / 100

NAMES = (
    "log-odds of the treatment",
    "taken before",
    "ordered at the visit before",
    "lift of the conditions, summed",
    "lift of the condition that lifts most",
    "lift of age and sex",
    "treatments taken before, by how often both are ordered",
    "treatments of the visit before, by how often both are ordered",
    "of the same class, taken before",
    "of the same class, ordered at the visit before",
    "age",
    "female",
    "visits before",
    "conditions",
    "treatments taken before",
    "ATC main group",
    "ATC subgroup",
    "treatment",
)
#: Places of the features that are categories.
CATEGORIES = (15, 16, 17)


@dataclass(frozen=True)
class PairTables:
    """usual: (m,) log-odds; lift: (c, m) logs of ratios; people: (a, m) the same of age and sex;
    together: (m, m) how often the second is ordered with the first, less how often at all;
    alike: (m, m) whether of one ATC level 4; groups: (m, 2) numbers of ATC levels 1 and 2;
    values: the places of the values that are features.
    """

    usual: Floats
    lift: Floats
    people: Floats
    together: Floats
    alike: Floats
    groups: Floats
    values: NDArray[np.int64]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """To be stored."""
        return {name: np.ascontiguousarray(array) for name, array in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "PairTables":
        """From stored arrays. Raises `KeyError` where one is missing."""
        names = ("usual", "lift", "people", "together", "alike", "groups")
        singles = {name: np.asarray(arrays[name], np.float32) for name in names}
        return cls(**singles, values=np.asarray(arrays["values"], np.int64))


def learn_tables(encoded: Encoded, vocabulary: Vocabulary) -> PairTables:
    """The tables of the visits that are asked about."""
    x, y = encoded.x[encoded.asked], encoded.ordered[encoded.asked].astype(np.float32)
    rate = (y.sum(axis=0) + 0.5) / (len(y) + 1)
    together = y.T @ y
    of_each = (together + PRIOR * rate) / (y.sum(axis=0)[:, None] + PRIOR)
    known = x[:, vocabulary.of_values.stop :].mean(axis=0)
    return PairTables(
        usual=np.log(rate / (1 - rate)).astype(np.float32),
        lift=_lift(x[:, vocabulary.of_conditions], y, rate),
        people=_lift(_people(x), y, rate),
        together=(of_each - rate).astype(np.float32),
        alike=alike(vocabulary),
        groups=_groups(vocabulary),
        values=np.sort(np.argsort(-known, kind="stable")[:VALUES]),
    )


def pair_features(encoded: Encoded, vocabulary: Vocabulary, tables: PairTables) -> Floats:
    """Features (n, m, p) of every treatment for the visits that are asked about."""
    x, m = encoded.x[encoded.asked], vocabulary.m
    conditions, taken = x[:, vocabulary.of_conditions], x[:, vocabulary.of_taken]
    last, each = x[:, vocabulary.of_last], np.arange(m)
    features = np.empty((len(x), m, len(NAMES) + len(tables.values)), np.float32)
    features[..., 0] = tables.usual
    features[..., 1] = taken
    features[..., 2] = last
    features[..., 3] = conditions @ tables.lift
    features[..., 4] = _highest(conditions, tables.lift)
    features[..., 5] = _people(x) @ tables.people
    features[..., 6] = taken @ tables.together
    features[..., 7] = last @ tables.together
    features[..., 8] = taken @ tables.alike
    features[..., 9] = last @ tables.alike
    features[..., 10] = np.where(x[:, 1] > 0, x[:, 0], np.nan)[:, None]
    features[..., 11] = x[:, 2][:, None]
    features[..., 12] = x[:, 4][:, None]
    features[..., 13] = conditions.sum(axis=1)[:, None]
    features[..., 14] = taken.sum(axis=1)[:, None]
    features[..., 15:17] = tables.groups
    features[..., 17] = each
    start, stop = vocabulary.of_values.start, vocabulary.of_values.stop
    seen = x[:, stop + tables.values] > 0
    values = np.where(seen, x[:, start + tables.values], np.nan)
    features[..., len(NAMES) :] = values[:, None]
    return features


def alike(vocabulary: Vocabulary) -> Floats:
    """Whether two treatments are of one ATC level 4 (m, m); none is like itself."""
    classes = [{code[:5] for code in each.atc} for each in vocabulary.treatments]
    same = np.array([[bool(a & b) for b in classes] for a in classes], np.float32)
    same = same.reshape(len(classes), len(classes))
    np.fill_diagonal(same, 0)
    return same


def _lift(known: Floats, y: Floats, rate: Floats) -> Floats:
    """Logs (c, m) of how much more often a treatment is ordered where a fact (n, c) is known."""
    own = (known.T @ y + PRIOR * rate) / (known.sum(axis=0)[:, None] + PRIOR)
    return np.asarray(np.log(own / rate), np.float32)


def _people(x: Floats) -> Floats:
    """Bands of age, and sex (n, a)."""
    bands = (x[:, :1] >= _BANDS) & (x[:, :1] < np.r_[_BANDS[1:], np.inf]) & (x[:, 1:2] > 0)
    return np.column_stack([bands, x[:, 2:4]]).astype(np.float32)


def _highest(conditions: Floats, lift: Floats) -> Floats:
    """The lift (n, m) of the condition that lifts a treatment most; 0 without one."""
    highest = np.zeros((len(conditions), lift.shape[1]), np.float32)
    for row, known in enumerate(conditions):
        places = np.flatnonzero(known)
        if len(places):
            highest[row] = lift[places].max(axis=0)
    return highest


def _groups(vocabulary: Vocabulary) -> Floats:
    """Numbers (m, 2) of ATC's main group and subgroup; NaN where a treatment has no code."""
    groups = np.full((vocabulary.m, 2), np.nan, np.float32)
    for level, length in enumerate((1, 3)):
        codes = [each.atc[0][:length] if each.atc else None for each in vocabulary.treatments]
        numbers = {code: number for number, code in enumerate(sorted({c for c in codes if c}))}
        groups[:, level] = [np.nan if code is None else numbers[code] for code in codes]
    return groups
