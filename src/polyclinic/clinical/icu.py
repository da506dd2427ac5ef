"""The hourly cohorts of intensive care: arrays for models, and timelines.

The layout is YAIB's (van de Water et al., ICLR 2024; its concepts are ricu's): a folder with
`dyn.parquet` (stay_id, time, variables), `sta.parquet` (stay_id, age, sex, height, weight) and
`outc.parquet` (stay_id, label, and time where the label is one of every hour). A row at `time` h
holds what was measured from hour h to h + 1 of the stay, so it is known at the end of that hour,
which is the decision time of the hour's label.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polyclinic.clinical.analytes import ANALYTES, BY_NAME
from polyclinic.clinical.codes import LOINC
from polyclinic.clinical.timeline import Patient, Sex, Timeline, patient_frame
from polyclinic.core.errors import InvalidInput, NotFound

#: What is measured hour by hour, by ricu's names; `clinical.analytes` has codes and units.
VARIABLES = tuple(analyte.name for analyte in ANALYTES[:48])
#: What is known of a stay at its beginning: years, 1 for male and 0 for female, cm, kg.
STATIC = ("age", "male", "height", "weight")
#: When every stay begins on its timeline, since the layout tells no date.
ORIGIN = datetime(2000, 1, 1, tzinfo=UTC)

_HOUR = timedelta(hours=1)
_KEYS = ("stay_id", "hour")
_MALE = {"Male": 1.0, "Female": 0.0}
_SEXES: dict[float, Sex] = {1.0: "male", 0.0: "female"}


@dataclass(frozen=True)
class Cohort:
    """Stays of r hours in all, one after the other; NaN wherever nothing was measured.

    stays: (n,) ids. bounds: (n + 1,) the rows of stay i are those from bounds[i] to bounds[i + 1].
    hours: (r,) since admission, rising within a stay. values: (r, 48), columns `VARIABLES`.
    static: (n, 4), columns `STATIC`. labels: of every hour (r,), or of every stay (n,).
    """

    stays: NDArray[np.int64]
    bounds: NDArray[np.int64]
    hours: NDArray[np.int64]
    values: NDArray[np.float64]
    static: NDArray[np.float64]
    labels: NDArray[np.bool_]
    hourly: bool

    def __len__(self) -> int:
        return len(self.stays)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Whether it was measured (r, 48)."""
        return ~np.isnan(self.values)

    @cached_property
    def stay_of_row(self) -> NDArray[np.int64]:
        """The index of each row's stay (r,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    def rows(self, stay: int) -> slice:
        """The rows of the stay of that index."""
        return slice(int(self.bounds[stay]), int(self.bounds[stay + 1]))

    def take(self, chosen: NDArray[np.int64]) -> "Cohort":
        """The stays of these indices, in that order."""
        lengths = np.diff(self.bounds)[chosen]
        bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.repeat(self.bounds[chosen] - bounds[:-1], lengths) + np.arange(bounds[-1])
        return Cohort(
            self.stays[chosen],
            bounds,
            self.hours[rows],
            self.values[rows],
            self.static[chosen],
            self.labels[rows if self.hourly else chosen],
            self.hourly,
        )

    def timeline(self) -> Timeline:
        """Every measurement as an event of the patient named by the stay's id; labels are none."""
        table = pl.DataFrame(self.values, VARIABLES).with_columns(
            patient=pl.Series(self.stays[self.stay_of_row]).cast(pl.String), hour=self.hours
        )
        start = pl.lit(ORIGIN) + pl.duration(hours="hour")
        measured = (
            table.unpivot(index=["patient", "hour"], variable_name="name")
            .filter(pl.col("value").is_not_nan())
            .with_columns(start=start, known=start + _HOUR - timedelta(microseconds=1))
        )
        bodies = (
            pl.DataFrame(self.static, STATIC)
            .select("height", "weight", patient=pl.Series(self.stays).cast(pl.String))
            .unpivot(index="patient", variable_name="name")
            .filter(pl.col("value").is_not_nan())
            .with_columns(start=pl.lit(ORIGIN), known=pl.lit(ORIGIN))
        )
        codes = pl.DataFrame(
            [(a.name, a.loinc, a.display, a.unit) for a in BY_NAME.values()],
            ["name", "code", "display", "unit"],
            orient="row",
        )
        events = (
            pl.concat([measured.drop("hour").select(bodies.columns), bodies])
            .join(codes, on="name")
            .with_columns(
                kind=pl.lit("observation"),
                latest_start="known",
                system=pl.lit(LOINC),
                canonical=pl.lit(True),
            )
        )
        return Timeline.of(events.drop("name"), patient_frame(self._patients()))

    def _patients(self) -> list[Patient]:
        patients = []
        for stay, age, male in zip(self.stays, self.static[:, 0], self.static[:, 1], strict=True):
            first, last = _births(float(age))
            patients.append(Patient(str(stay), str(stay), first, last, _SEXES.get(float(male))))
        return patients


def read_cohort(folder: Path) -> Cohort:
    """The cohort of a folder of `dyn.parquet`, `sta.parquet` and `outc.parquet`.

    Stays are in the order of their ids. A variable that has no column was never measured. Raises
    `NotFound`, or `InvalidInput` naming the file and column or stay.
    """
    dyn, sta, outc = (_table(folder / f"{name}.parquet") for name in ("dyn", "sta", "outc"))
    unknown = set(dyn.columns) - {*_KEYS, *VARIABLES}
    if unknown:
        raise InvalidInput(
            f"There are columns that are no variables: {', '.join(sorted(unknown))}.",
            where=str(folder / "dyn.parquet"),
            remedy="Name the variables as ricu does, and leave out others.",
        )
    hourly = "hour" in outc.columns
    dyn = _numbers(_unique(dyn, _KEYS, folder / "dyn.parquet"), VARIABLES, folder / "dyn.parquet")
    sta = _unique(sta, _KEYS[:1], folder / "sta.parquet")
    outc = _unique(outc, _KEYS if hourly else _KEYS[:1], folder / "outc.parquet")
    stays = dyn.select("stay_id").unique().sort("stay_id")
    _same(stays, sta, folder / "sta.parquet")
    _same(dyn.select(_KEYS) if hourly else stays, outc, folder / "outc.parquet")
    lengths = dyn.group_by("stay_id").len().sort("stay_id")["len"].to_numpy()
    sex = sta["sex"] if "sex" in sta.columns else pl.Series([None] * len(sta), dtype=pl.String)
    sta = sta.with_columns(male=sex.cast(pl.String).replace_strict(_MALE, default=None))
    return Cohort(
        stays["stay_id"].to_numpy(),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        dyn["hour"].to_numpy(),
        dyn.select(VARIABLES).to_numpy(),
        _numbers(sta, STATIC, folder / "sta.parquet").select(STATIC).to_numpy(),
        _labels(outc, folder / "outc.parquet"),
        hourly,
    )


def _table(path: Path) -> pl.DataFrame:
    """A file of the layout, its stays as int64 and its times as whole hours."""
    try:
        table = pl.read_parquet(path)
    except FileNotFoundError:
        raise NotFound("There is no such file of a cohort.", where=str(path)) from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InvalidInput(f"This is no Parquet file: {error}", where=str(path)) from None
    if "stay_id" not in table.columns or not table.schema["stay_id"].is_integer():
        raise InvalidInput("There is no column stay_id of integers.", where=str(path))
    table = table.with_columns(pl.col("stay_id").cast(pl.Int64))
    if "time" not in table.columns:
        return table
    if not isinstance(table.schema["time"], pl.Duration):
        raise InvalidInput("The column time holds no durations.", where=str(path))
    hours = pl.col("time").dt.total_microseconds() / (_HOUR / timedelta(microseconds=1))
    return table.with_columns(hour=hours.floor().cast(pl.Int64)).drop("time")


def _unique(table: pl.DataFrame, keys: Sequence[str], path: Path) -> pl.DataFrame:
    """The table in order of its keys, which must be there, whole and different."""
    missing = [key for key in keys if key not in table.columns]
    if missing:
        raise InvalidInput(f"There is no column {missing[0]} (time).", where=str(path))
    wrong = table.filter(
        pl.any_horizontal(pl.col(keys).is_null()) | pl.struct(keys).is_duplicated()
    )
    if len(wrong):
        raise InvalidInput(
            f"{len(wrong)} rows have no stay or hour, or one that another row has too.",
            where=f"{path}, stay {wrong['stay_id'][0]}",
        )
    return table.sort(keys)


def _numbers(table: pl.DataFrame, columns: Sequence[str], path: Path) -> pl.DataFrame:
    """The table with all of these columns as float64, NaN where there is no number."""
    for name in columns:
        dtype = table.schema.get(name, pl.Float64())
        if not dtype.is_numeric() and dtype != pl.Null:
            raise InvalidInput(f"The column {name} holds no numbers.", where=str(path))
    absent = [pl.lit(None).alias(name) for name in columns if name not in table.columns]
    return table.with_columns(absent).with_columns(
        pl.col(columns).cast(pl.Float64).fill_null(float("nan"))
    )


def _same(expected: pl.DataFrame, table: pl.DataFrame, path: Path) -> None:
    """Both tables have the same keys."""
    keys = expected.columns
    there = table.select(keys)
    for some, others, what in ((expected, there, "are missing"), (there, expected, "are no rows")):
        left = some.join(others, on=keys, how="anti")
        if len(left):
            raise InvalidInput(
                f"{len(left)} stays or hours {what} of dyn.parquet.",
                where=f"{path}, stay {left['stay_id'][0]}",
            )


def _labels(outc: pl.DataFrame, path: Path) -> NDArray[np.bool_]:
    label = outc.to_dict().get("label", pl.Series([None]))
    numbers = label.cast(pl.Float64, strict=False)
    if not (label.dtype.is_numeric() or label.dtype == pl.Boolean) or not numbers.is_in(
        [0.0, 1.0]
    ).all(ignore_nulls=False):
        raise InvalidInput(
            "The column label must hold true or false in every row.", where=str(path)
        )
    return (numbers == 1).to_numpy()


def _births(age: float) -> tuple[date, date] | tuple[None, None]:
    """First and last day of birth of a patient of `age` full years at `ORIGIN`."""
    if not 0 <= age <= 150:
        return None, None
    latest = (ORIGIN - timedelta(days=365.25 * age)).date()
    return latest - timedelta(days=366), latest
