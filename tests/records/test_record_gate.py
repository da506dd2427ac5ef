"""What must never be learnt from is refused, and by its name."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from patient_records import STAYS_RECIPE, TABLE_RECIPE, lumps, write_stays

from polyclinic.core.errors import InvalidInput, QualityRefused
from polyclinic.diagnosis.records.checks import check_records
from polyclinic.diagnosis.records.gate import judge, recipe_of_stays
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


def test_the_no_of_a_column_of_ones_and_zeros_stands_for_no_missing_value(tmp_path: Path) -> None:
    path = written(tmp_path, smoker=pl.int_range(pl.len()) % 3 // 2)
    assert "sentinel" not in issues(
        recipe_of(TABLE_RECIPE, "{name: smoker, low: 0, high: 1}"), path
    )


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


def spoil(folder: Path, **columns: object) -> Path:
    dyn = pl.read_parquet(folder / "dyn.parquet")
    dyn.with_columns(**columns).write_parquet(folder / "dyn.parquet")
    return folder


def spoilt_rows(folder: Path, column: str, *stays: int) -> tuple[int, ...]:
    dyn = pl.read_parquet(folder / "dyn.parquet")
    here = pl.col("stay_id").is_in(stays) & pl.col(column).is_not_null()
    return tuple(dyn.select(here.arg_true()).to_series().to_list())


def vary(folder: Path, middle: float, width: float) -> pl.Series:
    """Values about a level of each stay's own, of which two thirds lie within `width`."""
    stay = pl.read_parquet(folder / "dyn.parquet")["stay_id"].to_numpy()
    rng = np.random.default_rng(1)
    level = rng.normal(middle, width, stay.max() + 1)
    return pl.Series(rng.normal(level[stay], width / 2))


def when(stays: list[int], then: pl.Expr, column: str) -> pl.Expr:
    return pl.when(pl.col("stay_id").is_in(stays)).then(then).otherwise(column)


def test_another_unit_in_some_stays_is_named_with_their_rows(tmp_path: Path) -> None:
    folder = write_stays(tmp_path / "stays")
    spoil(folder, glu=vary(folder, 140, 12))
    spoil(folder, glu=when([5, 9], pl.col("glu") / 18.0156, "glu"))
    found = issues(recipe_of(STAYS_RECIPE), folder)["wrong_unit"]
    assert (found.where, found.severity) == ("glu", "warning")
    assert "in mmol/L" in found.detail
    assert found.rows == spoilt_rows(folder, "glu", 5, 9)


def test_another_unit_of_a_whole_column_is_refused(tmp_path: Path) -> None:
    folder = write_stays(tmp_path / "stays")
    spoil(folder, glu=7 + pl.int_range(pl.len()) % 9 * 0.3)
    assert "its values look as if in mmol/L" in refused(recipe_of(STAYS_RECIPE), folder)


def test_swapped_columns_are_named_with_their_rows(tmp_path: Path) -> None:
    folder = write_stays(tmp_path / "stays")
    high, low = vary(folder, 120, 8), vary(folder, 60, 5)
    spoil(
        folder,
        sbp=pl.when(pl.col("stay_id") == 7).then(low).otherwise(high),
        dbp=pl.when(pl.col("stay_id") == 7).then(high).otherwise(low),
    )
    found = issues(recipe_of(STAYS_RECIPE), folder)["swapped_columns"]
    assert "dbp and sbp" in found.detail
    assert found.rows == spoilt_rows(folder, "sbp", 7)


def test_a_column_late_in_one_stay_is_named_with_its_rows(tmp_path: Path) -> None:
    folder = write_stays(tmp_path / "stays")
    sample = pl.when(pl.int_range(pl.len()).over("stay_id") % 4 == 1)
    chemistry = {
        name: sample.then(base + pl.int_range(pl.len()) % 5)
        for name, base in (("na", 138), ("cl", 103), ("bun", 15))
    }
    spoil(folder, **chemistry)
    late = pl.col("bun").shift().over("stay_id")
    spoil(folder, bun=when([30], late, "bun"))
    found = issues(recipe_of(STAYS_RECIPE), folder)["shifted_column"]
    assert (found.where, found.rows) == ("bun", spoilt_rows(folder, "bun", 30))


def test_a_frozen_sensor_is_named_with_its_rows(tmp_path: Path) -> None:
    folder = write_stays(tmp_path / "stays")
    dyn = pl.read_parquet(folder / "dyn.parquet")
    longest = dyn.group_by("stay_id").len().filter(pl.col("len") >= 25)["stay_id"].min()
    spoil(folder, hr=when([longest], pl.lit(81.0), "hr"))
    found = issues(recipe_of(STAYS_RECIPE), folder)["frozen"]
    assert (found.where, found.rows) == ("hr", spoilt_rows(folder, "hr", longest))


@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_a_stay_under_two_ids_is_refused_with_its_rows(tmp_path: Path, noise: float) -> None:
    folder = write_stays(tmp_path / "stays")
    rng = np.random.default_rng(0)
    n = len(pl.read_parquet(folder / "dyn.parquet"))
    more = {name: pl.Series(rng.normal(100, 9, n)) for name in ("map", "sbp", "na", "cl", "glu")}
    spoil(folder, **more)
    for name in ("dyn", "sta", "outc"):
        table = pl.read_parquet(folder / f"{name}.parquet")
        again = table.filter(pl.col("stay_id") == 3).with_columns(pl.col("stay_id") + 900)
        if name == "dyn":
            again = again.with_columns(pl.col(*more, "hr", "crea") * (1 + noise))
        pl.concat([table, again]).write_parquet(folder / f"{name}.parquet")
    found = issues(recipe_of(STAYS_RECIPE), folder)["repeated_stays"]
    assert found.rows == spoilt_rows(folder, "hr", 3, 903)


def test_what_stands_for_a_missing_value_and_lost_points_are_named(tmp_path: Path) -> None:
    folder = write_stays(tmp_path / "stays")
    row = pl.int_range(pl.len())
    spoil(folder, glu=pl.when(row.is_in([40, 50, 60])).then(999.0).otherwise(120 + row % 30))
    spoil(folder, na=pl.when(row == 45).then(13.9).otherwise(139 + row % 3 * 0.1))
    records = read_records(folder, recipe_of(STAYS_RECIPE).data)
    found = {each.check: each for each in check_records(records, np.arange(len(records.y)))}
    assert (found["sentinel"].where, found["sentinel"].rows) == ("glu", (40, 50, 60))
    assert found["implausible"].rows == (45,)


@pytest.mark.parametrize(("first", "last"), [(0, 400), (100, 250)])
def test_a_column_one_row_too_low_is_refused_with_its_rows(
    tmp_path: Path, first: int, last: int
) -> None:
    low = pl.col("size").shift().fill_null(20.0) * 3.1
    here = pl.int_range(pl.len()).is_between(first, last - 1)
    right = pl.col("size") * 3.1
    path = written(tmp_path, girth=pl.when(here).then(low).otherwise(right))
    found = issues(recipe_of(TABLE_RECIPE, "{name: girth}"), path)["shifted_column"]
    assert found.severity == "error"
    assert "girth" in found.detail or "size" in found.detail
    assert set(found.rows) <= set(range(first, last))
    assert len(found.rows) >= 0.8 * (last - first)


def test_real_cohorts_are_passed(shared_data: Path) -> None:
    """What is told of them is true of them: heights in inches, rates of nought, stuck monitors."""
    folder = shared_data / "icu" / "mortality24" / "eicu_demo"
    report = judge(folder, recipe_of_stays(folder))
    assert report.errors == ()
    of_values = {each.check for each in report.issues if each.part in ("dyn", "sta")}
    assert of_values <= {"implausible", "wrong_unit", "sentinel", "decimal_slip"}


def test_rows_that_few_columns_tell_apart_are_alike_by_chance(tmp_path: Path) -> None:
    table = lumps(600).with_columns(
        pl.col("age").round(0), pl.lit(1.0).alias("crea"), pl.lit(20.0).alias("size")
    )
    table.write_csv(tmp_path / "ties.csv")
    checked = prepare(recipe_of(TABLE_RECIPE), tmp_path / "ties.csv", tmp_path)
    assert not any("alike" in note or "more than once" in note for note in checked.notes)


def test_rows_without_a_patient_are_of_patients_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "lumps.csv"
    unknown = pl.when(pl.int_range(pl.len()) < 9).then(None).otherwise(pl.col("person"))
    lumps().with_columns(person=unknown).write_csv(path)
    patient = read_records(path, recipe_of(TABLE_RECIPE).data).patient
    assert len(set(patient.tolist())) == len(patient)
