"""Corruptions: what scanners, screens and cameras do to a picture, at five strengths.

Kinds and strengths are those that Hendrycks and Dietterich 2019 (Benchmarking Neural Network
Robustness, ICLR) give for small pictures, of which lengths here grow with the picture's side, and
darkness as brightness with its sign turned.
"""

import io
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float64]

#: The side of the pictures that the published strengths are for.
SIDE = 32

STRENGTHS = range(1, 6)

#: So many values are corrupted at once: as floating point they take many times the memory of bytes.
VALUES = 2**22


def corruptions(x: Pictures, seed: int = 0) -> Iterator[tuple[str, int, Pictures]]:
    """Pictures x (n, c, h, w) under each kind of corruption at each strength, 1 to 5."""
    rng = np.random.default_rng(seed)
    few = max(1, VALUES // x[0].size)
    for kind, corrupt in CORRUPTIONS.items():
        for strength in STRENGTHS:
            parts = [
                corrupt(x[start : start + few], strength - 1, rng)
                for start in range(0, len(x), few)
            ]
            yield kind, strength, np.concatenate(parts)


def noise(x: Pictures, strength: int, rng: np.random.Generator) -> Pictures:
    """Gaussian noise, independent from pixel to pixel."""
    deviation = (0.04, 0.06, 0.08, 0.09, 0.10)[strength]
    return _bytes(_unit(x) + rng.normal(0, deviation, x.shape))


def blur(x: Pictures, strength: int, rng: np.random.Generator) -> Pictures:
    """A Gaussian blur."""
    deviation = (0.4, 0.6, 0.7, 0.8, 1.0)[strength] * x.shape[-1] / SIDE
    reach = int(np.ceil(3 * deviation))
    weights = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / deviation))
    weights /= weights.sum()
    values = np.pad(_unit(x), ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="edge")
    for axis in (2, 3):
        windows = np.lib.stride_tricks.sliding_window_view(values, len(weights), axis=axis)
        values = windows @ weights
    return _bytes(values)


def contrast(x: Pictures, strength: int, rng: np.random.Generator) -> Pictures:
    """Less contrast, about each picture's mean."""
    kept = (0.75, 0.5, 0.4, 0.3, 0.15)[strength]
    values = _unit(x)
    mean = values.mean(axis=(2, 3), keepdims=True)
    return _bytes((values - mean) * kept + mean)


def brightness(x: Pictures, strength: int, rng: np.random.Generator) -> Pictures:
    """Every pixel brighter."""
    return _bytes(_unit(x) + (0.05, 0.1, 0.15, 0.2, 0.3)[strength])


def darkness(x: Pictures, strength: int, rng: np.random.Generator) -> Pictures:
    """Every pixel darker."""
    return _bytes(_unit(x) - (0.05, 0.1, 0.15, 0.2, 0.3)[strength])


def jpeg(x: Pictures, strength: int, rng: np.random.Generator) -> Pictures:
    """JPEG compression."""
    quality = (80, 65, 58, 50, 40)[strength]
    return np.stack([_compressed(picture, quality) for picture in x])


CORRUPTIONS: dict[str, Callable[[Pictures, int, np.random.Generator], Pictures]] = {
    "noise": noise,
    "blur": blur,
    "contrast": contrast,
    "brightness": brightness,
    "darkness": darkness,
    "jpeg": jpeg,
}


def _compressed(picture: Pictures, quality: int) -> Pictures:
    """One picture (c, h, w)."""
    buffer = io.BytesIO()
    pixels = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    read = np.asarray(Image.open(buffer))
    return read[None] if read.ndim == 2 else read.transpose(2, 0, 1)


def _unit(x: Pictures) -> Floats:
    return x / 255.0


def _bytes(values: Floats) -> Pictures:
    return (values.clip(0, 1) * 255).round().astype(np.uint8)
