"""Visits as numbers: a row of columns a visit, in a vocabulary that training visits alone made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding
from polyclinic.treatment.orders.visits import Visits

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

#: The first columns: age in centuries, whether it is known, female, male, visits before (log).
ABOUT = 5
#: A value further out than so many deviations counts as that far.
FAR = 5.0


class Known(Frozen):
    """A condition, by category."""

    fact: str
    display: str


class Measured(Frozen):
    """A number, and what is usual of it in training: mean and standard deviation."""

    fact: str
    display: str
    mean: float
    deviation: float = Field(gt=0.0)


class Treatment(Frozen):
    """What can be recommended: its key among visits' drugs, its coding, its ATC codes."""

    drug: str
    coding: Coding
    atc: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fact:
    """A piece of what is known of a patient, and the columns that hold it.

    kind: age, sex, condition, history or value; index: its place among those of its kind.
    """

    kind: str
    index: int
    display: str
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Encoded:
    """Visits as a model reads them.

    x: (r, d) of every visit that counts; ordered: (r, m) bool, what was ordered at it. asked: (n,)
    rows of x, the visits that are asked about; before: (n, v) rows of x, the same patient's visits
    before, the latest first; -1 where there is none.
    """

    x: Floats
    ordered: NDArray[np.bool_]
    asked: Rows
    before: Rows

    def __len__(self) -> int:
        return len(self.asked)

    def take(self, rows: Rows) -> "Encoded":
        """Some of the visits that are asked about."""
        return Encoded(self.x, self.ordered, self.asked[rows], self.before[rows])


class Vocabulary(Frozen):
    """The columns of a visit, and the treatments.

    Columns (d): about the patient (`ABOUT`); conditions (c); each treatment, whether ever taken
    (m), then whether ordered at the visit before (m); values, standardised (l), then whether known
    (l). memory: how many visits back a sequence goes.
    """

    treatments: tuple[Treatment, ...]
    conditions: tuple[Known, ...]
    values: tuple[Measured, ...]
    memory: int = 8

    @property
    def m(self) -> int:
        """The number of treatments."""
        return len(self.treatments)

    @property
    def width(self) -> int:
        """The number of columns d."""
        return ABOUT + len(self.conditions) + 2 * self.m + 2 * len(self.values)

    @property
    def of_conditions(self) -> slice:
        """The columns of conditions."""
        return slice(ABOUT, ABOUT + len(self.conditions))

    @property
    def of_taken(self) -> slice:
        """The columns that say what was ever taken."""
        start = self.of_conditions.stop
        return slice(start, start + self.m)

    @property
    def of_last(self) -> slice:
        """The columns that say what was ordered at the visit before."""
        start = self.of_taken.stop
        return slice(start, start + self.m)

    @property
    def of_values(self) -> slice:
        """The columns of values; as many that say whether each is known come after them."""
        start = self.of_last.stop
        return slice(start, start + len(self.values))

    @cached_property
    def _places(self) -> dict[str, pl.DataFrame]:
        """The place of each drug, condition and value."""
        return {
            "drug": _places("drug", [each.drug for each in self.treatments]),
            "condition": _places("fact", [each.fact for each in self.conditions]),
            "value": _places("fact", [each.fact for each in self.values]),
        }

    def encode(self, visits: Visits) -> Encoded:
        """All visits, each asked about."""
        n, m, places = len(visits), self.m, self._places
        x = np.zeros((n, self.width), np.float32)
        aged = np.isfinite(visits.age)
        x[aged, 0], x[aged, 1] = visits.age[aged] / 100, 1
        x[:, 2], x[:, 3] = visits.sex == "female", visits.sex == "male"
        x[:, 4] = np.log1p(visits.before)
        conditions = visits.conditions.join(places["condition"], on="fact")
        x[conditions["row"].to_numpy(), ABOUT + conditions["place"].to_numpy()] = 1
        history = visits.history.join(places["drug"], on="drug")
        row, place = history["row"].to_numpy(), history["place"].to_numpy()
        x[row, self.of_taken.start + place] = 1
        x[row, self.of_last.start + place] = history["last"].to_numpy()
        values = visits.values.join(places["value"], on="fact")
        row, place = values["row"].to_numpy(), values["place"].to_numpy()
        mean = np.array([each.mean for each in self.values])
        deviation = np.array([each.deviation for each in self.values])
        if self.values:
            z = (values["value"].to_numpy() - mean[place]) / deviation[place]
            x[row, self.of_values.start + place] = np.clip(z, -FAR, FAR)
            x[row, self.of_values.stop + place] = 1
        orders = visits.orders.join(places["drug"], on="drug")
        ordered = np.zeros((n, m), np.bool_)
        ordered[orders["row"].to_numpy(), orders["place"].to_numpy()] = True
        back = np.arange(1, self.memory + 1)
        asked = np.arange(n)
        before = np.where(back <= visits.before[:, None], asked[:, None] - back, -1)
        return Encoded(x, ordered, asked, before)

    def sequences(self, encoded: Encoded) -> Floats:
        """The visits that are asked about as sequences (n, memory + 1, d + 1), the oldest first.

        Of a visit before, what was ordered at it stands where the one that is asked about has what
        was ordered at the visit before. The last column says whether there is a visit at all.
        """
        places = np.column_stack([encoded.before[:, ::-1], encoded.asked])
        there = places >= 0
        x = encoded.x.copy()
        past = np.unique(encoded.before[encoded.before >= 0])
        own = x[past]
        own[:, self.of_last] = encoded.ordered[past]
        rows = np.zeros((*places.shape, self.width + 1), np.float32)
        lookup = x.copy()
        lookup[past] = own
        rows[:, :-1, :-1] = lookup[places[:, :-1]]
        rows[:, -1, :-1] = x[encoded.asked]
        rows[..., -1] = there
        rows[~there] = 0
        return rows

    def known(self, x: Floats) -> Rows:
        """How many conditions, treatments and values are known in each row (n, d)."""
        parts = (self.of_conditions, self.of_taken, slice(self.of_values.stop, None))
        return np.asarray(sum((x[:, part] != 0).sum(axis=1) for part in parts))

    def facts(self, x: Floats, words: Mapping[str, str]) -> Iterator[Fact]:
        """What is known of the patient in a row (d,).

        words: how the patient's own record calls a condition, which stands here for a category,
        and a value.
        """
        if x[1]:
            yield Fact("age", 0, f"age {100 * x[0]:.0f}", (0, 1))
        if x[2] or x[3]:
            yield Fact("sex", 0, "female" if x[2] else "male", (2, 3))
        for place in np.flatnonzero(x[self.of_conditions]).tolist():
            known = self.conditions[place]
            display = words.get(known.fact, known.display)
            yield Fact("condition", place, display, (ABOUT + place,))
        for place in np.flatnonzero(x[self.of_taken] + x[self.of_last]).tolist():
            columns = (self.of_taken.start + place, self.of_last.start + place)
            when = "ordered at the visit before" if x[columns[1]] else "taken before"
            yield Fact(
                "history", place, f"{self.treatments[place].coding.display}, {when}", columns
            )
        seen = x[self.of_values.stop : self.of_values.stop + len(self.values)]
        for place in np.flatnonzero(seen).tolist():
            measured = self.values[place]
            columns = (self.of_values.start + place, self.of_values.stop + place)
            yield Fact("value", place, words.get(measured.fact, measured.display), columns)


def learn_vocabulary(
    visits: Visits, atc: dict[str, tuple[str, ...]], least: int, memory: int = 8
) -> Vocabulary:
    """The vocabulary of training visits: what at least `least` persons have.

    atc: drug -> ATC codes. Values known of at least a twentieth of the visits count.
    """
    rows = pl.DataFrame({"row": np.arange(len(visits), dtype=np.uint32), "person": visits.person})
    drugs = _common(visits.orders, rows, "drug", least).join(visits.drugs, on="drug").sort("drug")
    conditions = _common(visits.conditions, rows, "fact", least).sort("fact")
    measured = (
        visits.values.group_by("fact")
        .agg(
            pl.col("display").drop_nulls().first(),
            mean=pl.col("value").mean(),
            deviation=pl.col("value").std(),
            share=pl.len() / max(len(visits), 1),
        )
        .filter(pl.col("share") >= 0.05, pl.col("deviation") > 0)
        .sort("fact")
    )
    return Vocabulary(
        treatments=tuple(
            Treatment(
                drug=drug,
                coding=Coding(system=system, code=code, display=display),
                atc=atc.get(drug, ()),
            )
            for drug, system, code, display in drugs.select(
                "drug", "system", "code", "display"
            ).iter_rows()
        ),
        conditions=tuple(
            Known(fact=fact, display=display or fact)
            for fact, display in conditions.select("fact", "display").iter_rows()
        ),
        values=tuple(
            Measured(fact=fact, display=display or fact, mean=mean, deviation=deviation)
            for fact, display, mean, deviation in measured.select(
                "fact", "display", "mean", "deviation"
            ).iter_rows()
        ),
        memory=memory,
    )


def _common(facts: pl.DataFrame, rows: pl.DataFrame, key: str, least: int) -> pl.DataFrame:
    """Those of `key` that at least `least` persons have, with the display that is first."""
    shown = pl.col("display").drop_nulls().first() if "display" in facts.columns else None
    found = (
        facts.with_columns(pl.col("row").cast(pl.UInt32))
        .join(rows, on="row")
        .group_by(key)
        .agg(persons=pl.col("person").n_unique(), **({} if shown is None else {"display": shown}))
    )
    return found.filter(pl.col("persons") >= least)


def _places(key: str, names: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {key: names, "place": np.arange(len(names))}, {key: pl.String, "place": pl.Int64}
    )
