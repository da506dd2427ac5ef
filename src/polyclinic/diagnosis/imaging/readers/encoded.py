"""PNG, JPEG and TIFF, grey or colour, 8 or 16 bit, through Pillow."""

import io
import struct
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from polyclinic.core.errors import InputTooLarge, InvalidInput, UnsupportedInput
from polyclinic.diagnosis.imaging.readers.picture import Picture

FORMATS = ("PNG", "JPEG", "TIFF")

# Compressed text beside the pixels is inflated when a PNG is opened; 64 MiB is Pillow's own limit.
PngImagePlugin.MAX_TEXT_MEMORY = 4 * 2**20

#: What Pillow raises at a damaged file.
_DAMAGED = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError),
    *(ArithmeticError, struct.error),
)


def read_encoded(data: bytes, max_pixels: int) -> Picture:
    """The picture of a PNG, JPEG or TIFF file, turned as its EXIF orientation says.

    The header is checked before any pixel is decoded. 16-bit values keep their upper 8 bits, an
    opacity is left out, and of several pages the first is read.
    Raises `UnsupportedInput`, `InputTooLarge` or `InvalidInput` (damaged).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
            refuse_large(*image.size, max_pixels)
            pages = getattr(image, "is_animated", False)
            image.load()
            # Pillow is content once it has every pixel; but then nothing vouches for the last ones.
            if image.format == "PNG" and data.rfind(b"IEND") < 0:
                raise InvalidInput("The picture is cut short: its end is missing.")
            ImageOps.exif_transpose(image, in_place=True)
    except UnidentifiedImageError:
        raise UnsupportedInput(
            "The file is no picture of a known format.", remedy="Send PNG, JPEG, TIFF or DICOM."
        ) from None
    except Image.DecompressionBombError:  # beyond Pillow's own limit
        raise InputTooLarge(
            f"The picture has more than the {max_pixels:,} pixels that are read.",
            remedy="Send a smaller picture.",
        ) from None
    except _DAMAGED as error:
        raise InvalidInput(f"The picture is damaged: {error}") from None
    notes = ("Only the first of the file's pictures was read.",) if pages else ()
    return Picture(_to_8_bit(image), notes=notes)


def refuse_large(width: int, height: int, max_pixels: int) -> None:
    """Raise `InputTooLarge` for a picture of more than `max_pixels`."""
    if width * height > max_pixels:
        raise InputTooLarge(
            f"The picture has {width} × {height} pixels; at most {max_pixels:,} are read.",
            remedy="Send a smaller picture.",
        )


def _to_8_bit(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB"):
        return image
    if image.mode in ("1", "LA", "La"):
        return image.convert("L")
    if not image.mode.startswith(("I", "F")):
        return image.convert("RGB")
    values: NDArray[Any] = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 0xFFFF:
        raise UnsupportedInput("The pixels are neither 8-bit nor 16-bit whole numbers.")
    return Image.fromarray((values.astype(np.uint16, copy=False) >> 8).astype(np.uint8))
