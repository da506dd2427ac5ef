import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from polyclinic.diagnosis.records.features import (
    STAY,
    Feature,
    Hourly,
    window_features,
    window_values,
)
from polyclinic.diagnosis.records.inputs import Encoding, Inputs
from polyclinic.diagnosis.records.records import one_each
from polyclinic.diagnosis.records.usual import UsualSpace, fit_usual_space
from polyclinic.diagnosis.records.variables import Variable
from polyclinic.learning.prepare.dataset import Part
from polyclinic.learning.trust.familiarity import fit_familiarity

NAN = np.nan
WINDOWS = (3, STAY)


def of(values: list[list[float]], lengths: list[int], rows: list[int]) -> dict[str, list[float]]:
    start = np.repeat(np.cumsum(lengths) - lengths, lengths)
    series = Hourly(np.array(values, np.float32), start)
    measured = [Variable(name=f"v{i}", unit="mg") for i in range(series.values.shape[1])]
    x = window_values(series, measured, WINDOWS, np.array(rows, np.int64))
    features = window_features(measured, WINDOWS)
    return {each.name: column.tolist() for each, column in zip(features, x.T, strict=True)}


def test_features_are_what_they_are_called() -> None:
    x = of([[1], [NAN], [4], [2], [NAN], [7]], [5, 1], [4, 5])
    np.testing.assert_equal(
        x,
        {
            "v0, last [mg]": [2, 7],
            "v0, hours since [h]": [1, 0],
            "v0, step [mg]": [-2, NAN],
            "v0, count over 3 h": [2, 1],
            "v0, min over 3 h [mg]": [2, 7],
            "v0, rise over 3 h [mg]": [0, 0],
            "v0, max over 3 h [mg]": [4, 7],
            "v0, mean over 3 h [mg]": [3, 7],
            "v0, change over 3 h [mg]": [1, 0],
            "v0, count since the stay began": [3, 1],
            "v0, min since the stay began [mg]": [1, 7],
            "v0, rise since the stay began [mg]": [1, 0],
            "v0, max since the stay began [mg]": [4, 7],
            "v0, mean since the stay began [mg]": [np.float32(7 / 3), 7],
            "v0, change since the stay began [mg]": [1, 0],
        },
    )


def test_what_was_never_measured_is_unknown_and_counted_as_none() -> None:
    x = of([[NAN], [NAN]], [2], [1])
    assert x["v0, count over 3 h"] == [0]
    assert all(np.isnan(v) for name, (v,) in x.items() if "count" not in name)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_features_rest_on_what_was_known_then(data: st.DataObject) -> None:
    """What comes later, and other stays, change no bit of them."""
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    values = rng.normal(50, 20, (sum(lengths), 2)).astype(np.float32)
    values[rng.random(values.shape) < 0.5] = NAN
    start = np.repeat(np.cumsum(lengths) - lengths, lengths)
    row = data.draw(st.integers(0, len(values) - 1))
    measured = Variable(name="a", adds_up=True), Variable(name="b")
    alone = values[start[row] : row + 1]

    def at(some: NDArray[np.float32], begins: NDArray[np.int64], asked: int) -> bytes:
        rows = np.array([asked])
        return window_values(Hourly(some, begins), measured, (2, 5, STAY), rows).tobytes()

    assert at(values, start, row) == at(alone, np.zeros(len(alone), np.int64), len(alone) - 1)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_asked_beside_changes_no_answer(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    n = sum(lengths)
    values = rng.normal(50, 20, (n, 2)).astype(np.float32)
    values[rng.random(values.shape) < 0.5] = NAN
    series = Hourly(values, np.repeat(np.cumsum(lengths) - lengths, lengths))
    measured = Variable(name="a", adds_up=True), Variable(name="b")
    rows = np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=n)), np.int64)
    every = window_values(series, measured, (2, 5, STAY), np.arange(n))
    some = window_values(series, measured, (2, 5, STAY), rows)
    assert some.tobytes() == every[rows].tobytes()


def test_categories_and_hours_become_features_with_plain_names() -> None:
    encoding = Encoding(
        fixed=(
            Variable(name="sex", type="category", categories=("Female", "Male")),
            Variable(name="site", type="category", categories=("left", "right", "both")),
        ),
        hourly=(Variable(name="hr", unit="/min"),),
        windows=(6,),
    )
    inputs = Inputs(
        np.array([[1, 2], [NAN, 0]], np.float32),
        np.array([0, 1]),
        Hourly(np.array([[80], [90], [70]], np.float32), np.array([0, 0, 2])),
        np.array([1, 2]),
    )
    x = encoding.encode(inputs)
    names = [feature.name for feature in encoding.features]
    assert x.shape == (2, len(names))
    told = dict(zip(names, x.T.tolist(), strict=True))
    np.testing.assert_equal(told["sex is Male"], [1, NAN])
    assert told["site is both"] == [1, 0]
    assert told["site is left"] == [0, 1]
    assert told["hours since the stay began [h]"] == [1, 0]
    assert told["hr, max over 6 h [/min]"] == [90, 70]
    assert Feature(variable="hr", statistic="mean", unit="/min", hours=6).name in names


def test_what_adds_up_has_a_total_also_per_unit_of_weight() -> None:
    encoding = Encoding(
        fixed=(Variable(name="weight", unit="kg"),),
        hourly=(Variable(name="urine", unit="mL", adds_up=True),),
        windows=(2,),
        per={"urine": "weight"},
    )
    series = Hourly(np.array([[90], [100], [NAN], [60]], np.float32), np.array([0, 0, 0, 3]))
    weights = np.array([[50], [60]], np.float32)
    x = encoding.encode(Inputs(weights, np.array([0, 0, 1]), series, np.array([1, 2, 3])))
    told = dict(zip([feature.name for feature in encoding.features], x.T.tolist(), strict=True))
    assert told["urine, total over 2 h [mL]"] == [190, 100, 60]
    assert told["urine, last [mL/h]"] == [100, 100, 60]
    assert told["urine per weight, total over 2 h [mL/kg]"] == pytest.approx([3.8, 2, 1])
    with pytest.raises(ValueError, match="height"):
        Encoding(fixed=encoding.fixed, hourly=encoding.hourly, per={"urine": "height"})


def test_an_amount_noted_every_few_hours_is_the_same_rate_as_one_noted_hourly() -> None:
    urine = [Variable(name="urine", unit="mL", adds_up=True)]

    def at_the_end(values: list[float]) -> dict[str, float]:
        series = Hourly(np.array(values, np.float32)[:, None], np.zeros(6, np.int64))
        x = window_values(series, urine, (6,), np.array([5]))[0]
        return dict(zip([each.name for each in window_features(urine, (6,))], x, strict=True))

    hourly, seldom = at_the_end([50] * 6), at_the_end([NAN, NAN, 150, NAN, NAN, 150])
    for name in ("last [mL/h]", "min over 6 h [mL/h]", "mean over 6 h [mL/h]"):
        assert hourly[f"urine, {name}"] == seldom[f"urine, {name}"] == 50
    assert hourly["urine, total over 6 h [mL]"] == seldom["urine, total over 6 h [mL]"] == 300


def test_pieces_of_a_series_of_days_are_told_in_days() -> None:
    encoding = Encoding(fixed=(), hourly=(Variable(name="a", unit="g"),), steps=26, step="d")
    names = [group.named("A") for group in encoding.groups]
    assert names == [
        "A, 25 to 24 d before [g]",
        "A, 23 to 6 d before [g]",
        "A, 5 to 0 d before [g]",
    ]


@given(st.lists(st.sampled_from("abc"), min_size=1))
def test_one_example_of_each_patient_is_taken_in_whatever_order_they_stand(
    patients: list[str],
) -> None:
    n = len(patients)
    part = Part(np.zeros((n, 1)), np.zeros(n, np.int64), np.array(patients))
    each = one_each(part).patient
    assert each is not None
    assert sorted(each.tolist()) == sorted(set(patients))


def test_only_what_adds_up_is_a_rate_a_day_where_rows_are_days() -> None:
    drip = Variable(name="drip", unit="mL/h")
    urine = Variable(name="urine", unit="mL", adds_up=True)
    encoding = Encoding(fixed=(), hourly=(drip, urine), windows=(7,), step="d")
    names = [feature.name for feature in encoding.features]
    assert "drip, last [mL/h]" in names
    assert "urine, mean over 7 d [mL/d]" in names
    assert "drip, days since [d]" in names


def test_a_record_with_hardly_a_value_is_not_usual_where_all_were_known() -> None:
    rng = np.random.default_rng(0)
    features = [Feature(variable=f"v{i}", statistic="value", unit="") for i in range(30)]
    x = rng.normal(size=(400, 30)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    space = fit_usual_space(features, x[:300])
    usual = fit_familiarity(space.place(x[:300]), y[:300], space.place(x[300:]))
    for missing, familiar in ((1, True), (25, False), (29, False)):
        empty = x[300:].copy()
        empty[:, 30 - missing :] = np.nan
        share = float((usual.p_values(space.place(empty)) > 0.02).mean())
        assert share > 0.9 if familiar else share < 0.1
    old = {name: array for name, array in vars(space).items() if name != "known"}
    np.testing.assert_array_equal(UsualSpace.from_arrays(old, 30).place(x)[:, -1], 1.0)
