"""Figures of rankings, against scikit-learn where it has the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, f1_score, jaccard_score, ndcg_score

from polyclinic.learning.evaluate.ranking import (
    average_precision,
    f1,
    jaccard,
    ndcg_at,
    pair_rate,
    precision_at,
    recall_at,
)

seeds = st.integers(0, 10**6)


def drawn(seed: int, n: int = 12, m: int = 9) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    truth = rng.random((n, m)) < 0.3
    truth[np.arange(n), rng.integers(m, size=n)] = True
    return rng.normal(size=(n, m)), truth


@given(seeds)
def test_figures_are_those_of_scikit_learn(seed: int) -> None:
    scores, truth = drawn(seed)
    recommended = scores > 0.3
    for row in range(len(truth)):
        y, s, r = truth[row], scores[row], recommended[row]
        assert average_precision(scores, truth)[row] == pytest.approx(average_precision_score(y, s))
        assert jaccard(recommended, truth)[row] == pytest.approx(jaccard_score(y, r))
        assert f1(recommended, truth)[row] == pytest.approx(f1_score(y, r, zero_division=0.0))
        expected = ndcg_score(y[None].astype(int), s[None], k=4)
        assert ndcg_at(scores, truth, 4)[row] == pytest.approx(expected)


@given(seeds, st.integers(1, 12))
def test_more_places_find_more_and_all_find_everything(seed: int, k: int) -> None:
    scores, truth = drawn(seed)
    assert (recall_at(scores, truth, k + 1) >= recall_at(scores, truth, k)).all()
    assert (recall_at(scores, truth, truth.shape[1]) == 1).all()
    hits = precision_at(scores, truth, 3) * 3
    assert np.allclose(hits, recall_at(scores, truth, 3) * truth.sum(axis=1))


def test_an_example_without_a_right_item_has_no_figure() -> None:
    scores, truth = drawn(0)
    truth[2] = False
    recommended = scores > 0
    for values in (
        jaccard(recommended, truth),
        f1(recommended, truth),
        average_precision(scores, truth),
        recall_at(scores, truth, 3),
        precision_at(scores, truth, 3),
        ndcg_at(scores, truth, 3),
    ):
        assert np.isnan(values[2])
        assert np.isfinite(np.delete(values, 2)).all()


def test_pairs_that_interact_are_counted_among_those_recommended_together() -> None:
    interacting = np.zeros((4, 4), bool)
    interacting[0, 1] = interacting[1, 0] = True
    recommended = np.array([[1, 1, 1, 0], [1, 0, 1, 1], [1, 0, 0, 0]], bool)
    rate = pair_rate(recommended, interacting)
    assert rate[:2].tolist() == pytest.approx([1 / 3, 0])
    assert np.isnan(rate[2])
