"""Folders of CSV tables, as the open intensive-care databases are given out."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from polyclinic.clinical.analytes import BY_LOINC
from polyclinic.clinical.codes import LOINC, known
from polyclinic.clinical.report import Report
from polyclinic.clinical.timeline import EVENTS, Kind, Patient, Timeline, patient_frame
from polyclinic.clinical.units import conversion
from polyclinic.core.errors import InvalidInput, NotFound

TIME = pl.Datetime("us", "UTC")


class Export:
    """The tables of a folder, and the events made of them."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise NotFound("There is no such folder.", where=str(folder))
        self.folder = folder
        self.report = Report()
        self._files = {path.name.lower(): path for path in folder.iterdir()}
        self._events: list[pl.DataFrame] = []

    def table(
        self, name: str, columns: Mapping[str, pl.DataType], *, key: str
    ) -> pl.DataFrame | None:
        """The columns of `NAME.csv` or `NAME.csv.gz`, whatever their case; None without the file.

        A cell that is not of its column's type is reported and left empty; a row without `key` is
        reported and left out. Raises `InvalidInput` where the file or one of the columns is none.
        """
        lower = name.lower()
        path = self._files.get(f"{lower}.csv.gz") or self._files.get(f"{lower}.csv")
        if path is None:
            return None
        text = _text(path, columns)
        typed = text.with_columns(_cast(column, dtype) for column, dtype in columns.items())
        for column in columns:
            wrong = (typed[column].is_null() & text[column].is_not_null()).arg_true()
            if len(wrong):
                where = f"{path.name}, row {wrong[0] + 1}"
                self.report.add(
                    "unreadable_value",
                    "warning",
                    where,
                    f"{column} is no {columns[column]}.",
                    len(wrong),
                )
        nameless = typed[key].is_null().arg_true()
        for row in nameless:
            self.report.add(
                "unreadable_row", "error", f"{path.name}, row {row + 1}", f"There is no {key}."
            )
        self.report.read[name] += len(typed) - len(nameless)
        return typed.filter(pl.col(key).is_not_null())

    def required(self, name: str, columns: Mapping[str, pl.DataType], *, key: str) -> pl.DataFrame:
        """As `table`; raises `NotFound` without the file."""
        table = self.table(name, columns, key=key)
        if table is None:
            raise NotFound(f"There is no {name}.csv and no {name}.csv.gz.", where=str(self.folder))
        return table

    def belonging(self, table: pl.DataFrame, to: pl.DataFrame, key: str, name: str) -> pl.DataFrame:
        """The rows of table `name`, joined with `to`; those whose `key` it lacks are lost."""
        lost = table.join(to, on=key, how="anti")
        if len(lost):
            detail = f"{key} {lost[key][0]} is not there."
            self.report.add("dangling_reference", "error", name, detail, len(lost))
        return table.join(to, on=key, how="inner", maintain_order="left")

    def add(self, table: pl.DataFrame, kind: Kind, name: str) -> None:
        """Take the rows of table `name` as events: of its columns those that events have."""
        events = (
            table.select(column for column in table.columns if column in EVENTS)
            .with_columns(kind=pl.lit(kind, EVENTS["kind"]))
            .match_to_schema(EVENTS, missing_columns="insert")
        )
        events = in_units(events)
        flagged = events.filter(pl.col("canonical").not_())
        self._count(flagged.filter(pl.col("unit").is_null()), "no_unit", name)
        self._count(flagged.filter(pl.col("unit").is_not_null()), "unknown_unit", name, "unit")
        self._count(events.filter(pl.col("code").is_null()), "no_code", name)
        self._count(events.filter(pl.col("known").is_null()), "no_time", name)
        codes = events.drop_nulls("code").group_by("system", "code").len().sort("system", "code")
        for system, code, times in codes.iter_rows():
            if not known(system, code):
                self.report.unknown_code(name, f"{system or ''}|{code}", times)
        self._events.append(events)

    def timeline(self, patients: Iterable[Patient]) -> Timeline:
        """All events so far, of these patients."""
        return Timeline.of(pl.concat(self._events), patient_frame(patients))

    def _count(self, rows: pl.DataFrame, check: str, name: str, what: str | None = None) -> None:
        if len(rows):
            detail = f"The first is {rows['source'][0]}" + (f": {rows[what][0]}." if what else ".")
            self.report.add(check, "warning", name, detail, len(rows))


def in_units(events: pl.DataFrame) -> pl.DataFrame:
    """Events with every value in the unit of its code, where that can be: `clinical.units`."""
    keys = ["system", "code", "unit"]
    lines = []
    for system, code, unit in events.drop_nulls("value").select(keys).unique().iter_rows():
        loinc = code if system == LOINC else None
        found = conversion(loinc, unit)
        canonical = False if found is None else True if loinc in BY_LOINC else None
        lines.append((system, code, unit, *(found or (1.0, 0.0, unit)), canonical))
    schema = {
        **{key: pl.String() for key in keys},
        "slope": pl.Float64(),
        "intercept": pl.Float64(),
        "its_unit": pl.String(),
        "is_canonical": pl.Boolean(),
    }
    table = pl.DataFrame(lines, schema, orient="row")
    valued = pl.col("value").is_not_null()
    return (
        events.join(table, on=keys, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(
            value=pl.col("value") * pl.col("slope") + pl.col("intercept"),
            unit=pl.when(valued).then("its_unit").otherwise("unit"),
            canonical=pl.when(valued).then("is_canonical"),
        )
        .select(EVENTS.names())
    )


def _text(path: Path, columns: Iterable[str]) -> pl.DataFrame:
    """These columns of a file, as text without blanks around it; empty cells are null."""
    try:
        table = pl.read_csv(
            path, infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InvalidInput(f"This is no CSV: {error}", where=str(path)) from None
    names = {column.strip().lower(): column for column in table.columns}
    missing = [column for column in columns if column not in names]
    if missing:
        raise InvalidInput(f"There is no column {', '.join(missing)}.", where=str(path))
    stripped = (pl.col(names[column]).str.strip_chars().alias(column) for column in columns)
    return table.select(stripped).with_columns(pl.when(pl.all().str.len_bytes() > 0).then(pl.all()))


def _cast(column: str, dtype: pl.DataType) -> pl.Expr:
    cell = pl.col(column)
    if dtype == TIME:
        return cell.str.to_datetime(
            "%Y-%m-%d %H:%M:%S", time_unit="us", strict=False
        ).dt.replace_time_zone("UTC")
    return cell.cast(dtype, strict=False)
