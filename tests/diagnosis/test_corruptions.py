import numpy as np
import pytest
from trained_spots import Trained

from pictures import spots
from polyclinic.diagnosis.imaging.corruptions import CORRUPTIONS, STRENGTHS, corruptions
from polyclinic.diagnosis.imaging.evaluation import balanced_error


@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_hurts_more_with_every_strength(channels: int) -> None:
    grey = spots(20, 1, size=32)[0][:, None]
    x = np.repeat(grey, channels, axis=1)
    distance: dict[str, list[float]] = {}
    for kind, strength, corrupted in corruptions(x):
        assert corrupted.shape == x.shape
        assert corrupted.dtype == np.uint8
        assert strength in STRENGTHS
        away = np.abs(corrupted.astype(int) - x).mean()
        distance.setdefault(kind, []).append(float(away))
    assert distance.keys() == CORRUPTIONS.keys()
    for kind, away in distance.items():
        assert away[0] > 0, kind
        assert away == sorted(away), kind


def test_pictures_come_out_alike_however_few_are_corrupted_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = spots(20, 1, size=32)[0][:, None]
    whole = [corrupted for _, _, corrupted in corruptions(x)]
    monkeypatch.setattr("polyclinic.diagnosis.imaging.corruptions.VALUES", 3 * 32 * 32)
    few = [corrupted for _, _, corrupted in corruptions(x)]
    assert all(np.array_equal(*pair) for pair in zip(whole, few, strict=True))


def test_blur_is_that_of_its_deviation_and_spares_what_is_even() -> None:
    even = np.full((1, 1, 64, 64), 77, dtype=np.uint8)
    point = np.zeros((1, 1, 64, 64), dtype=np.uint8)
    point[0, 0, 32, 32] = 255
    blurred = {kind: x for kind, s, x in corruptions(even) if s == 5}
    assert (blurred["blur"] == 77).all()
    (spread,) = (x for kind, s, x in corruptions(point) if (kind, s) == ("blur", 5))
    # At 64 pixels a side the deviation is 2: the peak of its Gaussian is 1 / (2 pi 4).
    assert spread[0, 0, 32, 32] == pytest.approx(255 / (2 * np.pi * 4), abs=1)


def test_the_card_says_where_a_model_breaks(trained: Trained) -> None:
    robustness = trained.version.manifest.validation.robustness
    assert robustness is not None
    assert robustness.examples == 80
    assert len(robustness.corrupted) == 5 * len(CORRUPTIONS)
    for kind, strength in robustness.breaks.items():
        ratios = [robustness.ratio(r) for r in robustness.corrupted if r.kind == kind]
        over = [s for s, ratio in zip(STRENGTHS, ratios, strict=True) if ratio > 1.5]
        assert strength == (over[0] if over else 0)


def test_the_balanced_error_is_the_mean_of_both_sides_and_of_findings() -> None:
    truth = np.array([[1, 1], [1, 1], [0, 1], [0, 1]], dtype=bool)
    called = np.array([[1, 1], [0, 1], [0, 1], [0, 0]], dtype=bool)
    # Of the first finding half the positives are missed; the second has no negative.
    assert balanced_error(called, truth) == pytest.approx((0.25 + 0.25) / 2)
