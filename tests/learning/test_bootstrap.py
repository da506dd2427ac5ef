import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from polyclinic.core.evaluation import Estimate
from polyclinic.learning.evaluate.bootstrap import bootstrap
from polyclinic.learning.evaluate.metrics import auc, mean

Floats = NDArray[np.float64]


def of_mean(values: Floats, clusters: NDArray[np.int64], seed: int = 0) -> Estimate:
    return bootstrap(lambda w: {"mean": mean(values, w)}, clusters, seed=seed)["mean"]


def test_the_interval_of_a_mean_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).exponential(size=300)
    ours = of_mean(values, np.arange(300))
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=2000, method="percentile", rng=1
    ).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.02)


def test_the_interval_holds_the_truth_about_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(1)
    estimates = [of_mean(rng.normal(size=60), np.arange(60), seed=s) for s in range(200)]
    assert 0.89 <= np.mean([e.low <= 0 <= e.high for e in estimates]) <= 0.99


def test_examples_of_one_patient_count_as_one_draw() -> None:
    rng = np.random.default_rng(2)
    by_patient = rng.normal(size=50)
    once = of_mean(by_patient, np.arange(50))
    tenfold = of_mean(np.repeat(by_patient, 10), np.repeat(np.arange(50), 10))
    naive = of_mean(np.repeat(by_patient, 10), np.arange(500))
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high))
    assert naive.high - naive.low < 0.5 * (tenfold.high - tenfold.low)


def test_undefined_resamples_are_dropped_and_undefined_values_left_out() -> None:
    p = np.linspace(0.1, 0.9, 12)
    probabilities = np.column_stack([1 - p, p])
    y = np.zeros(12, dtype=np.int64)
    y[-1] = 1  # in about a third of the resamples no example is positive
    one = bootstrap(lambda w: {"auc": auc(probabilities, y, w)}, np.arange(12))["auc"]
    assert (one.value, one.low, one.high) == (1.0, 1.0, 1.0)
    none = bootstrap(lambda w: {"auc": auc(probabilities, y * 0, w)}, np.arange(12))
    assert none == {}


def test_a_seed_repeats_and_large_data_is_taken_in_chunks() -> None:
    values = np.random.default_rng(3).normal(size=9000)
    shapes = []

    def statistic(w: Floats) -> dict[str, Floats]:
        shapes.append(w.shape)
        return {"mean": mean(values, w)}

    first = bootstrap(statistic, np.arange(9000), resamples=50, seed=7)
    assert len(shapes) > 2
    assert sum(b for b, _ in shapes[1:]) == 50
    assert bootstrap(statistic, np.arange(9000), resamples=50, seed=7) == first
    assert bootstrap(statistic, np.arange(9000), resamples=50, seed=8) != first
