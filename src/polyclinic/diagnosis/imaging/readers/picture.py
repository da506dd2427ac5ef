"""A picture as it was read, before any model's size is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class Header:
    """What a DICOM header says of the picture; None where it is silent.

    Codes as in PS3.3: modality C.7.3.1.1.1 (`DX`, `CT`), body_part annex L of PS3.16 (`CHEST`), sex
    C.7.1.1. age is in whole years.
    """

    modality: str | None = None
    body_part: str | None = None
    patient: str | None = None
    sex: str | None = None
    age: int | None = None


@dataclass(frozen=True)
class Picture:
    """An 8-bit picture of mode `L` or `RGB`, its header if it has one, and notes on its reading."""

    image: Image.Image
    header: Header = Header()
    notes: tuple[str, ...] = ()

    def sampled(self, size: int) -> Image.Image:
        """Single pixels of the largest centred square, evenly spaced: at most size × size."""
        shape = (min(size, *self.image.size),) * 2
        return self.image.resize(shape, Image.Resampling.NEAREST, box=self._box())

    def fitted(self, channels: int, size: int) -> NDArray[np.uint8]:
        """The largest centred square as (channels, size, size), as MedMNIST makes its pictures.

        Resized with antialiasing, bicubic. Source: Yang et al. 2023, Methods.
        """
        square = self.image.resize((size, size), Image.Resampling.BICUBIC, box=self._box())
        pixels = np.asarray(square.convert("L" if channels == 1 else "RGB"), dtype=np.uint8)
        return np.ascontiguousarray(pixels.reshape(size, size, channels).transpose(2, 0, 1))

    def _box(self) -> tuple[int, int, int, int]:
        side = min(self.image.size)
        left, top = (self.image.width - side) // 2, (self.image.height - side) // 2
        return left, top, left + side, top + side
