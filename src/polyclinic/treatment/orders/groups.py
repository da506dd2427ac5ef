"""Patients alike, in groups: counts and summaries alone, so that a model holds nobody's row."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyclinic.treatment.answer import Alike
from polyclinic.treatment.orders.encoding import Encoded, Floats, Vocabulary

GROUPS_FILE = "groups.safetensors"
#: A count of 1 up to one below it is not told.
FEWEST = 5
#: A condition that a smaller share of a group has does not describe it.
TYPICAL = 0.3


@dataclass(frozen=True)
class Groups:
    """g groups of training patients.

    centres: (g, r) in the usual space. patients: (g,). ordered: (g, m) how many ever had a
    treatment ordered, -1 where it is 1 to 4. ages: (g, 2) the quartiles of age in years. female:
    (g,) the share. conditions: (g, c) the share with each condition, 0 where it is of 1 to 4.
    """

    centres: Floats
    patients: NDArray[np.int64]
    ordered: NDArray[np.int64]
    ages: Floats
    female: Floats
    conditions: Floats

    def alike(self, place: Floats, treatments: list[int], vocabulary: Vocabulary) -> list[Alike]:
        """The group nearest to a patient at `place` (r,), and what it had of each treatment."""
        group = int(((self.centres - place) ** 2).sum(axis=1).argmin())
        patients, summary = int(self.patients[group]), self._summary(group, vocabulary)
        counts = self.ordered[group, treatments].tolist()
        return [
            Alike(patients=patients, ordered=None if count < 0 else count, summary=summary)
            for count in counts
        ]

    def _summary(self, group: int, vocabulary: Vocabulary) -> str:
        said = []
        low, high = self.ages[group].tolist()
        if np.isfinite(low):
            said.append(f"half of them aged {low:.0f} to {high:.0f}")
        said.append(f"{self.female[group]:.0%} women")
        shares = self.conditions[group]
        most = np.argsort(-shares, kind="stable")[:4].tolist()
        said += (
            f"{shares[place]:.0%} {vocabulary.conditions[place].display}"
            for place in most
            if shares[place] >= TYPICAL
        )
        return ", ".join(said)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """To be stored."""
        return {name: np.ascontiguousarray(array) for name, array in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "Groups":
        """From stored arrays. Raises `KeyError` where one is missing."""
        return cls(
            np.asarray(arrays["centres"], np.float32),
            np.asarray(arrays["patients"], np.int64),
            np.asarray(arrays["ordered"], np.int64),
            np.asarray(arrays["ages"], np.float32),
            np.asarray(arrays["female"], np.float32),
            np.asarray(arrays["conditions"], np.float32),
        )


def learn_groups(
    places: Floats,
    part: Encoded,
    person: NDArray[np.str_],
    vocabulary: Vocabulary,
    size: int,
    seed: int,
) -> Groups:
    """Groups of about `size` persons, by their last visits; none has fewer than half of that.

    places: (n, r) of the part's visits, person: (n,) whose they are.
    """
    from sklearn.cluster import KMeans

    names, whose = np.unique(person, return_inverse=True)
    last = np.zeros(len(names), np.int64)
    np.maximum.at(last, whose, np.arange(len(person)))
    had = np.zeros((len(names), vocabulary.m), np.bool_)
    np.logical_or.at(had, whose, part.ordered[part.asked])
    x, points = part.x[part.asked][last], places[last]
    count = max(1, len(names) // size)
    group = KMeans(count, n_init=3, random_state=seed).fit(points).labels_
    big = np.flatnonzero(np.bincount(group, minlength=count) >= min(size / 2, len(names)))
    if not len(big):
        big, group = np.array([0]), np.zeros(len(names), np.int64)
    centres = np.stack([points[group == each].mean(axis=0) for each in big])
    # Members of groups that are too small go to the nearest that is not.
    nearest = ((points[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    members = [np.flatnonzero(nearest == number) for number in range(len(big))]
    members = [each for each in members if len(each) >= FEWEST] or [np.arange(len(names))]
    return Groups(
        centres=np.stack([points[each].mean(axis=0) for each in members]),
        patients=np.array([len(each) for each in members]),
        ordered=np.stack([_told(had[each]) for each in members]),
        ages=np.stack([_quartiles(x[each]) for each in members]),
        female=np.array([x[each, 2].mean() for each in members], np.float32),
        conditions=np.stack(
            [
                np.maximum(_told(x[each][:, vocabulary.of_conditions] > 0), 0) / len(each)
                for each in members
            ]
        ).astype(np.float32),
    )


def _told(had: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Counts (k,) of persons (n, k); -1 where so few have it that it is not told."""
    counts = had.sum(axis=0)
    return np.where((counts > 0) & (counts < FEWEST), -1, counts)


def _quartiles(x: Floats) -> Floats:
    ages = 100 * x[x[:, 1] > 0, 0]
    if len(ages) < FEWEST:
        return np.full(2, np.nan, np.float32)
    return np.asarray(np.percentile(ages, [25, 75]), np.float32)
