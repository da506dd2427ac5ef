"""What must never be learnt from is refused, and by its name."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from patient_records import STAYS_RECIPE, TABLE_RECIPE, lumps, write_stays

from polyclinic.core.errors import InvalidInput, QualityRefused
from polyclinic.diagnosis.records.parting import parted
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.source import read_records
from polyclinic.diagnosis.records.steps.prepare import check, prepare
from polyclinic.learning.prepare.issues import QualityIssue

FEATURE = "    - {name: malignant, role: label}"


def recipe_of(text: str, *columns: str) -> RecordRecipe:
    more = "\n".join([*(f"    - {column}" for column in columns), FEATURE])
    return RecordRecipe.model_validate(yaml.safe_load(text.replace(FEATURE, more)))


def refused(recipe: RecordRecipe, path: Path) -> str:
    with pytest.raises(QualityRefused) as raised:
        prepare(recipe, path, path.parent)
    return raised.value.detail


def issues(recipe: RecordRecipe, path: Path) -> dict[str, QualityIssue]:
    records = read_records(path, recipe.data)
    report = check(recipe, records, parted(records, recipe.seed))
    return {each.check: each for each in report.issues}


def written(tmp_path: Path, **columns: object) -> Path:
    path = tmp_path / "lumps.csv"
    lumps().with_columns(**columns).write_csv(path)
    return path


def test_clean_data_raise_no_alarm(tmp_path: Path) -> None:
    assert issues(recipe_of(TABLE_RECIPE), written(tmp_path)) == {}
    found = issues(recipe_of(STAYS_RECIPE), write_stays(tmp_path / "stays"))
    # Both are true: all variables but two are never measured there, and the stays are few.
    assert set(found) == {"empty_column", "few_examples"}


def test_a_feature_known_only_after_the_decision_is_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, discharge_code=pl.col("size") * 2)
    recipe = recipe_of(TABLE_RECIPE, "{name: discharge_code, known: after decision}")
    assert "discharge_code is known only after" in refused(recipe, path)


def test_a_feature_measured_after_the_decision_is_refused_by_name_and_row(tmp_path: Path) -> None:
    taken = ["2024-01-01T08:00:00"] * 399 + ["2024-01-03T08:00:00"]
    path = written(
        tmp_path,
        taken=pl.Series(taken),
        decided=pl.lit("2024-01-02T00:00:00"),
        marker=pl.col("size") + 1,
    )
    columns = "{name: marker, measured: taken}", "{name: taken, role: time}"
    text = TABLE_RECIPE.replace("  layout: table", "  layout: table\n  decided: decided")
    recipe = recipe_of(text, *columns, "{name: decided, role: time}")
    assert "marker was measured after the decision in 1 rows" in refused(recipe, path)
    assert issues(recipe, path)["after_decision"].rows == (399,)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_copy_of_the_label_is_refused_by_name(tmp_path: Path, noise: float) -> None:
    rng = np.random.default_rng(0)
    label = (lumps()["malignant"] == "yes").to_numpy()
    path = written(tmp_path, verdict=pl.Series(label + noise * rng.normal(size=400)))
    assert "verdict tells the label by itself" in refused(
        recipe_of(TABLE_RECIPE, "{name: verdict}"), path
    )


def test_a_column_filled_in_only_where_the_label_is_true_is_refused(tmp_path: Path) -> None:
    stage = pl.when(pl.col("malignant") == "yes").then(pl.lit(2))
    path = written(tmp_path, stage=stage)
    assert "stage being known tells the label" in refused(
        recipe_of(TABLE_RECIPE, "{name: stage}"), path
    )


def test_a_copy_of_the_label_among_hourly_values_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_stays(tmp_path / "stays")
    label = pl.read_parquet(folder / "outc.parquet")["label"].cast(pl.Float64)
    dyn = pl.read_parquet(folder / "dyn.parquet").with_columns(lact=label + 1)
    dyn.write_parquet(folder / "dyn.parquet")
    assert "lact tells the label by itself" in refused(recipe_of(STAYS_RECIPE), folder)


def test_a_column_that_foretells_another_is_refused_by_name(tmp_path: Path) -> None:
    folder = write_stays(tmp_path / "stays")
    dyn = pl.read_parquet(folder / "dyn.parquet")
    later = pl.col("hr").shift(-2).over("stay_id")
    dyn.with_columns(resp=later).write_parquet(folder / "dyn.parquet")
    said = refused(recipe_of(STAYS_RECIPE), folder)
    assert "resp holds what hr shows only 2 h later" in said


def test_a_patient_in_two_parts_is_refused(tmp_path: Path) -> None:
    part = ["train"] * 280 + ["validation"] * 60 + ["test"] * 60
    people = [f"p{i}" for i in range(399)] + ["p0"]
    path = written(tmp_path, part=pl.Series(part), person=pl.Series(people))
    said = refused(recipe_of(TABLE_RECIPE, "{name: part, role: part}"), path)
    assert "train and test: 1 patients stand in both" in said


def test_parts_are_stated_of_every_row_or_of_none(tmp_path: Path) -> None:
    path = written(tmp_path, part=pl.Series(["train"] * 200 + [""] * 200))
    with pytest.raises(InvalidInput, match="part"):
        prepare(recipe_of(TABLE_RECIPE, "{name: part, role: part}"), path, tmp_path)


def test_time_before_the_stay_is_refused(tmp_path: Path) -> None:
    folder = write_stays(tmp_path / "stays")
    for name in ("dyn", "outc"):
        table = pl.read_parquet(folder / f"{name}.parquet")
        early = pl.when(pl.int_range(pl.len()) == 0).then(pl.duration(hours=-3))
        table.with_columns(time=early.otherwise("time")).write_parquet(folder / f"{name}.parquet")
    assert "1 times lie before the stay" in refused(recipe_of(STAYS_RECIPE), folder)


def test_slips_are_reported_with_their_rows_and_wrong_units_refused(tmp_path: Path) -> None:
    table = lumps()
    size = table["size"].to_numpy().copy()
    size[[3, 17]] = -5.0
    path = written(tmp_path, size=pl.Series(size).fill_nan(None))
    slip = issues(recipe_of(TABLE_RECIPE), path)["implausible"]
    assert (slip.severity, slip.where, slip.rows) == ("warning", "size", (3, 17))
    prepared = prepare(recipe_of(TABLE_RECIPE), path, tmp_path)
    assert any("-5" not in note and "size" in note for note in prepared.notes)
    path = written(tmp_path, crea=pl.col("crea") * 88.4)
    assert "values of crea lie outside" in refused(recipe_of(TABLE_RECIPE), path)


def test_rows_that_stand_twice_are_reported_and_contradictions_refused(tmp_path: Path) -> None:
    path = tmp_path / "lumps.csv"
    table = lumps().with_columns(size=pl.col("size").fill_null(20.0))
    pl.concat([table, table.head(2)]).write_csv(path)
    assert issues(recipe_of(TABLE_RECIPE), path)["duplicated_rows"].rows == (0, 1, 400, 401)
    other = {"yes": "no", "no": "yes"}
    wrong = table.head(1).with_columns(pl.col("malignant").replace(other))
    pl.concat([table, wrong]).write_csv(path)
    assert issues(recipe_of(TABLE_RECIPE), path)["conflicting_labels"].rows == (0, 400)


def test_what_tells_nothing_or_cannot_be_read_is_reported(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        crea=pl.lit(1.0),
        age=pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("old")).otherwise("age"),
        site=pl.when(pl.int_range(pl.len()) == 9).then(pl.lit("above")).otherwise("site"),
        remark=pl.lit("none"),
    )
    found = issues(recipe_of(TABLE_RECIPE), path)
    assert found["constant_column"].where == "crea"
    assert (found["not_a_number"].where, found["not_a_number"].rows) == ("age", (7,))
    assert (found["unknown_word"].where, found["unknown_word"].rows) == ("site", (9,))
    assert found["unknown_column"].where == "remark"


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lumps.csv"
    lumps().drop("size").write_csv(path)
    with pytest.raises(InvalidInput, match="size"):
        prepare(recipe_of(TABLE_RECIPE), path, tmp_path)
