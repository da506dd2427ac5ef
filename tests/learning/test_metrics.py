import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from polyclinic.learning.evaluate import metrics


def answers(
    n: int, k: int, seed: int, decimals: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Probabilities (rounded, so with ties), labels of every kind, and whole weights."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    p = np.round(rng.dirichlet(np.ones(k), size=n) + 0.5 * np.eye(k)[y], decimals) + 1e-3
    return p / p.sum(axis=1, keepdims=True), y, rng.integers(1, 4, size=n).astype(np.float64)


cases = st.builds(
    answers,
    n=st.integers(8, 60),
    k=st.integers(2, 5),
    seed=st.integers(0, 10**6),
    decimals=st.sampled_from([1, 6]),
)


@settings(max_examples=60, deadline=None)
@given(case=cases)
def test_metrics_agree_with_scikit_learn_with_ties_and_weights(
    case: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]],
) -> None:
    p, y, w = case
    k = p.shape[1]
    labels = [1] if k == 2 else range(k)
    auc = [reference.roc_auc_score(y == c, p[:, c], sample_weight=w) for c in labels]
    ap = [reference.average_precision_score(y == c, p[:, c], sample_weight=w) for c in labels]
    found = {name: float(v) for name, v in metrics.classification_metrics(p, y, w).items()}
    assert found["auc"] == pytest.approx(np.mean(auc))
    assert found["auprc"] == pytest.approx(np.mean(ap))
    assert found["log_loss"] == pytest.approx(
        reference.log_loss(y, p, sample_weight=w, labels=list(range(k)))
    )
    assert found["accuracy"] == pytest.approx(
        reference.accuracy_score(y, p.argmax(axis=1), sample_weight=w)
    )
    squares = ((p - np.eye(k)[y]) ** 2).sum(axis=1)
    assert found["brier"] == pytest.approx(np.average(squares, weights=w) / (2 if k == 2 else 1))


@settings(max_examples=40, deadline=None)
@given(case=cases, seed=st.integers(0, 1000))
def test_many_resamples_at_once_are_as_each_alone(
    case: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]], seed: int
) -> None:
    p, y, _ = case
    rows = np.random.default_rng(seed).integers(len(y), size=(3, len(y)))
    weights = np.stack([np.bincount(r, minlength=len(y)) for r in rows]).astype(np.float64)
    together = metrics.classification_metrics(p, y, weights)
    for i, r in enumerate(rows):
        for name, value in metrics.classification_metrics(p[r], y[r]).items():
            assert together[name][i] == pytest.approx(float(value), nan_ok=True)


def test_a_binary_call_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    present, called = rng.random(200) < 0.3, rng.random(200) < 0.4
    found = metrics.binary_metrics(called, present)
    assert found == pytest.approx(
        {
            "accuracy": reference.accuracy_score(present, called),
            "balanced_accuracy": reference.balanced_accuracy_score(present, called),
            "sensitivity": reference.recall_score(present, called),
            "specificity": reference.recall_score(~present, ~called),
            "ppv": reference.precision_score(present, called),
            "npv": reference.precision_score(~present, ~called),
            "f1": reference.f1_score(present, called),
        }
    )


def test_what_is_undefined_is_nan() -> None:
    p = np.array([[0.4, 0.6], [0.3, 0.7]])
    found = metrics.classification_metrics(p, np.array([1, 1]))
    assert np.isnan(found["auc"])
    assert np.isnan(found["auprc"])
    assert found["accuracy"] == 1.0
    binary = metrics.binary_metrics(np.zeros(2, np.bool_), np.zeros(2, np.bool_))
    assert {name for name, value in binary.items() if np.isnan(value)} == {
        "balanced_accuracy",
        "sensitivity",
        "ppv",
        "f1",
    }


def test_calibration_error_is_the_mean_gap_between_promise_and_truth() -> None:
    p1 = np.repeat([0.1, 0.9], 100)
    y = np.concatenate([np.arange(100) < 30, np.arange(100) < 90]).astype(np.int64)
    p = np.column_stack([1 - p1, p1])
    assert metrics.ece(p, y) == pytest.approx(0.1)  # half the examples are off by 0.2
    low, high = metrics.reliability(p, y)
    assert (low.probability, low.observed, low.count) == pytest.approx((0.1, 0.3, 100))
    assert (high.probability, high.observed, high.count) == pytest.approx((0.9, 0.9, 100))


def test_with_three_labels_calibration_is_of_the_likeliest() -> None:
    p = np.tile([0.5, 0.3, 0.2], (10, 1))
    y = np.array([0] * 8 + [1, 2])
    assert metrics.ece(p, y) == pytest.approx(0.3)
    assert metrics.reliability(p, y)[0].observed == pytest.approx(0.8)
