import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import spearmanr

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.evaluate.faithfulness import (
    area,
    faithfulness,
    insertion_curve,
    random_like,
    rank_correlation,
)

N, SIDE = 40, 12
WEIGHTS = np.zeros((SIDE, SIDE))
WEIGHTS[3:6, 4:8] = 1 / 12


def world() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Bright pictures (N, 1, SIDE, SIDE), and a black baseline."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(150, 256, size=(N, 1, SIDE, SIDE), dtype=np.uint8)
    return pictures, np.zeros_like(pictures)


def score(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """A model that looks at one patch only."""
    return np.asarray((pictures[:, 0] / 255 * WEIGHTS).sum(axis=(1, 2)))


def true_maps() -> NDArray[np.float64]:
    return np.tile(WEIGHTS, (N, 1, 1))


def test_a_true_map_is_far_above_chance_and_its_opposite_below() -> None:
    pictures, black = world()
    smooth = true_maps() + 1e-3 * np.random.default_rng(1).normal(size=(N, SIDE, SIDE))
    good = faithfulness(score, pictures, smooth, black, resamples=200)
    assert good.gain.value > 0.6
    assert good.over_random.low > 0.4
    bad = faithfulness(score, pictures, -smooth, black, resamples=200)
    assert bad.over_random.high < -0.4
    assert good.insertion.value - good.deletion.value == pytest.approx(good.gain.value)


def test_a_random_map_is_at_chance() -> None:
    pictures, black = world()
    maps = random_like(true_maps(), np.random.default_rng(7))
    found = faithfulness(score, pictures, maps, black, random_maps=20, resamples=500)
    assert found.over_random.low < 0 < found.over_random.high


def test_curves_start_at_the_baseline_end_at_the_picture_and_deletion_mirrors_insertion() -> None:
    pictures, black = world()
    maps = np.random.default_rng(2).normal(size=(N, SIDE, SIDE))
    inserted = insertion_curve(score, pictures, maps, black, steps=9)
    assert inserted.shape == (N, 10)
    assert inserted[:, 0] == pytest.approx(score(black))
    assert inserted[:, -1] == pytest.approx(score(pictures))
    # This model is linear: what is gained by showing places is lost by taking the same away.
    deleted = insertion_curve(score, black, maps, pictures, steps=9)
    assert inserted + deleted == pytest.approx(np.tile(score(pictures)[:, None], 10))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_only_the_order_of_a_map_matters(seed: int) -> None:
    pictures, black = world()
    maps = np.random.default_rng(seed).normal(size=(N, SIDE, SIDE))
    first = insertion_curve(score, pictures, maps, black, steps=4)
    assert insertion_curve(score, pictures, np.exp(maps) * 3 + 1, black, steps=4) == pytest.approx(
        first
    )


def test_the_area_is_that_of_trapezoids() -> None:
    assert area(np.array([[0.0, 1.0], [1.0, 1.0]])) == pytest.approx([0.5, 1.0])
    assert area(np.array([[0.0, 0.5, 1.0]])) == pytest.approx([0.5])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), height=st.integers(2, 9), width=st.integers(2, 9))
def test_random_maps_are_as_smooth_as_the_map(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(3, height, width)).cumsum(axis=2)
    random = random_like(maps, rng)
    inner = (slice(None), slice(None), slice(1, (width + 1) // 2))
    spectra = [np.abs(np.fft.rfft2(m))[inner] for m in (random, maps)]
    assert spectra[0] == pytest.approx(spectra[1], abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_rank_correlation_is_spearmans_and_ignores_monotone_changes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 9, size=(2, 4, 5, 6)).astype(float)  # with ties
    expected = [
        spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)
    ]
    assert rank_correlation(first, second) == pytest.approx(expected)
    assert rank_correlation(first, np.exp(first)) == pytest.approx(1.0)
    assert rank_correlation(first, -first) == pytest.approx(-1.0)


def test_a_constant_map_has_no_rank_correlation() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 3, 3))
    maps[0] = 1.0
    assert np.isnan(rank_correlation(maps, maps)).tolist() == [True, False]


def test_maps_that_do_not_fit_are_refused() -> None:
    pictures, black = world()
    with pytest.raises(InvalidInput, match="do not fit"):
        insertion_curve(score, pictures, np.zeros((N, 7, 7)), black)
    with pytest.raises(InvalidInput, match="finite"):
        insertion_curve(score, pictures, np.full((N, SIDE, SIDE), np.nan), black)
