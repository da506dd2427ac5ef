import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput, UnsupportedInput
from polyclinic.learning.trust.label_shift import (
    Method,
    PrevalenceEstimate,
    estimate_prevalence,
    prevalence_bbse,
    prevalence_em,
    reweight,
)
from polyclinic.learning.trust.shift_alarm import ShiftReference, fit_shift_reference

SOURCE = np.array([0.5, 0.3, 0.2])
SITE = np.array([0.15, 0.25, 0.6])

shares = st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3).map(
    lambda values: np.array(values) / sum(values)
)


def world(
    n: int, prevalence: NDArray[np.float64], rng: np.random.Generator, offset: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Features (n, 3) round each label's corner, the true posteriors under SOURCE, and labels."""
    y = rng.choice(3, size=n, p=prevalence)
    features = 2.0 * np.eye(3)[y] + rng.normal(size=(n, 3)) + offset
    log_likelihood = 2.0 * features  # of equally far corners, up to what they share
    p = SOURCE * np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    return features, p / p.sum(axis=1, keepdims=True), y


def reference(rng: np.random.Generator) -> ShiftReference:
    train, _, _ = world(500, SOURCE, rng)
    return fit_shift_reference(train, *world(600, SOURCE, rng))


@pytest.mark.parametrize("method", ["em", "bbse"])
def test_a_changed_prevalence_is_found_and_alarms_and_is_trusted(method: Method) -> None:
    rng = np.random.default_rng(0)
    features, probabilities, y = world(800, SITE, rng)
    found = estimate_prevalence(reference(rng), features, probabilities, method, resamples=200)
    truth = np.bincount(y) / len(y)
    for estimate, share in zip(found.prevalence, truth, strict=True):
        assert estimate.value == pytest.approx(share, abs=0.05)
        assert estimate.low < share < estimate.high
    assert found.alarm
    assert found.trusted
    assert PrevalenceEstimate.model_validate_json(found.model_dump_json()) == found


def test_an_estimate_is_not_trusted_where_inputs_themselves_changed() -> None:
    rng = np.random.default_rng(1)
    features, probabilities, _ = world(800, SITE, rng, offset=0.7)
    found = estimate_prevalence(reference(rng), features, probabilities, resamples=20)
    assert found.alarm
    assert not found.trusted


def test_an_unchanged_site_gives_no_alarm() -> None:
    rng = np.random.default_rng(2)
    features, probabilities, _ = world(800, SOURCE, rng)
    found = estimate_prevalence(reference(rng), features, probabilities, resamples=20)
    assert not found.alarm
    assert found.trusted


def test_a_label_that_vanished_is_estimated_as_rare() -> None:
    rng = np.random.default_rng(3)
    features, probabilities, _ = world(500, np.array([0.6, 0.4, 0.0]), rng)
    found = estimate_prevalence(reference(rng), features, probabilities, resamples=20)
    assert found.prevalence[2].value < 0.03


@settings(max_examples=30, deadline=None)
@given(target=shares, seed=st.integers(0, 10**6))
def test_of_all_prevalences_the_em_one_is_the_likeliest(
    target: NDArray[np.float64], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    _, p, _ = world(200, target, rng)

    def likelihood(prevalence: NDArray[np.float64]) -> float:
        return float(np.log(p @ (prevalence / SOURCE)).sum())

    best = likelihood(prevalence_em(p, SOURCE))
    others = [*rng.dirichlet(np.ones(3), size=20), SOURCE, target]
    assert best >= max(map(likelihood, others)) - 1e-3


@given(target=shares)
def test_bbse_is_exact_where_each_label_looks_as_it_did(target: NDArray[np.float64]) -> None:
    _, p, y = world(300, SOURCE, np.random.default_rng(0))
    by_label = np.stack([p[y == label].mean(axis=0) for label in range(3)])
    site = np.tile(target @ by_label, (5, 1))
    assert prevalence_bbse(site, p, y) == pytest.approx(target, abs=1e-6)


@given(first=shares, second=shares, third=shares, seed=st.integers(0, 10**6))
def test_reweighting_goes_there_and_back_and_in_steps(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    third: NDArray[np.float64],
    seed: int,
) -> None:
    p = np.random.default_rng(seed).dirichlet(np.ones(3), size=4)
    assume(p.min() > 1e-9)
    there = reweight(p, first, second)
    assert there.sum(axis=1) == pytest.approx(1.0)
    assert reweight(there, second, first) == pytest.approx(p)
    assert reweight(there, second, third) == pytest.approx(reweight(p, first, third))


def test_reweighted_probabilities_are_those_of_the_site() -> None:
    _, p, y = world(20_000, SITE, np.random.default_rng(0))
    here = reweight(p, SOURCE, SITE)
    confident = here[:, 2] > 0.8
    assert y[confident].tolist().count(2) / confident.sum() == pytest.approx(
        here[confident, 2].mean(), abs=0.01
    )


def test_labels_that_can_be_true_together_have_no_such_prevalence() -> None:
    rng = np.random.default_rng(0)
    features, probabilities, y = world(50, SOURCE, rng)
    known = fit_shift_reference(features, features, probabilities, np.eye(3, dtype=np.bool_)[y])
    with pytest.raises(UnsupportedInput, match="one label is true at a time"):
        estimate_prevalence(known, features, probabilities)


def test_bad_input_is_refused_by_name() -> None:
    rng = np.random.default_rng(0)
    known = reference(rng)
    with pytest.raises(InvalidInput, match=r"\(n, 3\)"):
        estimate_prevalence(known, np.zeros((5, 3)), np.full((5, 2), 0.5))
    with pytest.raises(InvalidInput, match="at least two"):
        estimate_prevalence(known, np.zeros((1, 3)), np.full((1, 3), 1 / 3))
    with pytest.raises(InvalidInput, match="prevalence 0"):
        reweight(np.full((1, 2), 0.5), np.array([0.0, 1.0]), np.array([0.5, 0.5]))
