"""The best few of many items."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.recommend.top import top


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 400), st.integers(1, 2))
def test_it_is_what_sorting_everything_gives(seed: int, k: int, items: int, threads: int) -> None:
    rng = np.random.default_rng(seed)
    users = rng.normal(size=(7, 5)).astype(np.float32)
    factors = rng.normal(size=(items, 5)).astype(np.float32)
    biases = rng.normal(size=items).astype(np.float32)
    out = rng.random((7, items)) < 0.2
    ids, values = top(users, factors, k, biases=biases, excluded=out.__getitem__, threads=threads)
    scores = users @ factors.T + biases
    scores[out] = -np.inf
    expected = -np.sort(-scores, axis=1)[:, :k]
    assert np.allclose(values, expected, atol=1e-5)
    for row in range(7):
        kept = ids[row][ids[row] >= 0]
        assert len(set(kept.tolist())) == len(kept)
        assert not out[row, kept].any()


def test_factors_that_are_no_numbers_are_refused() -> None:
    users, items = np.ones((2, 3), np.float32), np.ones((4, 3), np.float32)
    with pytest.raises(InvalidInput, match="fit"):
        top(users, items[:, :2], 1)
    items[1, 1] = np.nan
    with pytest.raises(InvalidInput, match="finite"):
        top(users, items, 1)
