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


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 4), n=st.integers(10, 60))
def test_metrics_of_several_labels_agree_with_scikit_learn(seed: int, k: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random((n, k)) < 0.4
    truth[0], truth[1] = True, False
    p, w = np.round(rng.random((n, k)), 1) * 0.98 + 0.01, rng.integers(1, 4, size=n).astype(float)
    found = {name: float(v) for name, v in metrics.multi_label_metrics(p, truth, w).items()}
    each = [(truth[:, label], p[:, label]) for label in range(k)]
    for name, expected in (
        ("auc", reference.roc_auc_score),
        ("auprc", reference.average_precision_score),
        ("brier", reference.brier_score_loss),
        ("log_loss", reference.log_loss),
    ):
        assert found[name] == pytest.approx(
            np.mean([expected(true, column, sample_weight=w) for true, column in each])
        )
    called = p >= 0.5
    assert found["exact_match"] == pytest.approx(
        np.average((called == truth).all(axis=1), weights=w)
    )
    assert found["hamming_accuracy"] == pytest.approx(
        1 - np.average((called != truth).mean(axis=1), weights=w)
    )


@settings(max_examples=30, deadline=None)
@given(case=cases)
def test_two_exclusive_labels_are_measured_alike_in_either_writing(
    case: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]],
) -> None:
    p, y, w = case
    second = np.round(p[:, 1], 6)  # so that 1 - p has no tie that p has not
    p, y = np.column_stack([1 - second, second]), (y == 1).astype(np.int64)
    one = metrics.classification_metrics(p, y, w)
    two = metrics.multi_label_metrics(p, np.eye(2, dtype=np.bool_)[y], w)
    for name in ("auc", "brier", "log_loss"):  # auprc is another for each of the two
        assert two[name] == pytest.approx(one[name], nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(case=cases)
def test_grades_agree_with_scikit_learn(
    case: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]],
) -> None:
    p, y, w = case
    called = p.argmax(axis=1)
    found = metrics.ordinal_metrics(p, y, w)
    assert found["mean_absolute_error"] == pytest.approx(
        reference.mean_absolute_error(y, called, sample_weight=w)
    )
    assert found["quadratic_kappa"] == pytest.approx(
        reference.cohen_kappa_score(y, called, weights="quadratic", sample_weight=w)
    )


def test_grades_that_are_one_throughout_have_no_kappa() -> None:
    p = np.tile([0.1, 0.7, 0.2], (7, 1))
    found = metrics.ordinal_metrics(p, np.ones(7, dtype=np.int64))
    assert np.isnan(found["quadratic_kappa"])
    assert found["mean_absolute_error"] == 0.0


def test_calibration_error_of_several_labels_is_the_mean_of_each() -> None:
    p = np.column_stack([np.full(100, 0.2), np.full(100, 0.5)])
    truth = np.column_stack([np.arange(100) < 30, np.arange(100) < 80])
    assert metrics.multi_label_metrics(p, truth)["ece"] == pytest.approx((0.1 + 0.3) / 2)
    low, high = metrics.reliability(p, truth)
    assert (low.observed, low.count) == pytest.approx((0.3, 100))
    assert (high.observed, high.count) == pytest.approx((0.8, 100))
