import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.evaluate.selective import (
    evaluate_selection,
    risk_coverage,
    selective_error,
    surest_label,
)


def test_the_curve_of_a_small_example_is_right() -> None:
    confidence = np.array([0.9, 0.6, 0.8, 0.7])
    wrong = np.array([False, True, False, True])
    coverage, risk = risk_coverage(confidence, wrong)
    assert coverage == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert risk == pytest.approx([0.0, 0.0, 1 / 3, 0.5])


def test_equally_sure_inputs_count_by_their_mean() -> None:
    wrong = np.array([True, False, False, False, False, True])
    confidence = np.array([0.5, 0.9, 0.5, 0.5, 0.9, 0.5])
    # Two sure ones and, of the four equal ones with error 1/2, two.
    assert selective_error(confidence, wrong, 4 / 6) == pytest.approx([0.25])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 50), coverage=st.floats(0.05, 1.0))
def test_order_of_inputs_and_scale_of_confidence_do_not_matter(
    seed: int, n: int, coverage: float
) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.integers(0, 8, size=n) / 8
    wrong = rng.random(n) < 0.3
    error = selective_error(confidence, wrong, coverage)
    order = rng.permutation(n)
    assert selective_error(confidence[order], wrong[order], coverage) == pytest.approx(error)
    assert selective_error(np.exp(5 * confidence), wrong, coverage) == pytest.approx(error)
    assert selective_error(confidence, wrong, 1.0) == pytest.approx([wrong.mean()])
    # An input of weight 2 is the input twice.
    weights = rng.integers(0, 3, size=(1, n)).astype(float)
    if weights.sum():
        rows = np.repeat(np.arange(n), weights[0].astype(int))
        assert selective_error(confidence, wrong, coverage, weights) == pytest.approx(
            selective_error(confidence[rows], wrong[rows], coverage)
        )


def test_a_telling_confidence_gives_a_small_ratio_and_a_senseless_one_none() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1.0, size=3000)
    wrong = rng.random(3000) > p  # calibrated
    told = evaluate_selection(surest_label(np.column_stack([p, 1 - p])), wrong, resamples=300)
    assert told.ratio is not None
    assert told.ratio.high < 0.9
    assert told.selective_error.value == pytest.approx(told.ratio.value * told.error.value)
    senseless = evaluate_selection(rng.random(3000), wrong, resamples=300)
    assert senseless.ratio is not None
    assert senseless.ratio.low < 1 < senseless.ratio.high


def test_patients_are_drawn_whole() -> None:
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(40), 25)
    wrong = (rng.random(40) < 0.3)[patients]
    confidence = rng.random(1000)
    alone = evaluate_selection(confidence, wrong, resamples=300)
    whole = evaluate_selection(confidence, wrong, patients=patients.astype(str), resamples=300)
    width = [found.error.high - found.error.low for found in (alone, whole)]
    assert width[1] > 3 * width[0]


def test_without_an_error_there_is_no_ratio() -> None:
    found = evaluate_selection(np.arange(9.0), np.zeros(9, dtype=bool), resamples=20)
    assert found.error.value == 0
    assert found.ratio is None


def test_bad_input_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="Coverage"):
        evaluate_selection(np.ones(3), np.ones(3, dtype=bool), coverage=0)
    with pytest.raises(InvalidInput, match="finite confidence"):
        risk_coverage(np.array([np.nan]), np.array([True]))
    with pytest.raises(InvalidInput, match="finite confidence"):
        risk_coverage(np.array([]), np.array([], dtype=bool))


def test_of_several_labels_none_is_the_likeliest_but_each_can_be_ordered_alone() -> None:
    p = np.array([[0.9, 0.8], [0.1, 0.2]])
    with pytest.raises(InvalidInput, match="one label is true at a time"):
        surest_label(p)
    one = p[:, 1]
    assert surest_label(np.column_stack([1 - one, one])) == pytest.approx([0.8, 0.8])
