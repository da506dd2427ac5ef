import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.trust.conformal import Conformal, Method, fit_conformal


def exchangeable(
    n: int, k: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities that are of some use, and labels; rare labels among them."""
    y = rng.choice(k, size=n, p=np.arange(1, k + 1) / np.arange(1, k + 1).sum())
    z = 1.5 * np.eye(k)[y] + rng.normal(size=(n, k))
    p = np.exp(z)
    return p / p.sum(axis=1, keepdims=True), y


@settings(max_examples=8, deadline=None)
@given(
    coverage=st.sampled_from([0.6, 0.8, 0.9, 0.95]),
    n=st.integers(15, 60),
    k=st.integers(2, 5),
    seed=st.integers(0, 10**6),
)
def test_sets_hold_the_truth_as_often_as_promised(
    coverage: float, n: int, k: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    hits = []
    for _ in range(300):
        p, y = exchangeable(n + 200, k, rng)
        rule = fit_conformal("marginal", coverage, p[:n], y[:n])
        hits.append(rule.sets(p[n:])[np.arange(200), y[n:]].mean())
    # At least the coverage, and at most 1 / (n + 1) above it (Vovk et al. 2005); 4 standard errors.
    error = 4 * np.std(hits) / np.sqrt(len(hits)) + 1e-9
    assert coverage - error < np.mean(hits) < coverage + 1 / (n + 1) + error


def test_each_label_is_covered_where_the_promise_is_by_label() -> None:
    rng = np.random.default_rng(0)
    covered: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for _ in range(200):
        p, y = exchangeable(400, 3, rng)
        rule = fit_conformal("class-conditional", 0.9, p[:200], y[:200])
        hits = rule.sets(p[200:])[np.arange(200), y[200:]]
        for label, rates in covered.items():
            rates.append(hits[y[200:] == label].mean())
    assert all(np.mean(rates) > 0.89 for rates in covered.values())


@settings(max_examples=50, deadline=None)
@given(
    method=st.sampled_from(["marginal", "class-conditional"]),
    low=st.floats(0.05, 0.95),
    more=st.floats(0.0, 0.04),
    seed=st.integers(0, 10**6),
)
def test_more_coverage_never_makes_a_set_smaller(
    method: Method, low: float, more: float, seed: int
) -> None:
    p, y = exchangeable(60, 3, np.random.default_rng(seed))
    narrow = fit_conformal(method, low, p, y).sets(p)
    wide = fit_conformal(method, low + more, p, y).sets(p)
    assert (wide | ~narrow).all()


def test_the_quantile_is_the_finite_sample_one() -> None:
    p1 = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    p = np.column_stack([p1, 1 - p1])
    y = np.zeros(9, dtype=np.int64)
    assert fit_conformal("marginal", 0.7, p, y).thresholds[0] == pytest.approx(0.7)  # the 7th
    assert fit_conformal("marginal", 0.9, p, y).thresholds[0] == pytest.approx(0.9)  # the 9th
    assert fit_conformal("marginal", 0.95, p, y).thresholds[0] == 1.0  # there is no 10th


def test_a_label_with_too_few_examples_is_always_in_the_set() -> None:
    p, y = exchangeable(100, 2, np.random.default_rng(0))
    rule = fit_conformal("class-conditional", 0.9, p[y == 1], y[y == 1])
    assert rule.thresholds[0] == 1.0
    assert rule.sets([[0.0, 1.0]])[0, 0]
    assert Conformal.model_validate_json(rule.model_dump_json()) == rule


def test_coverage_must_be_a_fraction() -> None:
    with pytest.raises(InvalidInput, match="Coverage"):
        fit_conformal("marginal", 1.0, [[0.5, 0.5]], np.array([0]))


@settings(max_examples=6, deadline=None)
@given(coverage=st.sampled_from([0.7, 0.9]), seed=st.integers(0, 10**6))
def test_of_several_labels_each_is_in_the_sets_of_those_who_have_it(
    coverage: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    share = np.array([0.5, 0.2, 0.1])
    hits: list[list[float]] = [[], [], []]
    for _ in range(300):
        y = rng.random((400, 3)) < share
        y[:, 2] |= y[:, 1] & (rng.random(400) < 0.5)  # labels that hang together
        p = 1 / (1 + np.exp(-(2 * y + rng.normal(size=y.shape))))
        sets = fit_conformal("class-conditional", coverage, p[:200], y[:200]).sets(p[200:])
        for label, rates in enumerate(hits):
            rates.append(sets[y[200:, label], label].mean())
    for rates in hits:
        assert np.nanmean(rates) > coverage - 4 * np.nanstd(rates) / np.sqrt(len(rates))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(2, 4))
def test_exclusive_labels_have_the_same_rule_in_either_writing(seed: int, k: int) -> None:
    p, y = exchangeable(80, k, np.random.default_rng(seed))
    both = [fit_conformal("class-conditional", 0.8, p, t) for t in (y, np.eye(k)[y] == 1)]
    assert both[0] == both[1]


def test_several_labels_have_no_marginal_coverage() -> None:
    with pytest.raises(InvalidInput, match="marginal") as caught:
        fit_conformal("marginal", 0.9, [[0.5, 0.5]], np.array([[True, True]]))
    assert "class-conditional" in (caught.value.remedy or "")
