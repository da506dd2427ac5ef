import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.trust.minimum_error import minimum_error_threshold


def two_groups(share: float, seed: int = 0, n: int = 2000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    upper = round(share * n)
    return np.concatenate([rng.normal(-4, 1.5, n - upper), rng.normal(4, 2, upper)])


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9])
def test_the_threshold_lies_where_two_normal_groups_part(share: float) -> None:
    threshold = minimum_error_threshold(two_groups(share))
    assert -2.0 < threshold < 1.5
    assert np.mean(two_groups(share) >= threshold) == pytest.approx(share, abs=0.03)


@given(st.floats(0.1, 5.0), st.floats(-20.0, 20.0))
def test_it_moves_and_stretches_with_the_scores(scale: float, offset: float) -> None:
    scores = two_groups(0.4)
    expected = scale * minimum_error_threshold(scores) + offset
    assert minimum_error_threshold(scale * scores + offset) == pytest.approx(expected, abs=1e-6)


def test_too_few_scores_and_those_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InvalidInput, match="50 finite scores"):
        minimum_error_threshold(np.zeros(49))
    with pytest.raises(InvalidInput, match="finite"):
        minimum_error_threshold(np.full(100, np.nan))


def test_scores_that_are_all_alike_are_no_crash() -> None:
    assert minimum_error_threshold(np.full(100, 2.0)) == pytest.approx(2.0)
