"""One patient's record as it is sent, and how it is read into a model's inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Annotated, Any

import numpy as np
import orjson
from pydantic import Field, ValidationError

from polyclinic.clinical.analytes import BY_LOINC
from polyclinic.clinical.ucum import unit
from polyclinic.clinical.units import straight_line
from polyclinic.core.digest import sha256
from polyclinic.core.errors import InvalidInput
from polyclinic.core.frozen import Frozen
from polyclinic.diagnosis.records.features import Floats, Hourly
from polyclinic.diagnosis.records.inputs import Encoding, Inputs
from polyclinic.diagnosis.records.models.linear import Doubles
from polyclinic.diagnosis.records.notes.sentences import MAX_CHARACTERS, MAX_SENTENCES, sentences
from polyclinic.diagnosis.records.variables import Variable

#: A series reaches over at most so many hours, and so many columns are looked at.
MAX_HOURS = 24 * 90
MAX_COLUMNS = 4096

Name = Annotated[str, Field(min_length=1, max_length=128)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Series(Frozen):
    """Hourly measurements: `values` has of each column one value an hour, null where none was made.

    `hours` are whole hours since the stay began, rising; the last is the decision time.
    """

    hours: Annotated[tuple[Annotated[int, Field(ge=0, lt=MAX_HOURS)], ...], Field(min_length=1)]
    values: Annotated[
        dict[Name, tuple[Number | None, ...]], Field(min_length=1, max_length=MAX_COLUMNS)
    ]

    @cached_property
    def numbers(self) -> Doubles:
        """The values (c, t) of c columns over t hours, NaN where none was made."""
        # `numpy.array` would take twice as long, to find out how the values are nested.
        values = chain.from_iterable(self.values.values())
        flat = np.fromiter(values, np.float64, len(self.values) * len(self.hours))
        return flat.reshape(len(self.values), len(self.hours))


class Record(Frozen):
    """One patient's record: `values` that do not change, such as a table's row, and a `series`.

    `units` (UCUM, or a common spelling) of any of its columns; without one the model's own is
    meant.
    """

    values: Annotated[
        dict[Name, Number | str | None], Field(default_factory=dict, max_length=MAX_COLUMNS)
    ]
    series: Series | None = None
    units: dict[Name, str] = Field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the record as JSON, its parts in the order of the fields, without spaces."""
        # Twice as fast as Pydantic's JSON, and the same.
        return sha256(orjson.dumps(self, default=_fields))

    def settled(self) -> "Record":
        """The same, its digest and numbers made: where it is read, not where the model waits."""
        _ = self.digest, self.series and self.series.numbers
        return self


def parse_record(content: Any) -> Record:
    """The record in a JSON value. Raises `InvalidInput` naming the place."""
    try:
        record = Record.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"/{part}" for part in first["loc"])
        raise InvalidInput(f"This is no record: {first['msg']}.", where=where or None) from None
    series = record.series
    if series is not None:
        if any(one >= two for one, two in zip(series.hours, series.hours[1:], strict=False)):
            raise InvalidInput("The hours do not rise.", where="/series/hours")
        for name, values in series.values.items():
            if len(values) != len(series.hours):
                raise InvalidInput(
                    f"{len(values)} values stand for {len(series.hours)} hours.",
                    where=f"/series/values/{name}",
                )
    return record.settled()


def _fields(value: Frozen) -> dict[str, Any]:
    return {name: getattr(value, name) for name in type(value).model_fields}


@dataclass
class Read:
    """A record as the model's numbers, and what a reader must know of it.

    fixed: (s,). hourly: (t, v) from the stay's first hour to the decision, or None. texts: one for
    each of the encoding's notes, "" where there is none.
    """

    fixed: Floats
    hourly: Floats | None
    warnings: tuple[str, ...] = field(default=())
    texts: tuple[str, ...] = ()

    @property
    def known(self) -> int:
        """How many variables are known at any time."""
        measured = 0 if self.hourly is None else np.isfinite(self.hourly).any(axis=0).sum()
        return int(np.isfinite(self.fixed).sum() + measured) + sum(map(bool, self.texts))


def read_record(record: Record, encoding: Encoding) -> Read:
    """The record in the order and units of the model's variables.

    A value that cannot be counts as missing, with a warning; so does a column that the model does
    not know. Raises `InvalidInput` where nothing of it is known to the model or every value is
    missing, a unit does not measure what its column holds, or a category has another word.
    """
    warnings: list[str] = []
    every = (*encoding.fixed, *encoding.hourly, *encoding.notes)
    known = {variable.name for variable in every}
    series = record.series
    sent = {*record.values, *(series.values if series else ())}
    if not sent & known:
        raise InvalidInput(
            "No column is one that the model knows.",
            remedy=f"It knows {', '.join(sorted(known)[:60])}.",
        )
    if encoding.hourly and series is None:
        raise InvalidInput("The model needs hourly values.", where="/series")
    others = sorted((sent | record.units.keys()) - known)
    if others:
        warnings.append(f"Not used, since the model does not know it: {', '.join(others[:20])}.")
    fixed = np.full(len(encoding.fixed), np.nan, np.float32)
    for index, variable in enumerate(encoding.fixed):
        value = record.values.get(variable.name)
        if value is not None:
            fixed[index] = _fixed_value(variable, value, record.units, warnings)
    texts = tuple(_text(note, record.values.get(note.name), warnings) for note in encoding.notes)
    hourly = None
    if series is not None and encoding.hourly:
        hourly = _hourly_values(series, record.units, encoding, warnings)
    measured = hourly is not None and np.isfinite(hourly).any()
    if not measured and not any(texts) and not np.isfinite(fixed).any():
        raise InvalidInput(
            f"Every value that the model knows is missing. {' '.join(warnings)}".rstrip(),
            remedy="Send at least one of them.",
        )
    return Read(fixed, hourly, tuple(warnings), texts)


def gather(read: Sequence[Read]) -> Inputs:
    """Records as the inputs of one batch; each is asked at its last hour."""
    fixed = np.stack([each.fixed for each in read])
    subject = np.arange(len(read))
    parts = [each.hourly for each in read if each.hourly is not None]
    if not parts:
        return Inputs(fixed, subject)
    lengths = np.array([len(part) for part in parts])
    start = np.cumsum(lengths) - lengths
    series = Hourly(np.concatenate(parts), np.repeat(start, lengths))
    return Inputs(fixed, subject, series, start + lengths - 1)


def _text(variable: Variable, value: float | str | None, warnings: list[str]) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput(f"{variable.name} must be a text.", where=f"/values/{variable.name}")
    if not sentences(value)[1]:
        warnings.append(
            f"Of {variable.name} the first {MAX_SENTENCES} sentences were read, within "
            f"{MAX_CHARACTERS:,} characters."
        )
    return value


def _fixed_value(
    variable: Variable, value: float | str, units: Mapping[str, str], warnings: list[str]
) -> float:
    where = f"/values/{variable.name}"
    if variable.type == "category":
        if value not in variable.categories:
            raise InvalidInput(
                f"{variable.name} must be {' or '.join(variable.categories)}.", where=where
            )
        return float(variable.categories.index(str(value)))
    if isinstance(value, str):
        raise InvalidInput(f"{variable.name} must be a number.", where=where)
    number = np.array([value], np.float64)
    stated = units.get(variable.name)
    if stated is not None and stated != variable.unit:
        number = _converted(variable, number, stated)
    if variable.implausible(number)[0]:
        warnings.append(left_out(variable, 1))
        return float("nan")
    return float(number[0])


def _hourly_values(
    series: Series, units: Mapping[str, str], encoding: Encoding, warnings: list[str]
) -> Floats:
    """Values (t, v) of every hour from the stay's first to the decision."""
    last, decision = series.hours[-1], encoding.decision_hour
    hours = np.array(series.hours)
    if decision is not None and last != decision:
        what = "what came later was not read" if last > decision else "later hours count as empty"
        warnings.append(f"The model decides at hour {decision}; the series ends at {last}: {what}.")
        last = decision
    used = int(np.searchsorted(hours, last, side="right"))
    if not used:
        raise InvalidInput(f"No hour is up to the decision at {last}.", where="/series/hours")
    column = {name: index for index, name in enumerate(series.values)}
    sent = np.array([column.get(variable.name, -1) for variable in encoding.hourly])
    numbers = series.numbers[sent, :used]
    numbers[sent < 0] = np.nan
    for index, variable in enumerate(encoding.hourly):
        stated = units.get(variable.name)
        if stated is not None and stated != variable.unit:
            numbers[index] = _converted(variable, numbers[index], stated)
    low, high = encoding.plausible
    wrong = (numbers < low[:, None]) | (numbers > high[:, None])
    warnings.extend(
        left_out(encoding.hourly[index], int(wrong[index].sum()))
        for index in np.flatnonzero(wrong.any(axis=1)).tolist()
    )
    values = np.full((last + 1, len(encoding.hourly)), np.nan, np.float32)
    numbers[wrong] = np.nan
    values[hours[:used]] = numbers.T
    return values


def left_out(variable: Variable, count: int) -> str:
    """The warning that so many values of a variable cannot be."""
    return f"{count} values of {variable.name} lie outside {variable.range} and count as missing."


def _converted(variable: Variable, numbers: Doubles, stated: str) -> Doubles:
    where = f"/units/{variable.name}"
    source, target = unit(stated), unit(variable.unit)
    analyte = BY_LOINC.get(variable.loinc) if variable.loinc else None
    line = None if source is None or target is None else straight_line(source, target, analyte)
    if line is None:
        raise InvalidInput(
            f"{variable.name} is not measured in {stated[:64]!r}.",
            where=where,
            remedy=f"Send it in {variable.unit or 'a number without unit'}.",
        )
    return line[0] * numbers + line[1]
