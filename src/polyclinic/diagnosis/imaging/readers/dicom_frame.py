"""One frame of a DICOM file as stored values, decoded only once its size is known."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000TransferSyntaxes,
    JPEGExtended12Bit,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from polyclinic.core.errors import InvalidInput, UnsupportedInput
from polyclinic.diagnosis.imaging.readers.dicom_file import damage_named
from polyclinic.diagnosis.imaging.readers.encoded import refuse_large

#: A frame is one fragment or a few; a cine loop has some thousand frames.
MAX_FRAGMENTS = 20_000

_ITEM = b"\xfe\xff\x00\xe0"
_J2K_START = b"\xff\x4f\xff\x51"
#: Markers SOF0 to SOF15 but for DHT, JPG and DAC (ISO/IEC 10918-1, table B.1); SOF55 of JPEG-LS.
_JPEG_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


def read_frame(dataset: Dataset, max_pixels: int) -> tuple[NDArray[np.integer[Any]], str, int, int]:
    """The middle frame: (rows, columns[, 3]) values, their photometric interpretation, its index.

    The last number is that of the frames. Only that one is decoded.
    Raises `InputTooLarge`, `UnsupportedInput` or `InvalidInput`.
    """
    if "PixelData" not in dataset:
        raise UnsupportedInput("The DICOM file has no pixels.", where="PixelData")
    rows, columns = whole(dataset, "Rows"), whole(dataset, "Columns")
    frames = whole(dataset, "NumberOfFrames", 1)
    samples, bits = whole(dataset, "SamplesPerPixel", 1), whole(dataset, "BitsAllocated")
    refuse_large(columns, rows, max_pixels)
    if samples not in (1, 3) or bits not in (8, 16):
        raise UnsupportedInput(
            f"Pixels of {samples} samples of {bits} bits are not read here.", where="BitsAllocated"
        )
    syntax = dataset.file_meta.TransferSyntaxUID
    index = frames // 2
    with damage_named():
        try:
            decoder = get_decoder(syntax)
        except NotImplementedError:
            raise UnsupportedInput(
                f"The transfer syntax {syntax.name} is not read here.", where="TransferSyntaxUID"
            ) from None
        if syntax == JPEGExtended12Bit and whole(dataset, "BitsStored") > 8:
            raise UnsupportedInput(
                "Lossy JPEG of 12 bits is not read here.",
                where="TransferSyntaxUID",
                remedy="Send it uncompressed, or as JPEG 2000.",
            )
        if syntax.is_encapsulated:
            _refuse_other_size(dataset, index, frames, (rows, columns, samples))
        pixels, properties = decoder.as_array(
            dataset,
            index=index,
            raw=True,
            # pydicom's own decoder of run lengths writes without bound.
            decoding_plugin="pylibjpeg" if syntax == RLELossless else "",
        )
        return pixels, str(properties["photometric_interpretation"]), index, frames


def whole(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """A positive whole number of the header."""
    with damage_named():
        value = dataset.get(keyword)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or value < 1:
        raise InvalidInput("The number is missing or cannot be one.", where=keyword)
    return int(value)


def _refuse_other_size(
    dataset: Dataset, index: int, frames: int, shape: tuple[int, int, int]
) -> None:
    """Raise `InvalidInput` where the compressed frame itself says another size than the header."""
    encoded = dataset.PixelData
    if encoded.count(_ITEM) > MAX_FRAGMENTS:
        raise InvalidInput("The pixels are in too many fragments.", where="PixelData")
    offsets = None
    if "ExtendedOffsetTable" in dataset:
        offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    frame = get_frame(encoded, index, extended_offsets=offsets, number_of_frames=frames)
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in JPEG2000TransferSyntaxes:
        says = _j2k_shape(frame)
    elif syntax in (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes):
        says = _jpeg_shape(frame)
    else:
        return
    if says != shape:
        raise InvalidInput(
            f"The compressed picture is {says}, the header says {shape} (rows, columns, samples).",
            where="PixelData",
        )


def _jpeg_shape(frame: bytes) -> tuple[int, int, int]:
    """Rows, columns and samples that the frame header says (ISO/IEC 10918-1, B.2.2)."""
    position = 2
    while position + 10 <= len(frame) and frame[position] == 0xFF:
        marker = frame[position + 1]
        if marker in _JPEG_FRAMES:
            return (
                int.from_bytes(frame[position + 5 : position + 7]),
                int.from_bytes(frame[position + 7 : position + 9]),
                frame[position + 9],
            )
        # A marker may be preceded by any number of fill bytes.
        length = int.from_bytes(frame[position + 2 : position + 4])
        position += 1 if marker == 0xFF else 2 + length
    raise InvalidInput("The compressed picture has no frame header.", where="PixelData")


def _j2k_shape(frame: bytes) -> tuple[int, int, int]:
    """Rows, columns and samples that the SIZ marker says (ISO/IEC 15444-1, A.5.1)."""
    start = frame.find(_J2K_START)
    if start < 0 or len(frame) < start + 42:
        raise InvalidInput("The compressed picture has no size.", where="PixelData")
    right, bottom, left, top = (
        int.from_bytes(frame[at : at + 4]) for at in range(start + 8, start + 24, 4)
    )
    return bottom - top, right - left, int.from_bytes(frame[start + 40 : start + 42])
