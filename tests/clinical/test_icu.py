from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from polyclinic.clinical.analytes import BY_NAME
from polyclinic.clinical.icu import ORIGIN, STATIC, VARIABLES, read_cohort
from polyclinic.core.errors import InvalidInput, NotFound

HR, CREA = VARIABLES.index("hr"), VARIABLES.index("crea")


def hours(*numbers: float) -> pl.Series:
    return pl.Series([timedelta(hours=number) for number in numbers], dtype=pl.Duration("ms"))


def tables() -> dict[str, pl.DataFrame]:
    """Stay 7 of three hours, then stay 3 of two; rows out of order."""
    return {
        "dyn": pl.DataFrame(
            {
                "stay_id": [7, 7, 7, 3, 3],
                "time": hours(0, 2, 1, 0, 1),
                "hr": [70.0, 72.0, None, 90.0, 91.0],
                "crea": [None, None, 1.5, None, None],
            }
        ),
        "sta": pl.DataFrame(
            {
                "stay_id": [7, 3],
                "age": [50.0, None],
                "sex": ["Male", "Female"],
                "height": [180.0, None],
                "weight": [80.0, 60.0],
            }
        ),
        "outc": pl.DataFrame(
            {
                "stay_id": [7, 7, 7, 3, 3],
                "time": hours(0, 1, 2, 0, 1),
                "label": [False, False, True, False, False],
            }
        ),
    }


def folder(where: Path, **changed: Any) -> Path:
    for name, table in {**tables(), **changed}.items():
        table.write_parquet(where / f"{name}.parquet")
    return where


def test_a_cohort_is_arrays_in_order_of_stay_and_hour(tmp_path: Path) -> None:
    cohort = read_cohort(folder(tmp_path))
    assert cohort.stays.tolist() == [3, 7]
    assert cohort.hours.tolist() == [0, 1, 0, 1, 2]
    assert cohort.stay_of_row.tolist() == [0, 0, 1, 1, 1]
    second = cohort.rows(1)
    np.testing.assert_array_equal(cohort.values[second, HR], [70, np.nan, 72])
    np.testing.assert_array_equal(cohort.mask[second, HR], [True, False, True])
    assert cohort.values.shape == (5, 48)
    assert cohort.mask.sum() == 5
    np.testing.assert_array_equal(
        cohort.static, [[np.nan, 0, np.nan, 60], [50, 1, 180, 80]], strict=True
    )
    assert STATIC == ("age", "male", "height", "weight")
    assert (cohort.hourly, cohort.labels.tolist()) == (True, [False, False, False, False, True])


def test_a_label_may_be_of_the_stay(tmp_path: Path) -> None:
    outcome = pl.DataFrame({"stay_id": [7, 3], "label": [1, 0]})
    cohort = read_cohort(folder(tmp_path, outc=outcome))
    assert (cohort.hourly, cohort.labels.tolist()) == (False, [False, True])


def test_stays_are_taken_whole_and_in_the_order_asked_for(tmp_path: Path) -> None:
    cohort = read_cohort(folder(tmp_path))
    both = cohort.take(np.array([1, 0]))
    assert both.stays.tolist() == [7, 3]
    assert both.bounds.tolist() == [0, 3, 5]
    np.testing.assert_array_equal(both.values[:, HR], [70, np.nan, 72, 90, 91])
    assert both.labels.tolist() == [False, False, True, False, False]
    np.testing.assert_array_equal(both.take(np.array([1, 0])).values, cohort.values)
    assert len(cohort.take(np.array([], dtype=np.int64)).hours) == 0


def test_on_the_timeline_an_hour_is_known_when_it_is_over(tmp_path: Path) -> None:
    timeline = read_cohort(folder(tmp_path)).timeline()
    creatinine = timeline.events.filter(code=BY_NAME["crea"].loinc)
    assert creatinine.select("patient", "start", "value", "unit").rows() == [
        ("7", ORIGIN + timedelta(hours=1), 1.5, "mg/dL")
    ]
    codes = [
        set(timeline.known_at(ORIGIN + timedelta(hours=hour)).events.filter(patient="7")["code"])
        for hour in (0, 1, 2)
    ]
    height, weight, rate = (BY_NAME[name].loinc for name in ("height", "weight", "hr"))
    assert codes == [
        {height, weight},
        {height, weight, rate},
        {height, weight, rate, BY_NAME["crea"].loinc},
    ]
    assert timeline.ages(ORIGIN).rows() == [("3", None), ("7", pytest.approx(50, abs=0.01))]
    assert timeline.patients["sex"].to_list() == ["female", "male"]


DYN, STA, OUTC = tables().values()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"dyn": DYN.rename({"hr": "pulse"})}, "pulse"),
        ({"dyn": DYN.with_columns(hr=pl.lit("fast"))}, "hr"),
        ({"dyn": DYN.drop("time")}, "time"),
        ({"dyn": DYN.with_columns(time=pl.lit("noon"))}, "time"),
        ({"dyn": pl.concat([DYN, DYN[:1]])}, "another row"),
        ({"dyn": DYN.with_columns(stay_id=pl.lit(None, pl.Int64))}, "no stay"),
        ({"dyn": DYN.drop("stay_id")}, "stay_id"),
        ({"sta": STA[:1]}, "missing"),
        ({"sta": pl.concat([STA, STA.with_columns(stay_id=pl.col("stay_id") + 50)])}, "no rows"),
        ({"sta": STA.with_columns(age=pl.lit("old"))}, "age"),
        ({"outc": OUTC[1:]}, "missing"),
        ({"outc": OUTC.drop("label")}, "label"),
        ({"outc": OUTC.with_columns(label=pl.lit(2))}, "label"),
        ({"outc": OUTC.with_columns(label=pl.lit(0.5))}, "label"),
        ({"outc": OUTC.with_columns(label=pl.lit(None, pl.Boolean))}, "label"),
        ({"outc": OUTC.with_columns(label=pl.lit("yes"))}, "label"),
    ],
)
def test_a_cohort_that_breaks_the_layout_is_refused_with_its_place(
    tmp_path: Path, changed: dict[str, pl.DataFrame], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words) as raised:
        read_cohort(folder(tmp_path, **changed))
    assert f"{next(iter(changed))}.parquet" in str(raised.value.where)


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "sta.parquet").write_bytes(b"no parquet")
    with pytest.raises(InvalidInput, match="Parquet"):
        read_cohort(tmp_path)
    (tmp_path / "sta.parquet").unlink()
    with pytest.raises(NotFound):
        read_cohort(tmp_path)


@pytest.mark.parametrize(
    ("name", "stays", "rows", "positive", "hourly"),
    [
        ("aki/eicu_demo", 1988, 78205, 698, True),
        ("sepsis/eicu_demo", 896, 42524, 63, True),
        ("mortality24/eicu_demo", 1367, 34175, 70, False),
        ("mortality24/mimic_demo", 99, 2475, 21, False),
    ],
)
def test_the_real_cohorts_are_read_whole(
    shared_data: Path, name: str, stays: int, rows: int, positive: int, hourly: bool
) -> None:
    cohort = read_cohort(shared_data / "icu" / name)
    assert (len(cohort), len(cohort.hours), cohort.hourly) == (stays, rows, hourly)
    labels = cohort.labels
    found = len(set(cohort.stay_of_row[labels])) if hourly else int(labels.sum())
    assert found == positive
    dyn = pl.read_parquet(shared_data / "icu" / name / "dyn.parquet")
    assert cohort.mask.sum() == sum(dyn[variable].count() for variable in VARIABLES)
    bodies = int((~np.isnan(cohort.static[:, 2:])).sum())
    assert len(cohort.timeline().events) == cohort.mask.sum() + bodies
