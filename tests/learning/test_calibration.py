import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.special import expit

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.trust.calibration import (
    FLOOR,
    Calibration,
    Method,
    choose_calibration,
    fit_calibration,
)

METHODS: tuple[Method, ...] = ("none", "temperature", "platt", "isotonic")


def overconfident(
    n: int, k: int = 2, factor: float = 3.0, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits `factor` times as large as those that the labels were truly drawn with."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * 1.5
    y = np.array([rng.choice(k, p=row) for row in Calibration().apply(z)])
    return factor * z, y


def test_temperature_recovers_the_factor_of_overconfidence() -> None:
    z, y = overconfident(8000, k=4, factor=3.0)
    assert 1 / fit_calibration("temperature", z, y).scale == pytest.approx(3.0, rel=0.05)


def test_platt_recovers_slope_and_offset() -> None:
    rng = np.random.default_rng(1)
    margin = rng.normal(size=20_000) * 2
    y = (rng.random(20_000) < expit(0.5 * margin - 1.0)).astype(np.int64)
    fitted = fit_calibration("platt", np.column_stack([np.zeros_like(margin), margin]), y)
    assert (fitted.scale, fitted.offset) == pytest.approx((0.5, -1.0), abs=0.06)


def test_isotonic_straightens_a_bend_that_no_temperature_can() -> None:
    rng = np.random.default_rng(2)
    margin = rng.uniform(-3, 3, size=4000)
    truth = np.where(margin > 1, 0.9, 0.3)
    y = (rng.random(4000) < truth).astype(np.int64)
    z = np.column_stack([np.zeros_like(margin), margin])
    chosen, losses = choose_calibration(z, y, METHODS)
    assert chosen.method == "isotonic"
    p = chosen.apply(z)[:, 1]
    assert np.abs(p - truth).mean() < 0.03
    assert set(losses) == set(METHODS)


def test_isotonic_is_not_chosen_where_it_overfits_few_examples() -> None:
    z, y = overconfident(40, factor=1.0, seed=3)
    chosen, losses = choose_calibration(z, y, METHODS)
    assert losses["isotonic"] > losses[chosen.method]


def test_separable_labels_stay_finite() -> None:
    z = np.array([[4.0, -4.0], [3.0, -3.0], [-3.0, 3.0], [-4.0, 4.0]] * 3)
    y = z.argmax(axis=1)
    for method in METHODS:
        p = fit_calibration(method, z, y).apply(z * 1000)
        assert ((p > 0) & (p < 1)).all()
        assert np.isfinite(-np.log(p)).all()


@settings(max_examples=40, deadline=None)
@given(
    method=st.sampled_from(METHODS),
    logits=arrays(np.float64, (12, 2), elements=st.floats(-1e6, 1e6)),
    seed=st.integers(0, 99),
)
def test_probabilities_sum_to_one_and_never_reach_zero(
    method: Method, logits: NDArray[np.float64], seed: int
) -> None:
    fitted = fit_calibration(method, *overconfident(30, seed=seed))
    p = fitted.apply(logits)
    assert np.allclose(p.sum(axis=1), 1.0)
    assert p.min() > FLOOR / 2
    assert p.max() < 1.0


@settings(max_examples=30, deadline=None)
@given(method=st.sampled_from(METHODS), seed=st.integers(0, 99))
def test_a_stored_calibration_answers_as_before(method: Method, seed: int) -> None:
    z, y = overconfident(50, seed=seed)
    fitted = fit_calibration(method, z, y)
    again = Calibration.model_validate_json(fitted.model_dump_json())
    assert np.array_equal(again.apply(z), fitted.apply(z))


def test_a_bad_row_is_nan_and_alone() -> None:
    z = np.array([[1.0, 2.0], [np.nan, 0.0], [0.0, np.inf]])
    for method in METHODS:
        p = fit_calibration(method, *overconfident(30)).apply(z)
        assert np.isfinite(p[0]).all()
        assert np.isnan(p[1:]).all()


def test_what_cannot_be_fitted_is_refused() -> None:
    z, y = overconfident(30, k=3)
    with pytest.raises(InvalidInput, match="two labels"):
        fit_calibration("platt", z, y)
    with pytest.raises(InvalidInput, match="finite"):
        fit_calibration("none", np.full((2, 2), np.nan), np.array([0, 1]))
    with pytest.raises(InvalidInput, match="folds"):
        choose_calibration(z[:3], y[:3], ("none",))


def test_serving_needs_neither_scipy_nor_sklearn() -> None:
    code = (
        "import sys\n"
        "from polyclinic.learning.trust import calibration, conformal, familiarity\n"
        "from polyclinic.learning.trust import operating_points\n"
        "calibration.Calibration().apply([[0.0, 1.0]])\n"
        "print([m for m in ('scipy', 'sklearn', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@settings(max_examples=20, deadline=None)
@given(method=st.sampled_from(METHODS), seed=st.integers(0, 99))
def test_each_of_many_labels_is_calibrated_as_two_labels_are(method: Method, seed: int) -> None:
    z, y = overconfident(60, seed=seed)
    margin = z[:, 1] - z[:, 0]
    both, present = np.column_stack([-margin, margin]), np.eye(2, dtype=np.bool_)[y]
    several = fit_calibration(method, both, present)
    exclusive = fit_calibration(method, z, y)
    assert several.apply(both) == pytest.approx(exclusive.apply(z), abs=1e-4)
    again = Calibration.model_validate_json(several.model_dump_json())
    assert np.array_equal(again.apply(both), several.apply(both))


def test_labels_that_are_not_exclusive_are_calibrated_each_on_its_own() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(6000, 3)) - 1
    y = rng.random((6000, 3)) < expit(truth)
    factor, shift = np.array([0.5, 1.0, 3.0]), np.array([0.0, 2.0, -1.0])
    chosen, losses = choose_calibration(truth * factor + shift, y, METHODS)
    assert (chosen.method, set(losses)) == ("platt", set(METHODS))
    p = chosen.apply(truth * factor + shift)
    assert np.abs(p - expit(truth)).max() < 0.05
    assert p.sum(axis=1).min() < 0.5
    assert p.sum(axis=1).max() > 1.5
    bad = np.array([[np.nan, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert np.isnan(chosen.apply(bad)).all(axis=1).tolist() == [True, False]


def test_a_calibration_stored_before_labels_could_be_several_is_read() -> None:
    stored = '{"method":"platt","scale":2.0,"offset":-1.0,"log_odds":[],"probabilities":[]}'
    p = Calibration.model_validate_json(stored).apply([[0.0, 1.5]])
    assert p[0, 1] == pytest.approx(expit(2.0))
