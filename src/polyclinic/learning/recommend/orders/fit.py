"""Filters are fitted by the library `implicit`, which nothing that serves imports."""

import warnings
from typing import Any

import numpy as np

from polyclinic.learning.recommend.orders.filters import (
    Filter,
    Floats,
    ItemNeighbours,
    LeastSquares,
    PairwiseRanking,
)


def fit_filter(name: str, had: Floats, seed: int, **options: Any) -> Filter:
    """The filter `als`, `bpr` or `item_knn` of who had what (users, items), 1 or 0.

    options: of `als` factors, iterations, regularisation, confidence; of `bpr` factors, iterations,
    rate, regularisation; of `item_knn` k, weighting. The same seed gives the same filter.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        match name:
            case "als":
                return _least_squares(had, seed, **options)
            case "bpr":
                return _pairwise(had, seed, **options)
            case "item_knn":
                return _item_neighbours(had, **options)
            case _:
                raise ValueError(f"there is no filter {name}")


def _least_squares(
    had: Floats, seed: int, factors: int, iterations: int, regularisation: float, confidence: float
) -> LeastSquares:
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    model = AlternatingLeastSquares(
        factors=min(factors, had.shape[1]),
        regularization=regularisation,
        alpha=1.0,
        iterations=iterations,
        random_state=seed,
        num_threads=1,
    )
    model.fit(csr_matrix(confidence * had), show_progress=False)
    return LeastSquares(np.asarray(model.item_factors), regularisation, confidence)


def _pairwise(
    had: Floats, seed: int, factors: int, iterations: int, rate: float, regularisation: float
) -> PairwiseRanking:
    from implicit.cpu.bpr import BayesianPersonalizedRanking
    from scipy.sparse import csr_matrix

    model = BayesianPersonalizedRanking(
        factors=min(factors, had.shape[1]),
        learning_rate=rate,
        regularization=regularisation,
        iterations=iterations,
        random_state=seed,
        num_threads=1,
    )
    model.fit(csr_matrix(had), show_progress=False)
    # The library keeps the items' biases in the last column of their factors.
    whole = np.asarray(model.item_factors)
    return PairwiseRanking(whole[:, :-1], whole[:, -1], max(regularisation, 0.1))


def _item_neighbours(had: Floats, k: int, weighting: str) -> ItemNeighbours:
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
    from scipy.sparse import csr_matrix

    kinds = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}
    # The library counts an item as its own neighbour.
    model = kinds[weighting](K=k + 1, num_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library's own conversions
        model.fit(csr_matrix(had, dtype=np.float64), show_progress=False)
    alike = np.asarray(model.similarity.todense(), np.float32)
    return ItemNeighbours(alike)
