"""From picture files to arrays: PNG, JPEG and TIFF, grey or colour, 8 or 16 bit."""

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from polyclinic.core.errors import InputTooLarge, InvalidInput, UnsupportedInput

FORMATS = ("PNG", "JPEG", "TIFF")


def read_picture(data: bytes, channels: int, size: int, max_pixels: int) -> NDArray[np.uint8]:
    """The picture of an encoded file as (channels, size, size) uint8.

    The largest centred square is taken and resized with antialiasing, as MedMNIST does (Yang et al.
    2023, Methods). 16-bit values keep their upper 8 bits. The file's header is checked before any
    pixel is decoded.
    Raises `UnsupportedInput`, `InputTooLarge` or `InvalidInput` (damaged, or one flat tone).
    """
    if not data:
        raise InvalidInput("The file is empty.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > max_pixels:
            raise InputTooLarge(
                f"The picture has {width} × {height} pixels; at most {max_pixels:,} are read.",
                remedy="Send a smaller picture.",
            )
        image.load()
    except UnidentifiedImageError:
        raise UnsupportedInput(
            "The file is no picture of a known format.", remedy="Send PNG, JPEG or TIFF."
        ) from None
    except Image.DecompressionBombError as error:
        raise InputTooLarge(str(error)) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InvalidInput(f"The picture is damaged: {error}") from None
    square = _centre_square(_to_8_bit(image).convert("L" if channels == 1 else "RGB"))
    if square.size != (size, size):
        square = square.resize((size, size), Image.Resampling.BICUBIC)
    pixels = np.asarray(square, dtype=np.uint8).reshape(size, size, channels)
    if pixels.min() == pixels.max():
        raise InvalidInput("The picture is blank: every pixel has the same value.")
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _to_8_bit(image: Image.Image) -> Image.Image:
    if not image.mode.startswith(("I", "F")):
        return image
    values: NDArray[Any] = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 0xFFFF:
        raise UnsupportedInput("The pixels are neither 8-bit nor 16-bit whole numbers.")
    return Image.fromarray((values.astype(np.uint16) >> 8).astype(np.uint8))


def _centre_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))
