"""Filters of who had what: planted structure is found, and stored filters answer alike."""

from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.core.errors import IntegrityError
from polyclinic.learning.recommend.orders import fit_filter, load_filter, nearest_neighbour

OPTIONS: dict[str, dict[str, Any]] = {
    "als": {"factors": 4, "iterations": 15, "regularisation": 0.05, "confidence": 10.0},
    "bpr": {"factors": 4, "iterations": 200, "rate": 0.05, "regularisation": 0.01},
    "item_knn": {"k": 5, "weighting": "cosine"},
}


def two_wards(users: int = 300, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Users of two kinds: one has items 0 to 4, the other 5 to 9, each with odds of 0.7."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(2, size=users)
    odds = np.where((np.arange(10) < 5) == (kind[:, None] == 0), 0.7, 0.03)
    return (rng.random((users, 10)) < odds).astype(np.float32), kind


@pytest.mark.parametrize("name", OPTIONS)
def test_a_new_user_gets_what_users_alike_had(name: str) -> None:
    had, _ = two_wards()
    model = fit_filter(name, had, seed=1, **OPTIONS[name])
    history = np.zeros((2, 10), np.float32)
    history[0, :2] = 1
    history[1, 5:7] = 1
    scores = model.scores(history)
    assert scores[0, 2:5].mean() > scores[0, 5:].mean()
    assert scores[1, 7:].mean() > scores[1, :5].mean()


@pytest.mark.parametrize("name", OPTIONS)
def test_a_stored_filter_answers_alike_and_the_same_seed_gives_the_same(name: str) -> None:
    had, _ = two_wards()
    model = fit_filter(name, had, seed=1, **OPTIONS[name])
    again = fit_filter(name, had, seed=1, **OPTIONS[name])
    stored = load_filter(name, safetensors.numpy.load(safetensors.numpy.save(model.arrays())))
    assert (stored.scores(had[:20]) == model.scores(had[:20])).all()
    assert (again.scores(had[:20]) == model.scores(had[:20])).all()


def test_folding_in_a_training_user_is_what_the_library_recalculates() -> None:
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    had, _ = two_wards()
    ours = fit_filter("als", had, seed=1, **OPTIONS["als"]).scores(had[:5])
    model = AlternatingLeastSquares(
        factors=4, regularization=0.05, alpha=1.0, iterations=15, random_state=1, num_threads=1
    )
    weighed = csr_matrix(10.0 * had)
    model.fit(weighed, show_progress=False)
    users = np.stack([model.recalculate_user(row, weighed[row]) for row in range(5)])
    assert np.allclose(ours, users @ model.item_factors.T, atol=1e-3)


@pytest.mark.parametrize("weighting", ["cosine", "tfidf", "bm25"])
def test_an_item_is_not_its_own_neighbour_alone(weighting: str) -> None:
    had, _ = two_wards()
    model = fit_filter("item_knn", had, seed=0, k=3, weighting=weighting)
    alike = model.arrays()["alike"]
    assert ((alike > 0).sum(axis=0) > 1).all()


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(IntegrityError):
        load_filter("als", {})
    with pytest.raises(IntegrityError):
        load_filter("item_knn", {"alike": np.zeros((2, 3), np.float32)})
    with pytest.raises(IntegrityError):
        load_filter(
            "bpr",
            {
                "factors": np.zeros((3, 2), np.float32),
                "biases": np.zeros(2, np.float32),
                "settings": np.zeros(1),
            },
        )


def test_neighbours_share_what_they_had() -> None:
    had, kind = two_wards()
    features = np.column_stack([kind == 0, kind == 1]).astype(np.float32)
    shares = nearest_neighbour(features, had > 0, np.eye(2, dtype=np.float32), k=50)
    assert shares[0, :5].min() > shares[0, 5:].max()
    assert shares.max() <= 1
    alone = nearest_neighbour(features[:3], had[:3] > 0, features[:3], k=50)
    assert alone.shape == (3, 10)
