"""Which features of a model are one piece of evidence together."""

from dataclasses import dataclass

import numpy as np

from polyclinic.diagnosis.records.features import Feature, Rows

#: A series is told in pieces: from so many rows before the decision on.
SINCE = (0, 6, 24)


@dataclass(frozen=True)
class Group:
    """Features that are one piece of evidence, in the columns (w,), the latest value first.

    feature: what tells the piece's name; window: the time of a piece of a series.
    """

    feature: Feature
    columns: Rows
    window: str

    def named(self, title: str) -> str:
        """In words, the variable called by its title."""
        if self.feature.statistic == "at":
            unit = f" [{self.feature.unit}]" if self.feature.unit else ""
            return f"{title}, {self.window}{unit}"
        return self.feature.model_copy(update={"variable": title}).name


def group(features: tuple[Feature, ...]) -> tuple[Group, ...]:
    """Every feature in a group of its own, but rows of a series together where they are near,
    and so is all of a text.

    How long the stay is belongs to none where there is a series: without it no row has a meaning.
    """
    series = any(feature.statistic == "at" for feature in features)
    groups = []
    together: dict[tuple[str, int], list[int]] = {}
    notes: dict[str, list[int]] = {}
    for i, feature in enumerate(features):
        if feature.number is not None:
            notes.setdefault(feature.variable, []).append(i)
            continue
        if feature.ago is None:
            alone = not series or not feature.variable.endswith("since the stay began")
            if alone:
                groups.append(Group(feature, np.array([i]), feature.window))
            continue
        since = max(start for start in SINCE if start <= feature.ago)
        together.setdefault((feature.variable, since), []).append(i)
    for some in together.values():
        first, last = features[some[0]], features[some[-1]]
        window = f"{first.ago} to {last.ago} {last.step} before"
        groups.append(Group(last, np.array(some[::-1]), window))
    groups += [Group(features[some[0]], np.array(some), "") for some in notes.values()]
    return tuple(groups)
