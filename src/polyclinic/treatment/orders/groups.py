"""Patients alike, in groups: counts and summaries alone, so that a model holds nobody's row."""

from collections.abc import Mapping, Sequence
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

    patients: (g,). ordered: (g, m) how many ever had a
    treatment ordered, -1 where it is 1 to 4. ages: (g, 2) the quartiles of age in years. female:
    (g,) the share. conditions: (g, c) the share with each condition, 0 where it is of 1 to 4.
    """

    patients: NDArray[np.int64]
    ordered: NDArray[np.int64]
    ages: Floats
    female: Floats
    conditions: Floats

    def alike(
        self, x: Floats, treatments: list[int], vocabulary: Vocabulary
    ) -> Sequence[Alike | None]:
        """The group most like a patient (d,), and what it had of each treatment.

        It is the one in which the conditions and treatments that are known of the patient, and the
        age, are likeliest together; what is not known says nothing. None where no group has a good
        part of them.
        """
        conditions = np.flatnonzero(x[vocabulary.of_conditions])
        taken = np.flatnonzero(x[vocabulary.of_taken] + x[vocabulary.of_last])
        least = 0.5 / self.patients[:, None]
        had = np.maximum(self.ordered / self.patients[:, None], least)
        shares = np.hstack([np.maximum(self.conditions, least)[:, conditions], had[:, taken]])
        fits = (shares >= TYPICAL).mean(axis=1) if shares.shape[1] else np.zeros(len(shares))
        likely = np.log(shares).sum(axis=1) + np.log(self.patients)
        if x[1]:
            low, high = np.nan_to_num(self.ages, nan=100 * x[0]).T
            spread = np.maximum(high - low, 10)
            likely -= ((100 * x[0] - (low + high) / 2) / spread) ** 2
        group = int(likely.argmax())
        if fits[group] < TYPICAL:
            return [None] * len(treatments)
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
