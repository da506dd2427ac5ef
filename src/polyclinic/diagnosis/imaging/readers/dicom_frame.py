"""One frame of a DICOM file as stored values, decoded only once its size is known."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    RLELossless,
)

from polyclinic.core.errors import InvalidInput, UnsupportedInput
from polyclinic.diagnosis.imaging.readers import dicom_apart
from polyclinic.diagnosis.imaging.readers.codestreams import j2k_shape, jpeg_shape
from polyclinic.diagnosis.imaging.readers.dicom_file import damage_named
from polyclinic.diagnosis.imaging.readers.encoded import refuse_large
from polyclinic.diagnosis.imaging.readers.run_lengths import run_lengths

#: A frame is one fragment or a few; a cine loop has some thousand frames.
MAX_FRAGMENTS = 20_000

#: By samples and bits, how many grey pixels of 8 bits in a PNG a pixel counts as.
_WEIGHTS = {(1, 8): 2, (1, 16): 3, (3, 8): 4, (3, 16): 8}

_J2K = {JPEG2000Lossless, JPEG2000}
_BY_PILLOW = {JPEGBaseline8Bit, JPEGExtended12Bit} | _J2K

_ITEM = b"\xfe\xff\x00\xe0"


class Frame(NamedTuple):
    """pixels: stored values (rows, columns[, 3]). number: of `frames`, from 0."""

    pixels: NDArray[np.integer[Any]]
    photometric: str
    number: int
    frames: int


def read_frame(dataset: Dataset, max_pixels: int) -> Frame:
    """The middle frame, and only that one is decoded.

    Raises `InputTooLarge`, `UnsupportedInput` or `InvalidInput`.
    """
    if "PixelData" not in dataset:
        raise UnsupportedInput("The DICOM file has no pixels.", where="PixelData")
    rows, columns = whole(dataset, "Rows"), whole(dataset, "Columns")
    samples, bits = whole(dataset, "SamplesPerPixel", 1), whole(dataset, "BitsAllocated")
    frames = whole(dataset, "NumberOfFrames", 1)
    refuse_large(columns, rows, max_pixels, _WEIGHTS.get((samples, bits), 1))
    if samples not in (1, 3) or bits not in (8, 16):
        raise UnsupportedInput(
            f"Pixels of {samples} samples of {bits} bits are not read here.", where="BitsAllocated"
        )
    with damage_named():
        if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
            return _decoded(dataset, frames // 2, frames, "")
        return _decompressed(dataset, frames // 2, frames, (rows, columns, samples))


def whole(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """A positive whole number of the header."""
    with damage_named():
        value = dataset.get(keyword)
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or value < 1:
        raise InvalidInput("The number is missing or cannot be one.", where=keyword)
    return int(value)


def _decompressed(dataset: Dataset, number: int, frames: int, shape: tuple[int, int, int]) -> Frame:
    syntax, bits = dataset.file_meta.TransferSyntaxUID, whole(dataset, "BitsAllocated")
    lossy_12_bits = syntax == JPEGExtended12Bit and whole(dataset, "BitsStored") > 8
    if lossy_12_bits or not (
        syntax == RLELossless or syntax in _BY_PILLOW or dicom_apart.is_available(syntax)
    ):
        raise UnsupportedInput(
            f"{syntax.name}{' of more than 8 bits' if lossy_12_bits else ''} is not read here.",
            where="TransferSyntaxUID",
            remedy="Send it uncompressed, or as JPEG 2000.",
        )
    encoded = _encoded(dataset, number, frames)
    if syntax == RLELossless:
        pixels = run_lengths(encoded, shape, bits)
        if dataset.get("PixelRepresentation"):
            pixels = pixels.view(f"i{bits // 8}")
        return Frame(pixels, str(dataset.PhotometricInterpretation), number, frames)
    says = j2k_shape(encoded) if syntax in _J2K else jpeg_shape(encoded)
    if says != shape:
        raise InvalidInput(
            f"The compressed picture is {says}, the header says {shape} (rows, columns, samples).",
            where="PixelData",
        )
    plugin = "pillow" if syntax in _BY_PILLOW else dicom_apart.use(get_decoder(syntax))
    return _decoded(dataset, number, frames, plugin)


def _decoded(dataset: Dataset, number: int, frames: int, plugin: str) -> Frame:
    in_place: dict[str, Any] = {"view_only": True}  # pixels that need no decoding are not copied
    pixels, properties = get_decoder(dataset.file_meta.TransferSyntaxUID).as_array(
        dataset, index=number, raw=True, decoding_plugin=plugin, **in_place
    )
    return Frame(pixels, str(properties["photometric_interpretation"]), number, frames)


def _encoded(dataset: Dataset, number: int, frames: int) -> bytes:
    """The compressed frame."""
    pixels = dataset.PixelData
    if pixels.count(_ITEM) > MAX_FRAGMENTS:
        raise InvalidInput("The pixels are in too many fragments.", where="PixelData")
    offsets = None
    if "ExtendedOffsetTable" in dataset:
        offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    return get_frame(pixels, number, extended_offsets=offsets, number_of_frames=frames)
