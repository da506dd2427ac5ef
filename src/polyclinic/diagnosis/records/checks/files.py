"""What is wrong with a folder of stays before its values can be read: keys, times, labels, words.

`clinical.icu.read_cohort` refuses such a folder at the first of these; here all are told, by row.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from polyclinic.clinical.icu import STATIC, VARIABLES
from polyclinic.diagnosis.records.sources.stay_variables import FIXED
from polyclinic.learning.prepare.issues import QualityIssue, issue

FILES = ("dyn", "sta", "outc")
#: No stay is silent for so many hours and then goes on.
LONGEST_GAP_H = 48

_ROW = "row of the file"
_SEXES = FIXED[1].categories


def check_files(folder: Path) -> Iterator[QualityIssue]:
    """Issues of `dyn`, `sta` and `outc`, with the rows of their files, counted from 0.

    A file that is missing, no Parquet, or has no keys, is left to the reader, which refuses it.
    """
    tables = {name: _read(folder / f"{name}.parquet") for name in FILES}
    dyn, sta, outc = tables["dyn"], tables["sta"], tables["outc"]
    if dyn is None or sta is None or outc is None or "hour" not in dyn.columns:
        return
    for name, table in (("dyn", dyn), ("sta", sta), ("outc", outc)):
        yield from _keys(name, table)
    for name, table in (("dyn", dyn), ("outc", outc)):
        if "hour" in table.columns:
            yield from _times(name, table)
    of_hours = ["stay_id", "hour"] if "hour" in outc.columns else ["stay_id"]
    for keys, name, one, other, detail in (
        (["stay_id"], "sta", sta, dyn, "stays have no hour in dyn."),
        (["stay_id"], "dyn", dyn, sta, "rows are of stays that are not in sta."),
        (of_hours, "outc", outc, dyn, "labels are of a stay or an hour that is not in dyn."),
        (of_hours, "dyn", dyn, outc, "rows are of a stay or an hour without a label in outc."),
    ):
        missing = one.join(other, on=keys, how="anti")
        if len(missing):
            yield _issue("unmatched", keys[-1], name, missing, f"{len(missing)} {detail}")
    yield from _labels(outc)
    yield from _sexes(sta)
    for name, table, columns in (("dyn", dyn, VARIABLES), ("sta", sta, STATIC)):
        yield from _words(name, table, columns)
    for column in sorted(set(dyn.columns) - {"stay_id", "hour", _ROW, *VARIABLES}):
        detail = f"{column} is no variable; name the variables as ricu does, and leave out others."
        yield issue("unknown_column", "error", column, detail, part="dyn")


def rows_in_order(folder: Path, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The file's rows in the order in which the reader puts them, by stay and time."""
    table = _read(folder / f"{name}.parquet")
    if table is None:
        return np.empty(0, np.int64)
    keys = [key for key in ("stay_id", "hour") if key in table.columns]
    return table.sort(keys)[_ROW].to_numpy().astype(np.int64)


def _read(path: Path) -> pl.DataFrame | None:
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError):
        return None
    if "stay_id" not in table.columns or not table.schema["stay_id"].is_integer():
        return None
    table = table.with_row_index(_ROW).with_columns(pl.col("stay_id").cast(pl.Int64))
    if "time" not in table.columns:
        return table
    if not isinstance(table.schema["time"], pl.Duration):
        return None
    hour = (pl.col("time").dt.total_microseconds() / 3_600_000_000).floor().cast(pl.Int64)
    return table.with_columns(hour=hour).drop("time")


def _issue(check: str, where: str, part: str, found: pl.DataFrame, detail: str) -> QualityIssue:
    return issue(check, "error", where, detail, found[_ROW].sort(), part)


def _keys(name: str, table: pl.DataFrame) -> Iterator[QualityIssue]:
    """Rows without a key, and with one that another row has too."""
    keys = [key for key in ("stay_id", "hour") if key in table.columns]
    where = "stay_id" if len(keys) == 1 else "time"
    nameless = table.filter(pl.any_horizontal(pl.col(keys).is_null()))
    if len(nameless):
        detail = f"{len(nameless)} rows have no stay or no time."
        yield _issue("no_key", where, name, nameless, detail)
    twice = table.filter(pl.struct(keys).is_duplicated())
    same = pl.struct(pl.exclude(_ROW)).is_duplicated()
    for check, found, what in (
        ("duplicated_rows", twice.filter(same), "stand there more than once"),
        ("conflicting_rows", twice.filter(~same), "are of one stay and hour, and differ"),
    ):
        if len(found):
            yield _issue(check, where, name, found, f"{len(found)} rows {what}.")


def _times(name: str, table: pl.DataFrame) -> Iterator[QualityIssue]:
    """Times that go back in the file's order, or leap ahead."""
    before = pl.col("hour").shift().over("stay_id")
    back = table.filter(pl.col("hour") < before)
    if len(back):
        detail = f"In {len(back)} rows time goes back within a stay; rows are taken by their time."
        yield issue("time_goes_back", "warning", "time", detail, back[_ROW], name)
    gap = table.sort("stay_id", "hour").filter(pl.col("hour") - before > LONGEST_GAP_H)
    if len(gap):
        detail = f"{len(gap)} rows come more than {LONGEST_GAP_H} h after the one before."
        yield _issue("time_travel", "time", name, gap, detail)


def _labels(outc: pl.DataFrame) -> Iterator[QualityIssue]:
    if "label" not in outc.columns:
        return
    known = pl.col("label").cast(pl.Float64, strict=False).is_in([0.0, 1.0])
    wrong = outc.filter(~known.fill_null(value=False))
    if len(wrong):
        yield _issue("no_label", "label", "outc", wrong, f"{len(wrong)} labels are not 0 or 1.")


def _sexes(sta: pl.DataFrame) -> Iterator[QualityIssue]:
    if "sex" not in sta.columns:
        return
    wrong = sta.filter(~pl.col("sex").cast(pl.String).is_in(list(_SEXES)))
    if len(wrong):
        detail = f"{len(wrong)} values are none of {', '.join(_SEXES)}; taken as missing."
        yield issue("unknown_word", "warning", "sex", detail, wrong[_ROW], "sta")


def _words(name: str, table: pl.DataFrame, columns: tuple[str, ...]) -> Iterator[QualityIssue]:
    for column in columns:
        if table.schema.get(column) == pl.String:
            number = pl.col(column).cast(pl.Float64, strict=False)
            wrong = table.filter(number.is_null() & pl.col(column).is_not_null())
            detail = f"{column} is of text; {len(wrong)} values of it are no numbers."
            yield _issue("not_a_number", column, name, wrong, detail)
