"""The defects that `planted_defects.py` plants: each spoils copies of data, and tells where."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl

Frames = dict[str, pl.DataFrame]
#: Which file, columns and rows are spoilt; without rows the whole column is.
Spoilt = tuple[str, tuple[str, ...], set[int]]


class Defect(NamedTuple):
    """What is wrong, in which data, and how it is planted."""

    what: str
    data: str
    plant: Callable[[Frames, np.random.Generator], Spoilt]


def stays_with(dyn: pl.DataFrame, column: str, n: int, rng: np.random.Generator, least: int = 3):
    """Stays, at random, in which a column was measured."""
    counts = dyn.group_by("stay_id").agg(pl.col(column).count()).sort("stay_id")
    return rng.choice(counts.filter(pl.col(column) >= least)["stay_id"].to_numpy(), n, False)


def rows_of(table: pl.DataFrame, chosen: pl.Expr) -> set[int]:
    """The rows of a file for which something holds."""
    return set(table.select(chosen.fill_null(value=False).arg_true()).to_series().to_list())


def in_stays(column: str, change: Callable[[pl.Expr], pl.Expr], n: int = 5, least: int = 3):
    """A column changed in some stays."""

    def plant(frames: Frames, rng: np.random.Generator) -> Spoilt:
        dyn = frames["dyn"]
        chosen = pl.col("stay_id").is_in(stays_with(dyn, column, n, rng, least).tolist())
        rows = rows_of(dyn, chosen & pl.col(column).is_not_null())
        frames["dyn"] = dyn.with_columns(
            pl.when(chosen).then(change(pl.col(column))).otherwise(column).alias(column)
        )
        return "dyn", (column,), rows

    return plant


def in_cells(file: str, column: str, change: Callable[[pl.Expr], pl.Expr], n: int = 5):
    """A column changed in some rows."""

    def plant(frames: Frames, rng: np.random.Generator) -> Spoilt:
        table = frames[file]
        known = sorted(rows_of(table, pl.col(column).is_not_null()))
        rows = rng.choice(known, n, replace=False).tolist()
        here = pl.int_range(pl.len()).is_in(rows)
        frames[file] = table.with_columns(
            pl.when(here).then(change(pl.col(column))).otherwise(column).alias(column)
        )
        return file, (column,), set(rows)

    return plant


def whole(file: str, column: str, change: Callable[[pl.Expr], pl.Expr]):
    """A column changed altogether."""

    def plant(frames: Frames, _: np.random.Generator) -> Spoilt:
        frames[file] = frames[file].with_columns(change(pl.col(column)).alias(column))
        return file, (column,), set()

    return plant


def swapped(one: str, other: str, n: int | None = 3):
    """Two columns in each other's place, in some stays or in all."""

    def plant(frames: Frames, rng: np.random.Generator) -> Spoilt:
        dyn = frames["dyn"]
        chosen = pl.lit(value=True)
        if n is not None:
            chosen = pl.col("stay_id").is_in(stays_with(dyn, one, n, rng).tolist())
        rows = rows_of(dyn, chosen & pl.col(one).is_not_null()) if n else set()
        frames["dyn"] = dyn.with_columns(
            pl.when(chosen).then(other).otherwise(one).alias(one),
            pl.when(chosen).then(one).otherwise(other).alias(other),
        )
        return "dyn", (one, other), rows

    return plant


def shifted(column: str, n: int | None, least: int = 6):
    """A column an hour late, in some stays or in all."""

    def plant(frames: Frames, rng: np.random.Generator) -> Spoilt:
        dyn = frames["dyn"]
        chosen = pl.lit(value=True)
        if n is not None:
            chosen = pl.col("stay_id").is_in(stays_with(dyn, column, n, rng, least).tolist())
        late = pl.col(column).shift().over("stay_id")
        frames["dyn"] = dyn.with_columns(pl.when(chosen).then(late).otherwise(column).alias(column))
        return (
            "dyn",
            (column,),
            rows_of(frames["dyn"], chosen & pl.col(column).is_not_null()) if n else set(),
        )

    return plant


def stays_again(noise: float, n: int = 3):
    """Stays that stand there twice, under another id."""

    def plant(frames: Frames, rng: np.random.Generator) -> Spoilt:
        chosen = stays_with(frames["dyn"], "hr", n, rng, 12).tolist()
        for name, table in frames.items():
            again = table.filter(pl.col("stay_id").is_in(chosen))
            again = again.with_columns(pl.col("stay_id") + 5_000_000)
            if name == "dyn" and noise:
                values = [c for c in again.columns if c not in ("stay_id", "time")]
                again = again.with_columns(
                    pl.col(c) * (1 + pl.Series(rng.normal(0, noise, len(again)))) for c in values
                )
            frames[name] = pl.concat([table, again.cast(dict(table.schema))])
        dyn = frames["dyn"]
        ids = [*chosen, *(c + 5_000_000 for c in chosen)]
        return "dyn", ("stay_id",), rows_of(dyn, pl.col("stay_id").is_in(ids))

    return plant


def rows_again(frames: Frames, rng: np.random.Generator) -> Spoilt:
    """Hours that stand there twice."""
    dyn = frames["dyn"]
    rows = rng.choice(len(dyn), 4, replace=False).tolist()
    frames["dyn"] = pl.concat([dyn, dyn[rows]])
    return "dyn", ("time",), {*rows, *range(len(dyn), len(dyn) + 4)}


def stay_ids_again(frames: Frames, rng: np.random.Generator) -> Spoilt:
    """Stays with two sexes."""
    sta = frames["sta"]
    rows = rng.choice(len(sta), 3, replace=False).tolist()
    again = sta[rows].with_columns(age=pl.col("age") + 7)
    frames["sta"] = pl.concat([sta, again])
    return "sta", ("stay_id",), {*rows, *range(len(sta), len(sta) + 3)}


def label_of_nobody(frames: Frames, rng: np.random.Generator) -> Spoilt:
    """A label for stays that are not there."""
    outc = frames["outc"]
    stay = int(rng.integers(6_000_000, 7_000_000))
    extra = outc.head(3).with_columns(pl.lit(stay).cast(outc.schema["stay_id"]).alias("stay_id"))
    frames["outc"] = pl.concat([outc, extra])
    return "outc", ("time", "stay_id"), set(range(len(outc), len(outc) + 3))


def stay_without_hours(frames: Frames, rng: np.random.Generator) -> Spoilt:
    """Stays of which no hour is there."""
    sta = frames["sta"]
    rows = rng.choice(len(sta), 2, replace=False).tolist()
    gone = sta[rows]["stay_id"].to_list()
    for name in ("dyn", "outc"):
        frames[name] = frames[name].filter(~pl.col("stay_id").is_in(gone))
    return "sta", ("stay_id",), set(rows)


def moved_in_time(hours: int):
    """The last hours of some stays, moved in time together with their labels."""

    def plant(frames: Frames, rng: np.random.Generator) -> Spoilt:
        chosen = stays_with(frames["dyn"], "hr", 3, rng, 12).tolist()
        spoilt: set[int] = set()
        for name in ("dyn", "outc"):
            table = frames[name]
            edge = pl.col("time").max() if hours > 0 else pl.col("time").min()
            here = pl.col("stay_id").is_in(chosen) & (pl.col("time") == edge.over("stay_id"))
            spoilt = rows_of(table, here)
            frames[name] = table.with_columns(
                pl.when(here)
                .then(pl.col("time") + pl.duration(hours=hours))
                .otherwise("time")
                .cast(table.schema["time"])
                .alias("time")
            )
        return "dyn", ("time",), spoilt

    return plant


def back_in_time(frames: Frames, rng: np.random.Generator) -> Spoilt:
    """Hours of some stays written down out of order."""
    dyn = frames["dyn"].with_row_index("row")
    chosen = stays_with(frames["dyn"], "hr", 3, rng, 12).tolist()
    mine = pl.col("stay_id").is_in(chosen)
    place = pl.when(mine).then(pl.col("row").reverse().over("stay_id")).otherwise("row")
    frames["dyn"] = dyn.with_columns(place=place).sort("place").drop("row", "place")
    return (
        "dyn",
        ("time",),
        rows_of(frames["dyn"], mine & (pl.col("time") < pl.col("time").shift().over("stay_id"))),
    )


def frozen(column: str, hours: int):
    """A sensor that hangs for two days in two stays."""

    def plant(frames: Frames, rng: np.random.Generator) -> Spoilt:
        dyn = frames["dyn"]
        chosen = stays_with(dyn, column, 2, rng, hours + 4).tolist()
        nth = pl.int_range(pl.len()).over("stay_id")
        here = pl.col("stay_id").is_in(chosen) & (nth >= 2) & (nth < 2 + hours)
        here &= pl.col(column).is_not_null()
        first = pl.col(column).drop_nulls().first().over("stay_id")
        frames["dyn"] = dyn.with_columns(pl.when(here).then(first).otherwise(column).alias(column))
        return "dyn", (column,), rows_of(dyn, here)

    return plant


def leak(frames: Frames, _: np.random.Generator) -> Spoilt:
    """A column that holds what another shows three hours later."""
    later = pl.col("hr").shift(-3).over("stay_id")
    frames["dyn"] = frames["dyn"].with_columns(crp=later)
    return "dyn", ("crp",), set()


def copy_of_label(frames: Frames, _: np.random.Generator) -> Spoilt:
    """The label in a column of its own."""
    label = frames["outc"]["label"].cast(pl.Float64)
    frames["dyn"] = frames["dyn"].with_columns((label + 1).alias("tnt"))
    return "dyn", ("tnt",), set()


def table_rows_again(noise: float):
    """Rows of the table that stand there twice."""

    def plant(frames: Frames, rng: np.random.Generator) -> Spoilt:
        table = frames["table"]
        rows = rng.choice(len(table), 4, replace=False).tolist()
        again = table[rows]
        again = again.with_columns(
            pl.col(c) * (1 + pl.Series(rng.normal(0, noise, 4))) for c in again.columns[:-1]
        )
        frames["table"] = pl.concat([table, again])
        return "table", ("table",), {*rows, *range(len(table), len(table) + 4)}

    return plant


def table_shift(column: str, first: int, last: int):
    """A column of the table one row too low, from one row to another."""

    def plant(frames: Frames, _: np.random.Generator) -> Spoilt:
        here = pl.int_range(pl.len()).is_between(first, last - 1)
        moved = pl.when(here).then(pl.col(column).shift(fill_value=pl.col(column).first()))
        frames["table"] = frames["table"].with_columns(moved.otherwise(column).alias(column))
        return "table", (column,), set(range(first, last))

    return plant


AKI, SEPSIS, DEATH, TABLE = "aki", "sepsis", "mortality24", "table"
DEFECTS = (
    Defect("creatinine in umol/L, 5 stays", AKI, in_stays("crea", lambda v: v * 88.4)),
    Defect("glucose in mmol/L, 5 stays", AKI, in_stays("glu", lambda v: v / 18.0156)),
    Defect("glucose in mmol/L, all", AKI, whole("dyn", "glu", lambda v: v / 18.0156)),
    Defect("temperature in Fahrenheit, 5 stays", DEATH, in_stays("temp", lambda v: v * 1.8 + 32)),
    Defect("haemoglobin in g/L, 3 stays", SEPSIS, in_stays("hgb", lambda v: v * 10, 3)),
    Defect("weight in pounds, all", DEATH, whole("sta", "weight", lambda v: v * 2.20462)),
    Defect("height in metres, 5 stays", AKI, in_cells("sta", "height", lambda v: v / 100)),
    Defect("height in inches, 8 stays", SEPSIS, in_cells("sta", "height", lambda v: v / 2.54, 8)),
    Defect("potassium and sodium swapped, 3 stays", AKI, swapped("k", "na")),
    Defect("systolic and diastolic pressure swapped, 3 stays", SEPSIS, swapped("sbp", "dbp")),
    Defect("heart rate and breaths swapped, all", AKI, swapped("hr", "resp", None)),
    Defect("heart rate and breaths swapped, 3 stays", DEATH, swapped("hr", "resp")),
    Defect("creatinine an hour late, 8 stays", AKI, shifted("crea", 8)),
    Defect("urea an hour late, all", SEPSIS, shifted("bun", None)),
    Defect("systolic pressure an hour late, 3 stays", AKI, shifted("sbp", 3, 40)),
    Defect("decimal point of pH lost, 4 stays", DEATH, in_stays("ph", lambda v: v * 10, 4, 2)),
    Defect("sodium ten times too small, 4 stays", AKI, in_stays("na", lambda v: v / 10, 4)),
    Defect("heart rate ten times too large, 5 hours", AKI, in_cells("dyn", "hr", lambda v: v * 10)),
    Defect("sign of urea flipped, 5 values", AKI, in_cells("dyn", "bun", lambda v: -v)),
    Defect(
        "999 for missing glucose, 12 values",
        SEPSIS,
        in_cells("dyn", "glu", lambda v: v * 0 + 999, 12),
    ),
    Defect(
        "-1 for missing lactate, 6 values", AKI, in_cells("dyn", "lact", lambda v: v * 0 - 1, 6)
    ),
    Defect(
        "infinite heart rate, 3 values", AKI, in_cells("dyn", "hr", lambda v: v * 0 + np.inf, 3)
    ),
    Defect("negative ages, 3 stays", SEPSIS, in_cells("sta", "age", lambda v: -v, 3)),
    Defect("sex in another word, 4 stays", AKI, in_cells("sta", "sex", lambda _: pl.lit("W"), 4)),
    Defect("hours before the stay", AKI, moved_in_time(-30)),
    Defect("hours far in the future", SEPSIS, moved_in_time(2000)),
    Defect("time goes back, 3 stays", AKI, back_in_time),
    Defect("hours there twice", AKI, rows_again),
    Defect("stay ids there twice", DEATH, stay_ids_again),
    Defect("stays copied under other ids", SEPSIS, stays_again(0.0)),
    Defect("stays copied and disturbed by 0.3%", AKI, stays_again(0.003)),
    Defect("labels of no stay", AKI, label_of_nobody),
    Defect("stays without hours", SEPSIS, stay_without_hours),
    Defect("heart rate frozen for 48 hours, 2 stays", SEPSIS, frozen("hr", 48)),
    Defect("temperature constant, all", DEATH, whole("dyn", "temp", lambda v: v * 0 + 37)),
    Defect("a column three hours ahead", AKI, leak),
    Defect("the label as a column", AKI, copy_of_label),
    Defect("rows of the table there twice", TABLE, table_rows_again(0.0)),
    Defect("rows of the table almost there twice", TABLE, table_rows_again(0.001)),
    Defect("a column of the table a row too low", TABLE, table_shift("mean perimeter", 0, 569)),
    Defect("the same from row 200 to 300", TABLE, table_shift("mean area", 200, 300)),
    Defect(
        "a column of the table without its point",
        TABLE,
        in_cells("table", "mean radius", lambda v: v * 100, 5),
    ),
)
