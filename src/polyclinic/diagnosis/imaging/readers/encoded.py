"""PNG, JPEG and TIFF, grey or colour, 8 or 16 bit, through Pillow."""

import io
import struct
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from polyclinic.core.errors import InputTooLarge, InvalidInput, UnsupportedInput
from polyclinic.diagnosis.imaging.readers.codestreams import in_one_scan
from polyclinic.diagnosis.imaging.readers.picture import Picture

FORMATS = ("PNG", "JPEG", "TIFF")

# Compressed text beside the pixels is inflated when a PNG is opened; 64 MiB is Pillow's own limit.
PngImagePlugin.MAX_TEXT_MEMORY = 4 * 2**20

#: Bytes of memory that a pixel takes at most while a picture of a mode is made `L` or `RGB`.
_BYTES = {"L": 1, "1": 2, "RGB": 4, "LA": 5, "P": 5}
_BYTES_16_BIT, _BYTES_OTHER = 3, 8
#: A 16-bit picture is made one of 8 bits so many rows at a time.
_ROWS = 64

#: What Pillow raises at a damaged file.
_DAMAGED = (
    *(OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError),
    *(ArithmeticError, struct.error),
)


def read_encoded(data: bytes, max_pixels: int) -> Picture:
    """The picture of a PNG, JPEG or TIFF file, turned as its EXIF orientation says.

    The header is checked before any pixel is decoded: `max_pixels` are grey and of 8 bits, and
    others count by the memory that they take, in colour 4. A JPEG beyond that is read at half its
    width and height where that is enough, which its notes say. 16-bit values keep their upper 8
    bits, an opacity is left out, and of several pages the first is read.
    Raises `UnsupportedInput`, `InputTooLarge` or `InvalidInput` (damaged).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
            notes = _made_to_fit(image, data, max_pixels)
            if getattr(image, "is_animated", False):
                notes += ("Only the first of the file's pictures was read.",)
            image.load()
            if image.format == "PNG":
                _check_end(image, data, max_pixels)
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
    return Picture(_to_8_bit(image), notes=notes)


def refuse_large(width: int, height: int, max_pixels: int, weight: float = 1) -> None:
    """Raise `InputTooLarge` for a picture of more than `max_pixels`, each counting as `weight`."""
    if width * height * weight > max_pixels:
        most = int(max_pixels / weight)
        raise InputTooLarge(
            f"The picture has {width} × {height} pixels; at most {most:,} of its kind are read.",
            remedy="Send a smaller picture, or have the operator raise POLYCLINIC_MAX_PIXELS.",
        )


def _made_to_fit(image: Image.Image, data: bytes, max_pixels: int) -> tuple[str, ...]:
    """Have a large JPEG decoded at half its size, and note it. Raises `InputTooLarge`."""
    width, height = image.size
    # A PNG may say so after its pixels only, and asking it would decode them.
    weight = _weight(image, turned=image.format != "PNG" and _to_turn(image))
    if not isinstance(image, JpegImageFile):
        refuse_large(width, height, max_pixels, weight)
        return ()
    kept = 0.0 if in_one_scan(data) else _coefficient_bytes(image)
    if width * height * (kept + weight) <= max_pixels:
        return ()
    refuse_large(width, height, max_pixels, kept + weight / 4)
    image.draft(None, (width // 2, height // 2))
    return (f"The picture of {width} × {height} pixels was read at half its width and height.",)


def _check_end(png: Image.Image, data: bytes, max_pixels: int) -> None:
    """What only a PNG's end tells: that it is there, and how the picture is to be turned."""
    # Pillow is content once it has every pixel; but then nothing vouches for the last ones.
    if data.rfind(b"IEND") < 0:
        raise InvalidInput("The picture is cut short: its end is missing.")
    refuse_large(*png.size, max_pixels, _weight(png, turned=_to_turn(png)))


def _weight(image: Image.Image, *, turned: bool) -> float:
    """As how many pixels of grey and 8 bits one counts; a picture is turned into a second one."""
    sixteen = image.mode.startswith("I;16")
    weight = _BYTES_16_BIT if sixteen else _BYTES.get(image.mode, _BYTES_OTHER)
    return 2 * weight if turned else weight


def _to_turn(image: Image.Image) -> bool:
    return bool(image.getexif().get(ExifTags.Base.Orientation, 1) != 1)


def _coefficient_bytes(image: JpegImageFile) -> float:
    """What a pixel of a JPEG of several scans takes until the last of them: 2 bytes a sample."""
    samples = [across * down for _, across, down, _ in image.layer]
    return 2 * sum(samples) / max(samples)


def _to_8_bit(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB"):
        return image
    if image.mode in ("1", "LA", "La"):
        return image.convert("L")
    if not image.mode.startswith(("I", "F")):
        return image.convert("RGB")
    upper = Image.new("L", image.size)
    for top in range(0, image.height, _ROWS):
        rows = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
        values: NDArray[Any] = np.asarray(rows)
        if image.mode == "F" or values.min() < 0 or values.max() > 0xFFFF:
            raise UnsupportedInput("The pixels are neither 8-bit nor 16-bit whole numbers.")
        upper.paste(Image.fromarray((values >> 8).astype(np.uint8)), (0, top))
    return upper
