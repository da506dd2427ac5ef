"""Augmentation: small changes that leave the finding as it is, drawn anew for every batch."""

import math

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from polyclinic.core.frozen import Frozen


class AugmentSettings(Frozen):
    """The largest change of each kind, drawn uniformly from plus to minus; 0 is none.

    rotate: degrees. shift: fraction of the side. zoom, contrast: relative. brightness: of the full
    range. gamma: of the exponent's logarithm. blur: deviation of a Gaussian, in pixels; every other
    picture is sharpened instead. noise: deviation, of the full range. mirror: left and right
    exchanged in half of the pictures.
    """

    rotate: float = Field(default=0.0, ge=0.0, le=180.0)
    shift: float = Field(default=0.0, ge=0.0, le=0.5)
    zoom: float = Field(default=0.0, ge=0.0, le=0.5)
    contrast: float = Field(default=0.0, ge=0.0, le=1.0)
    brightness: float = Field(default=0.0, ge=0.0, le=1.0)
    gamma: float = Field(default=0.0, ge=0.0, le=2.0)
    blur: float = Field(default=0.0, ge=0.0, le=8.0)
    noise: float = Field(default=0.0, ge=0.0, le=0.5)
    mirror: bool = False


def augment(pictures: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Pictures (n, c, h, w) in [0, 1], each changed in its own way."""
    n = len(pictures)

    def draw(largest: float) -> Tensor:
        return (torch.rand(n, generator=generator) * 2 - 1) * largest

    def each(values: Tensor) -> Tensor:
        return values[:, None, None, None]

    angle, zoom = draw(math.radians(settings.rotate)), 1 + draw(settings.zoom)
    across, down = draw(2 * settings.shift), draw(2 * settings.shift)
    changed = _moved(pictures, angle, zoom, across, down)
    middle = 0.5
    changed = (changed - middle) * each(1 + draw(settings.contrast)) + middle
    changed = (changed + each(draw(settings.brightness))).clamp(0, 1)
    if settings.gamma:
        # Off zero, where the power has no slope to speak of.
        changed = changed.clamp_min(1e-4) ** each(draw(settings.gamma).exp())
    if settings.blur:
        smooth = _blurred(changed, draw(settings.blur).abs())
        amount = each(draw(1.0))
        changed = torch.where(amount > 0, smooth, changed + (changed - smooth) * -amount)
        changed = changed.clamp(0, 1)
    if settings.noise:
        grain = torch.randn(changed.shape, generator=generator)
        changed = (changed + grain * each(draw(settings.noise))).clamp(0, 1)
    if settings.mirror:
        mirrored = torch.rand(n, generator=generator) < 0.5
        changed = torch.where(each(mirrored), changed.flip(3), changed)
    return changed


def _moved(pictures: Tensor, angle: Tensor, zoom: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Pictures turned, enlarged and shifted, each (n,) by its own values."""
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    rows = [torch.stack([cos, -sin, across], 1), torch.stack([sin, cos, down], 1)]
    grid = functional.affine_grid(torch.stack(rows, 1), list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _blurred(pictures: Tensor, deviation: Tensor) -> Tensor:
    """Pictures under a Gaussian of a deviation (n,) in pixels each."""
    n, c, h, w = pictures.shape
    reach = math.ceil(3 * float(deviation.max()))
    places = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (places / deviation.clamp_min(1e-2)[:, None]).square())
    kernels = (weights / weights.sum(1, keepdim=True)).repeat_interleave(c, 0)[:, None]
    wide = functional.pad(pictures, (reach,) * 4, mode="replicate")
    # Every picture is a group of its own, so that one convolution blurs each by its own kernel.
    planes = wide.reshape(1, n * c, h + 2 * reach, w + 2 * reach)
    across = functional.conv2d(planes, kernels[:, :, None], groups=n * c)
    return functional.conv2d(across, kernels[:, :, :, None], groups=n * c).reshape(n, c, h, w)
