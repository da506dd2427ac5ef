"""Step 1: the table of a trial, its rows checked, in parts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polyclinic.core.digest import sha256
from polyclinic.core.errors import InvalidInput, NotFound
from polyclinic.learning.effect.survival import pseudo_times
from polyclinic.learning.prepare.splits import split
from polyclinic.treatment.benefit.recipe import BenefitData

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

FRACTIONS = {"train": 0.6, "validation": 0.2, "test": 0.2}


@dataclass(frozen=True)
class Table:
    """n patients. x: (n, d) covariates, NaN where missing or impossible; arm: (n,); outcome: (n,).

    notes: what was left out.
    """

    x: Floats
    arm: Rows
    outcome: Floats
    digest: str
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.arm)

    def parts(self, seed: int) -> dict[str, Rows]:
        """The rows of each part, a row a patient, the arms shared out evenly."""
        return split(self.arm, FRACTIONS, seed=seed)


def read_trial(path: Path, data: BenefitData) -> Table:
    """The table. Raises `NotFound`, or `InvalidInput` naming the column."""
    frame = _frame(path)
    wanted = [data.arm, *(c.name for c in data.covariates)]
    wanted += [column for column in (data.outcome, data.time, data.event) if column is not None]
    for column in wanted:
        if column not in frame.columns:
            raise InvalidInput(f"There is no column {column}.", where=str(path))
    values = {arm.value: number for number, arm in enumerate(data.arms)}
    arms = [values.get(str(value), -1) for value in frame[data.arm].to_list()]
    notes = []
    x = np.column_stack([_numbers(frame, c.name) for c in data.covariates])
    for column, covariate in zip(x.T, data.covariates, strict=True):
        wrong = (column < covariate.low) | (column > covariate.high)
        if np.isfinite(column).sum() <= 2 * wrong.sum():
            raise InvalidInput(
                f"Hardly a value of {covariate.name} is a number from {covariate.low:g} to "
                f"{covariate.high:g}.",
                where=f"column {covariate.name}",
                remedy="Write numbers, in the unit that the recipe's bounds are of.",
            )
        if wrong.any():
            column[wrong] = np.nan
            notes.append(f"{int(wrong.sum())} values of {covariate.name} cannot be; left out.")
    arm = np.array(arms, np.int64)
    outcome = _outcome(frame, data, arm)
    usable = (arm >= 0) & np.isfinite(outcome)
    if not usable.all():
        line = 2 + int(np.argmin(usable))
        left = int((~usable).sum())
        notes.append(f"{left} rows without a known arm or outcome, line {line} first; left out.")
    for number, each in enumerate(data.arms):
        if (arm[usable] == number).sum() < 30:
            raise InvalidInput(
                f"Fewer than 30 patients had {each.display}.", where=f"column {data.arm}"
            )
    told = (x[usable], arm[usable], outcome[usable])
    digest = sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in told))
    return Table(*told, digest, tuple(notes))


def _outcome(frame: pl.DataFrame, data: BenefitData, arm: Rows) -> Floats:
    if data.outcome is not None:
        return _numbers(frame, data.outcome)
    if data.time is None or data.event is None or data.horizon is None:
        raise InvalidInput("Survival needs time, event and horizon.", where="data")
    time, event = _numbers(frame, data.time), _numbers(frame, data.event)
    known = np.isfinite(time) & np.isin(event, (0, 1)) & (time >= 0) & (arm >= 0)
    outcome = np.full(len(arm), np.nan)
    outcome[known] = pseudo_times(time[known], event[known] == 1, arm[known], data.horizon)
    return outcome


def _numbers(frame: pl.DataFrame, column: str) -> Floats:
    numbers = frame[column].cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    return np.array(numbers, np.float64)


def _frame(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise NotFound("There is no such table.", where=str(path))
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, null_values=["NA", ""], infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InvalidInput(f"The table cannot be read: {error}", where=str(path)) from None
