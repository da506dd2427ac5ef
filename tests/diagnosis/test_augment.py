import pytest
import torch

from polyclinic.diagnosis.imaging.augment import AugmentSettings, augment


def pictures(n: int = 8, channels: int = 1, size: int = 20) -> torch.Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0))


def changed(x: torch.Tensor, seed: int = 0, **settings: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return augment(x, AugmentSettings.model_validate(settings), generator)


def test_without_settings_nothing_changes() -> None:
    assert torch.allclose(changed(pictures()), pictures(), atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "setting", ["rotate", "shift", "zoom", "contrast", "brightness", "gamma", "blur", "noise"]
)
def test_each_setting_changes_each_picture_in_its_own_way(setting: str, channels: int) -> None:
    x = pictures(channels=channels)
    size = {"rotate": 20.0, "blur": 1.5, "gamma": 0.7}.get(setting, 0.3)
    first, again, other = (changed(x, seed, **{setting: size}) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == x.shape
    assert first.min() >= 0
    assert first.max() <= 1
    moved = (first - x).abs().mean((1, 2, 3))
    assert (moved > 0).all()
    assert len(moved.unique()) == len(moved)


def test_blur_smooths_some_and_sharpens_others_and_keeps_what_is_even() -> None:
    x = pictures(64)
    roughness = (changed(x, blur=1.5).diff(dim=3).abs().mean((1, 2, 3))) / x.diff(dim=3).abs().mean(
        (1, 2, 3)
    )
    assert (roughness < 0.9).any()
    assert (roughness > 1.1).any()
    even = torch.full((4, 1, 20, 20), 0.4)
    assert torch.allclose(changed(even, blur=2.0), even, atol=1e-5)


def test_gamma_leaves_black_and_white_where_they_are() -> None:
    ends = torch.zeros(8, 1, 20, 20)
    ends[:, :, :10] = 1
    toned = changed(ends, gamma=0.5)
    assert torch.equal(toned[:, :, :10], ends[:, :, :10])
    assert toned[:, :, 12:].max() < 0.01
