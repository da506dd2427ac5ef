from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from polyclinic.core.errors import InvalidInput
from polyclinic.core.prediction import Coding
from polyclinic.learning.prepare.dataset import Dataset, Part
from polyclinic.learning.prepare.label_errors import (
    FOLDS,
    find_label_errors,
    out_of_sample_probabilities,
    suspect_labels,
)
from polyclinic.learning.prepare.quality import check_quality

LABELS = tuple(Coding(system="urn:test", code=str(i), display=str(i)) for i in range(10))


def flip(
    y: NDArray[np.int64], share: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels of which a share was changed to another of ten, and the rows of these."""
    rows = rng.choice(len(y), round(share * len(y)), replace=False)
    planted = y.copy()
    planted[rows] = (y[rows] + rng.integers(1, 10, len(rows))) % 10
    return planted, rows


def digits(n: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    data = load_digits()
    return data.images[:n, None].astype(np.float32), data.target[:n].astype(np.int64)


def test_planted_errors_in_digits_are_found() -> None:
    x, y = digits(1797)
    figures = []
    for seed in range(5):
        planted, flipped = flip(y, 0.08, np.random.default_rng(seed))
        rows = find_label_errors(out_of_sample_probabilities(x, planted, 10), planted).rows
        hits = np.isin(rows, flipped).sum()
        figures.append((hits / len(flipped), hits / len(rows)))
    recall, precision = np.mean(figures, axis=0)
    assert recall >= 0.85
    assert precision >= 0.75


def test_the_likeliest_errors_come_first_with_the_right_label_suggested() -> None:
    x, y = digits(1000)
    planted, flipped = flip(y, 0.05, np.random.default_rng(0))
    found = find_label_errors(out_of_sample_probabilities(x, planted, 10), planted)
    first = found.rows[:20]
    assert np.isin(first, flipped).mean() >= 0.95
    assert (found.suggested[:20] == y[first]).mean() >= 0.95
    assert (np.diff(found.self_confidence) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 60), k=st.integers(2, 5))
def test_a_suspect_has_a_likelier_label_whatever_the_order(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    p, y = rng.dirichlet(np.ones(k), size=n), rng.integers(k, size=n)
    found = find_label_errors(p, y)
    assert (p[found.rows, found.suggested] > p[found.rows, y[found.rows]]).all()
    order = rng.permutation(n)
    again = find_label_errors(p[order], y[order])
    assert sorted(order[again.rows].tolist()) == sorted(found.rows.tolist())


def test_a_classifier_that_is_right_suspects_nothing() -> None:
    y = np.arange(40) % 4
    assert find_label_errors(0.2 * np.ones((40, 4)) + 0.2 * np.eye(4)[y], y).rows.size == 0


def test_no_example_is_judged_by_what_learnt_from_its_patient() -> None:
    # Inputs are noise, but those of a patient are alike: only a leak could tell their labels.
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(60), 4)
    x = rng.normal(size=(60, 30))[person] + 0.01 * rng.normal(size=(240, 30))
    y = rng.integers(2, size=60)[person]
    leaked = out_of_sample_probabilities(x, y, 2)
    kept_apart = out_of_sample_probabilities(x, y, 2, person.astype(str))
    right = [(p.argmax(axis=1) == y).mean() for p in (leaked, kept_apart)]
    assert right[0] > 0.9
    assert right[1] < 0.7


def dataset(planted: NDArray[np.int64], x: NDArray[np.float32]) -> Dataset:
    return Dataset(
        "digits",
        LABELS,
        Part(x[:800], planted[:800]),
        Part(x[800:1100], planted[800:1100]),
        Part(x[1100:], planted[1100:]),
        "CC-BY-4.0",
        "scikit-learn",
    )


@pytest.fixture
def planted() -> tuple[Dataset, NDArray[np.int64]]:
    x, y = digits(1300)
    labels, flipped = flip(y, 0.05, np.random.default_rng(0))
    return dataset(labels, x), flipped


def test_the_check_names_rows_of_each_part_and_leaves_the_test_part_alone(
    planted: tuple[Dataset, NDArray[np.int64]],
) -> None:
    data, flipped = planted
    report = check_quality(data, checks=(suspect_labels,))
    train, validation = report.issues
    assert (train.where, train.severity, validation.where) == ("train", "warning", "validation")
    assert np.isin(train.rows[:10], flipped).mean() >= 0.9
    assert np.isin(np.array(validation.rows[:5]) + 800, flipped).mean() >= 0.8


def test_what_cannot_be_judged_is_passed_over(planted: tuple[Dataset, NDArray[np.int64]]) -> None:
    data, _ = planted
    lonely = replace(data.train, y=np.where(np.arange(800) < FOLDS - 1, 9, data.train.y % 9))
    few = replace(data, train=lonely, validation=replace(data.validation, y=data.validation.y % 9))
    assert all(set(issue.rows).isdisjoint(range(FOLDS - 1)) for issue in suspect_labels(few))
    broken = data.train.x.copy()
    broken[0, 0, 0, 0] = np.nan
    assert not list(suspect_labels(replace(data, train=replace(data.train, x=broken))))


def test_bad_input_is_refused_by_name() -> None:
    x, y = digits(100)
    with pytest.raises(InvalidInput, match="finite"):
        out_of_sample_probabilities(np.full_like(x, np.inf), y, 10)
    with pytest.raises(InvalidInput, match="5 examples"):
        out_of_sample_probabilities(x[:20], y[:20], 10)


def test_of_several_labels_each_is_judged_on_its_own() -> None:
    x, digit = digits(1100)
    y = np.column_stack([digit % 2 == 0, digit < 3, digit == 7])
    flipped = np.random.default_rng(0).choice(800, 40, replace=False)
    y[flipped, 1] ^= True
    data = Dataset(
        "digits", LABELS[:3], Part(x[:800], y[:800]), Part(x[800:], y[800:]), None, "", ""
    )
    issues = [issue for issue in suspect_labels(data) if issue.where == "train"]
    (wrong,) = [issue for issue in issues if "as to 1;" in issue.detail]
    assert np.isin(wrong.rows[:20], flipped).mean() >= 0.9
    assert all(len(issue.rows) < 15 for issue in issues if issue is not wrong)
