"""`polyclinic data check` on records: every issue with its column and row, and the exit code."""

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from polyclinic.cli.data import app
from polyclinic.core.errors import QualityRefused


@pytest.fixture
def stays(tmp_path: Path) -> Path:
    """Forty stays of twelve hours."""
    hours = pl.DataFrame({"stay_id": [s for s in range(40) for _ in range(12)]}).with_columns(
        time=pl.duration(hours=pl.int_range(pl.len()) % 12),
        label=(pl.int_range(pl.len()) % 24) == 23,
        hr=80.0 + (pl.int_range(pl.len()) * 7 % 13),
    )
    hours.select("stay_id", "time", "hr").write_parquet(tmp_path / "dyn.parquet")
    hours.select("stay_id", "time", "label").write_parquet(tmp_path / "outc.parquet")
    sta = pl.DataFrame({"stay_id": range(40), "age": [60.0 + s for s in range(40)]})
    sta.with_columns(sex=pl.lit("Male")).write_parquet(tmp_path / "sta.parquet")
    return tmp_path


def change(path: Path, row: int, **values: object) -> None:
    table = pl.read_parquet(path)
    here = pl.int_range(pl.len()) == row
    table.with_columns(
        pl.when(here).then(pl.lit(value)).otherwise(name).alias(name)
        for name, value in values.items()
    ).write_parquet(path)


def issues(path: Path, refused: bool = False) -> dict[tuple[str, str], list[int]]:
    shown = CliRunner().invoke(app, ["check", str(path), "--json"])
    assert isinstance(shown.exception, QualityRefused) == refused, shown.output
    found = json.loads(shown.stdout)["issues"]
    return {(each["check"], each["where"]): each["rows"] for each in found}


def test_a_folder_of_stays_needs_no_recipe(stays: Path) -> None:
    change(stays / "dyn.parquet", 17, hr=900.0)
    change(stays / "sta.parquet", 3, sex="W")
    found = issues(stays)
    assert found["implausible", "hr"] == [17]
    assert found["unknown_word", "sex"] == [3]


def test_rows_are_those_of_the_file_in_whatever_order_it_is(stays: Path) -> None:
    dyn = pl.read_parquet(stays / "dyn.parquet")
    dyn.reverse().write_parquet(stays / "dyn.parquet")
    change(stays / "dyn.parquet", 5, hr=900.0)
    found = issues(stays)
    assert found["implausible", "hr"] == [5]
    assert len(found["time_goes_back", "time"]) == 440


def test_every_fault_of_the_files_is_told_at_once(stays: Path) -> None:
    dyn = pl.read_parquet(stays / "dyn.parquet")
    pl.concat([dyn, dyn[[7]]]).write_parquet(stays / "dyn.parquet")
    sta = pl.read_parquet(stays / "sta.parquet")
    sta[:39].write_parquet(stays / "sta.parquet")
    outc = pl.read_parquet(stays / "outc.parquet")
    outc[1:].write_parquet(stays / "outc.parquet")
    found = issues(stays, refused=True)
    assert found["duplicated_rows", "time"] == [7, 480]
    assert found["unmatched", "stay_id"] == list(range(468, 480))
    assert found["unmatched", "hour"] == [0]


def test_a_table_is_checked_by_its_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(
        "name: t\nkind: diagnosis.record\nlicence: none\n"
        "data:\n  layout: table\n  name: t\n  labels:\n"
        "    - {system: s, code: 'no', display: 'no', finding: false}\n"
        "    - {system: s, code: 'yes', display: 'yes'}\n"
        "  columns: [{name: size, low: 0, high: 50}, {name: ill, role: label}]\n"
        "model: {name: prevalence}\ncard: {title: t}\n"
    )
    rows = "\n".join(f"{i % 37}.5,{'no' if i % 3 else 'yes'}" for i in range(200))
    (tmp_path / "t.csv").write_text(f"size,ill\n{rows}\n80,yes\n".replace("\n7.5,", "\nseven,", 1))
    shown = CliRunner().invoke(
        app,
        ["check", str(tmp_path / "t.csv"), "--recipe", str(tmp_path / "recipe.yaml")],
        env={"COLUMNS": "200"},
    )
    assert "table: 200" in shown.stdout
    assert "not_a_number" in shown.stdout
