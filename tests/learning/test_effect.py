"""Effects of treatments: what was planted is found, and nothing is found where nothing is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.learning.effect.features import fit_basis
from polyclinic.learning.effect.learners import LEARNERS, Learner, Trial, doubly_robust, fit
from polyclinic.learning.effect.policy import calibration, policy_value, predicted_elsewhere
from polyclinic.learning.effect.ridge import fit_ridge
from polyclinic.learning.effect.survival import pseudo_times, restricted_mean


def trial(n: int, seed: int, effect: float = 2.0) -> tuple[Trial, np.ndarray]:
    """Three arms by lot; arm 1 helps where x0 > 0 and harms elsewhere, arm 2 does nothing.

    Returns the trial, and the mean outcome of each patient under each arm.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 4))
    arm = rng.integers(3, size=n)
    means = np.column_stack([x[:, 1], x[:, 1] + effect * np.sign(x[:, 0]), x[:, 1]])
    outcome = means[np.arange(n), arm] + rng.normal(size=n)
    columns = fit_basis(x).columns(x)
    return Trial(columns, arm, outcome, np.full((n, 3), 1 / 3)), means


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_planted_effect_is_found_and_its_policy_beats_every_arm(learner: Learner) -> None:
    data, means = trial(1500, seed=1)
    predicted = predicted_elsewhere(learner, data)
    chosen = predicted.argmax(axis=1)
    worth = policy_value(doubly_robust(data), chosen)
    true = means[np.arange(len(means)), chosen].mean()
    assert worth.value.low - 0.05 <= true <= worth.value.high + 0.05
    assert true > 0.9 * np.maximum(means[:, 0], means[:, 1]).mean()
    assert all(over.low > 0 for over in worth.over)
    _, slope = calibration(
        predicted[:, 1] - predicted[:, 0],
        doubly_robust(data)[:, 1] - doubly_robust(data)[:, 0],
    )
    assert slope.low <= 1.2
    assert slope.high >= 0.9


@pytest.mark.parametrize("learner", LEARNERS)
def test_without_an_effect_the_policy_gains_nothing(learner: Learner) -> None:
    gains = []
    for seed in range(20):
        data, _ = trial(300, seed, effect=0.0)
        chosen = predicted_elsewhere(learner, data).argmax(axis=1)
        gains.append(policy_value(doubly_robust(data), chosen).over[0])
    assert sum(each.low > 0 for each in gains) <= 3
    assert abs(np.mean([each.value for each in gains])) < 0.1


def test_intervals_of_a_fixed_arm_cover_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(100):
        data, _ = trial(200, seed + 1000)
        value = policy_value(doubly_robust(data), np.zeros(200, np.int64)).value
        covered += value.low <= 0 <= value.high
    assert covered >= 88


def test_it_is_right_where_either_the_outcome_or_the_propensity_is() -> None:
    """Arms are given by x1, which also drives the outcome: a plain mean is wrong."""
    rng = np.random.default_rng(5)
    n = 6000
    x = rng.normal(size=(n, 2))
    odds = 1 / (1 + np.exp(-1.5 * x[:, 1]))
    arm = (rng.random(n) < odds).astype(np.int64)
    outcome = 2 * x[:, 1] + arm + rng.normal(size=n)
    right = np.column_stack([1 - odds, odds])
    basis = fit_basis(x).columns(x)
    plain = outcome[arm == 1].mean() - outcome[arm == 0].mean()
    assert plain > 2
    for columns, propensity in (
        (basis, np.full((n, 2), 0.5)),  # the propensity is wrong
        (rng.normal(size=(n, 1)), right),  # the outcome's model knows nothing
    ):
        scores = doubly_robust(Trial(columns, arm, outcome, propensity))
        assert (scores[:, 1] - scores[:, 0]).mean() == pytest.approx(1, abs=0.2)


def test_censored_times_tell_the_mean_of_the_uncensored() -> None:
    rng = np.random.default_rng(2)
    n, horizon = 4000, 10.0
    arm = rng.integers(2, size=n)
    truth = rng.exponential(np.where(arm == 1, 12.0, 6.0))
    censored = rng.exponential(15.0, size=n)
    time, event = np.minimum(truth, censored), truth <= censored
    values = pseudo_times(time, event, arm, horizon)
    for each in (0, 1):
        expected = np.minimum(truth[arm == each], horizon).mean()
        assert values[arm == each].mean() == pytest.approx(expected, abs=0.2)


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_without_censoring_a_pseudo_value_is_the_time_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)
    time = np.round(rng.exponential(5.0, size=25), 1) + 0.1
    values = pseudo_times(time, np.ones(25, bool), np.zeros(25, np.int64), 6.0)
    assert np.allclose(values, np.minimum(time, 6.0))
    assert restricted_mean(time, np.ones(25, bool), 6.0) == pytest.approx(
        np.minimum(time, 6.0).mean()
    )


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 30))
def test_a_pseudo_value_is_what_leaving_the_patient_out_changes(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    time, event = rng.integers(1, 12, n).astype(float), rng.random(n) < 0.6
    values = pseudo_times(time, event, np.zeros(n, np.int64), 9.0)
    whole = restricted_mean(time, event, 9.0)
    for i, value in enumerate(values):
        others = np.arange(n) != i
        left = restricted_mean(time[others], event[others], 9.0)
        assert value == pytest.approx(n * whole - (n - 1) * left)


def test_a_missing_covariate_counts_as_the_median_and_one_far_out_as_the_edge() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    basis = fit_basis(x)
    missing = x[:1].copy()
    missing[0, 1] = np.nan
    median = x[:1].copy()
    median[0, 1] = np.median(x[:, 1])
    assert np.allclose(basis.columns(missing), basis.columns(median))
    far, further = x[:1] + 1e6, x[:1] + 1e9
    assert np.allclose(basis.columns(far), basis.columns(further))


def test_ridge_finds_the_line_and_shrinks_noise() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 6))
    y = 3 + x @ np.array([2.0, -1, 0, 0, 0, 0]) + rng.normal(size=500)
    line = fit_ridge(x, y)
    assert np.allclose(line.weights, [2, -1, 0, 0, 0, 0], atol=0.2)
    assert float(line.intercept) == pytest.approx(3, abs=0.2)
    noise = fit_ridge(x, rng.normal(size=500))
    assert np.abs(noise.weights).max() < 0.05


def test_the_same_seed_gives_the_same_line() -> None:
    data, _ = trial(200, seed=3)
    for learner in LEARNERS:
        assert (fit(learner, data).weights == fit(learner, data).weights).all()
