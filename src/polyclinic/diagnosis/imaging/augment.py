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
    range. mirror: left and right exchanged in half of the pictures.
    """

    rotate: float = Field(default=0.0, ge=0.0, le=180.0)
    shift: float = Field(default=0.0, ge=0.0, le=0.5)
    zoom: float = Field(default=0.0, ge=0.0, le=0.5)
    contrast: float = Field(default=0.0, ge=0.0, le=1.0)
    brightness: float = Field(default=0.0, ge=0.0, le=1.0)
    mirror: bool = False


def augment(pictures: Tensor, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
    """Pictures (n, c, h, w) in [0, 1], each changed in its own way."""
    n = len(pictures)

    def draw(largest: float) -> Tensor:
        return (torch.rand(n, generator=generator) * 2 - 1) * largest

    angle, zoom = draw(math.radians(settings.rotate)), 1 + draw(settings.zoom)
    across, down = draw(2 * settings.shift), draw(2 * settings.shift)
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    rows = [torch.stack([cos, -sin, across], 1), torch.stack([sin, cos, down], 1)]
    grid = functional.affine_grid(torch.stack(rows, 1), list(pictures.shape), align_corners=False)
    moved = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    contrast, brightness = 1 + draw(settings.contrast), draw(settings.brightness)
    middle = 0.5
    toned = (moved - middle) * contrast[:, None, None, None] + middle
    toned = (toned + brightness[:, None, None, None]).clamp(0, 1)
    if not settings.mirror:
        return toned
    mirrored = torch.rand(n, generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], toned.flip(3), toned)
