import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.trust.operating_points import (
    choose_operating_point,
    parse_operating_point,
)

P = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
PRESENT = np.array([0, 0, 1, 0, 1, 0, 1, 1], dtype=np.bool_)

validation = st.lists(
    st.tuples(st.sampled_from(np.linspace(0.01, 0.99, 12).tolist()), st.booleans()),
    min_size=2,
    max_size=40,
).filter(lambda pairs: {present for _, present in pairs} == {True, False})


def rates(threshold: float, p: np.ndarray, present: np.ndarray) -> tuple[float, float]:
    called = p >= threshold
    return float(called[present].mean()), float((~called)[~present].mean())


@pytest.mark.parametrize(
    ("name", "threshold"),
    [
        ("argmax", 0.5),
        ("youden", 0.25),  # as good as 0.5 and 0.75: the lowest
        ("sensitivity@0.95", 0.25),
        ("sensitivity@0.75", 0.5),
        ("specificity@0.75", 0.5),
        ("specificity@1.0", 0.75),
    ],
)
def test_the_threshold_of_each_rule(name: str, threshold: float) -> None:
    point = choose_operating_point(name, "J18.9", P, PRESENT)
    assert (point.name, point.label) == (name, "J18.9")
    assert point.threshold == pytest.approx(threshold)


@given(pairs=validation, target=st.sampled_from([0.5, 0.8, 0.9, 0.95, 1.0]))
def test_the_target_is_reached_and_no_threshold_reaches_it_better(
    pairs: list[tuple[float, bool]], target: float
) -> None:
    p, present = np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
    every = [rates(t, p, present) for t in (*np.unique(p), 1.0)]
    high = choose_operating_point(f"sensitivity@{target}", "x", p, present).threshold
    sensitivity, specificity = rates(high, p, present)
    assert sensitivity >= target
    assert specificity == max(spec for sens, spec in every if sens >= target)
    low = choose_operating_point(f"specificity@{target}", "x", p, present).threshold
    sensitivity, specificity = rates(low, p, present)
    assert specificity >= target
    assert sensitivity == max(sens for sens, spec in every if spec >= target)
    youden = rates(choose_operating_point("youden", "x", p, present).threshold, p, present)
    assert sum(youden) == pytest.approx(max(sens + spec for sens, spec in every))


def test_a_specificity_that_no_threshold_reaches_ends_at_one() -> None:
    point = choose_operating_point(
        "specificity@0.9", "x", np.array([1.0, 1.0, 0.5]), np.array([False, True, True])
    )
    assert point.threshold == 1.0


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Youden",
        "sensitivity",
        "sensitivity@95",
        "sensitivity@0.0",
        "specificity@-0.9",
        "sensitivity@0.9 ",
        "f1@0.9",
        "sensitivity@1.1",
    ],
)
def test_an_unknown_name_is_refused_with_the_allowed_ones(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_operating_point(name)
    assert "sensitivity@S" in (caught.value.remedy or "")


def test_a_rule_needs_examples_with_and_without_the_label() -> None:
    with pytest.raises(InvalidInput, match="with and without"):
        choose_operating_point("youden", "x", P, np.ones(8, dtype=np.bool_))
    assert choose_operating_point("argmax", "x", P, np.ones(8, dtype=np.bool_)).threshold == 0.5
