"""A table, CSV or Parquet: each row is an example, and the recipe has its column dictionary."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput, NotFound, UnsupportedInput
from polyclinic.diagnosis.records.inputs import Inputs
from polyclinic.diagnosis.records.recipe import TableData
from polyclinic.diagnosis.records.records import Records
from polyclinic.diagnosis.records.variables import AGE, Variable, age_bands
from polyclinic.learning.labels import Labels
from polyclinic.learning.prepare.issues import QualityIssue, issue

#: Words that say that a value is missing.
_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "None", "?")


def read_table(path: Path, data: TableData) -> Records:
    """The rows of a table. Rows without a label, or with an unknown one, are left out, and named.

    Of multi-label data a row without any has none of the labels.
    A word where a number belongs, or that is none of a category's, counts as missing, and is named.
    Raises `NotFound`, or `InvalidInput` naming the column that is not there.
    """
    table = _text(path, data)
    missing = [column.name for column in data.columns if column.name not in table.columns]
    if missing:
        raise InvalidInput(f"The columns {', '.join(missing)} are missing.", where=str(path))
    issues = list(_unknown_columns(table, data))
    label = _one(data, "label")
    written = [each.written for each in data.labels]
    y, labelled = _labels(table[label.name], written, several=data.multi_label)
    unlabelled = np.flatnonzero(~labelled).tolist()
    if unlabelled:
        detail = f"{len(unlabelled)} rows have none of the labels {', '.join(written)}; left out."
        issues.append(issue("no_label", "warning", label.name, detail, unlabelled))
    origin = pl.Series(labelled).arg_true()
    table, y = table[origin], y[labelled]
    if not len(y):
        raise InvalidInput(f"No row has one of the labels {', '.join(written)}.", where=str(path))
    told = [column for column in data.columns if column.role == "feature"]
    features = [column for column in told if column.type != "text"]
    notes = [column for column in told if column.type == "text"]
    columns = [np.empty((len(y), 0), np.float32)]
    for variable in features:
        values, found = _values(table[variable.name], variable, origin.to_numpy())
        columns.append(values[:, None])
        issues += found
    for variable in told:
        issues += _measured_later(table, variable, data, origin.to_numpy())
    fixed = np.concatenate(columns, axis=1)
    patient = next((column for column in data.columns if column.role == "patient"), None)
    part = next((column for column in data.columns if column.role == "part"), None)
    rows = np.arange(len(y))
    return Records(
        fixed=tuple(features),
        hourly=(),
        inputs=Inputs(fixed, rows),
        y=y,
        patient=_patients(None if patient is None else table[patient.name], origin),
        part=np.full(len(y), "")
        if part is None
        else table[part.name].fill_null("").to_numpy().astype(np.str_),
        origin=origin.to_numpy().astype(np.int64),
        subgroups=dict(_subgroups(table, data, fixed, features)),
        issues=tuple(issues),
        notes=tuple(notes),
        texts=tuple(table.select(each.name for each in notes).fill_null("").rows())
        if notes
        else (),
    )


def _text(path: Path, data: TableData) -> pl.DataFrame:
    """The table with every column as text, so that nothing is guessed of its types."""
    try:
        if path.suffix == ".parquet":
            table = pl.read_parquet(path).cast(pl.String)
        elif path.suffix == ".csv":
            names = None if data.header else [column.name for column in data.columns]
            table = pl.read_csv(
                path,
                has_header=data.header,
                skip_rows=0 if data.header else 1,
                new_columns=names,
                infer_schema=False,
                encoding="utf8",
            )
        else:
            raise UnsupportedInput(
                "This is no table.", where=str(path), remedy="Give a .csv or a .parquet file."
            )
    except OSError as error:
        raise NotFound(
            f"The table cannot be read: {error.strerror or error}.", where=str(path)
        ) from None
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(f"The table cannot be read: {error}", where=str(path)) from None
    stripped = pl.all().str.strip_chars()
    return table.select(pl.when(~stripped.is_in(_MISSING)).then(stripped).name.keep())


def _patients(ids: pl.Series | None, origin: pl.Series) -> NDArray[np.str_]:
    """Whose each row is; one without an id is of a patient of its own."""
    alone = pl.select(pl.format("row {}", origin)).to_series()
    whose = alone if ids is None else ids.zip_with(ids.is_not_null(), alone)
    return whose.to_numpy().astype(np.str_)


def _labels(
    column: pl.Series, written: list[str], *, several: bool
) -> tuple[Labels, NDArray[np.bool_]]:
    """The labels as in `Part`, and which rows (n,) have such as are written."""
    if not several:
        codes = {word: code for code, word in enumerate(written)}
        y = column.replace_strict(codes, default=None, return_dtype=pl.Int64)
        return y.fill_null(0).to_numpy().astype(np.int64), y.is_not_null().to_numpy()
    rows = [
        {word.strip() for word in text.split("|")} - {""} for text in column.fill_null("").to_list()
    ]
    known = np.array([row <= set(written) for row in rows], np.bool_)
    return np.array([[word in row for word in written] for row in rows], np.bool_), known


def _one(data: TableData, role: str) -> Variable:
    return next(column for column in data.columns if column.role == role)


def _values(
    column: pl.Series, variable: Variable, origin: NDArray[np.generic]
) -> tuple[NDArray[np.float32], list[QualityIssue]]:
    """A column as numbers (n,), a category as the index of its word; NaN where missing."""
    if variable.type == "number":
        values = column.cast(pl.Float64, strict=False)
        wrong, what = "not_a_number", "no numbers"
    else:
        words = {word: float(code) for code, word in enumerate(variable.categories)}
        values = column.replace_strict(words, default=None, return_dtype=pl.Float64)
        wrong, what = "unknown_word", f"none of {', '.join(words)}"
    lost = (values.is_null() & column.is_not_null()).arg_true().to_numpy()
    issues = []
    if lost.size:
        detail = f"{lost.size} values are {what}; taken as missing."
        issues = [issue(wrong, "warning", variable.name, detail, origin[lost])]
    return values.fill_null(np.nan).to_numpy().astype(np.float32), issues


def _measured_later(
    table: pl.DataFrame, variable: Variable, data: TableData, origin: NDArray[np.generic]
) -> Iterator[QualityIssue]:
    """An error where a column was measured after the decision."""
    if variable.measured is None or data.decided is None:
        return
    measured, decided = _time(table[variable.measured]), _time(table[data.decided])
    later = ((measured > decided) & table[variable.name].is_not_null()).fill_null(value=False)
    rows = later.arg_true().to_numpy()
    if rows.size:
        detail = (
            f"{variable.name} was measured after the decision in {rows.size} rows "
            f"({variable.measured} is later than {data.decided})."
        )
        yield issue("after_decision", "error", variable.name, detail, origin[rows])


def _time(column: pl.Series) -> pl.Series:
    """A column of times as numbers: of hours or days as they stand, of dates since 1970."""
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.null_count() == column.null_count():
        return numbers
    dates = column.str.to_datetime(strict=False, time_unit="us")
    return dates.dt.epoch("us").cast(pl.Float64)


def _unknown_columns(table: pl.DataFrame, data: TableData) -> Iterator[QualityIssue]:
    known = {column.name for column in data.columns}
    for name in table.columns:
        if name not in known:
            detail = f"{name} is not in the column dictionary; not used."
            yield issue("unknown_column", "warning", name, detail)


def _subgroups(
    table: pl.DataFrame,
    data: TableData,
    fixed: NDArray[np.float32],
    features: list[Variable],
) -> Iterator[tuple[str, NDArray[np.str_]]]:
    for column in data.columns:
        if column.role == "group":
            yield column.name, table[column.name].fill_null("unknown").to_numpy().astype(np.str_)
    for index, variable in enumerate(features):
        values = fixed[:, index]
        if variable.name == AGE and variable.type == "number":
            yield AGE, age_bands(values)
        elif variable.type == "category":
            words = np.array([*variable.categories, "unknown"])
            code = np.where(np.isnan(values), len(variable.categories), values).astype(np.int64)
            yield variable.name, words[code]
