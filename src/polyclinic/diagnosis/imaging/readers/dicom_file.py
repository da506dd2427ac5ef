"""DICOM files (PS3.10) opened within bounds: no file, however made, costs more than its size."""

import io
import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import BytesLengthException
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from polyclinic.core.errors import InputTooLarge, InvalidInput, PolyclinicError, UnsupportedInput

#: A deflated file may be this large once inflated.
MAX_INFLATED_BYTES = 32 * 2**20
#: An element costs two reads or three; a picture of 500 frames has some 20,000 elements.
MAX_READS = 60_000
#: No sequence, such as that of what differs from frame to frame, may be larger.
MAX_SEQUENCE_BYTES = 2 * 2**20

_PREAMBLE, _MAGIC = 128, b"DICM"
_BLOCK = 2**20

SEQUENCES = (
    "ModalityLUTSequence",
    "VOILUTSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
#: All that is read of a file; the rest is skipped.
KEYWORDS = (
    *("Modality", "BodyPartExamined", "PatientID", "PatientSex", "PatientAge"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation"),
    *("PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelPaddingValue"),
    *("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *(
        f"{colour}PaletteColorLookupTable{what}"
        for colour in ("Red", "Green", "Blue")
        for what in ("Descriptor", "Data")
    ),
    *SEQUENCES,
)
_TAGS: list[BaseTag | int] = [Tag(keyword) for keyword in KEYWORDS]

# What pydicom would warn of or log are values of the header, which may be a patient's.
config.settings.reading_validation_mode = config.IGNORE
logging.getLogger("pydicom").propagate = False

#: What pydicom and its decoders raise at a damaged file.
_DAMAGED = (
    *(ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError),
    *(OSError, EOFError, SyntaxError, struct.error, zlib.error, BytesLengthException),
)


class _BoundedReads(io.BytesIO):
    """A file in memory that stops being read by the element, once there are too many."""

    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MAX_READS:
            raise InputTooLarge("The DICOM header has too many elements.")
        return super().read(size)


def open_dicom(data: bytes) -> Dataset:
    """The elements of `KEYWORDS`, and the file's meta information, of a file in memory.

    A deflated file is inflated here, within `MAX_INFLATED_BYTES`, and from then on is an explicit
    VR little endian one. Raises `InputTooLarge`, `UnsupportedInput` or `InvalidInput` (damaged).
    """
    stream = _BoundedReads(data)
    stream.seek(_PREAMBLE + len(_MAGIC))
    with damage_named():
        meta = read_dataset(
            stream, is_implicit_VR=False, is_little_endian=True, stop_when=_after_meta
        )
        syntax = UID(str(meta.get("TransferSyntaxUID", "")))
        if not syntax.is_transfer_syntax:
            raise UnsupportedInput(
                f"The transfer syntax {str(syntax)[:64] or 'that the file does not name'} is not "
                "read here."
            )
        if syntax == DeflatedExplicitVRLittleEndian:
            stream = _BoundedReads(_inflated(memoryview(data)[stream.tell() :]))
            syntax = ExplicitVRLittleEndian
        dataset = read_dataset(
            stream, syntax.is_implicit_VR, syntax.is_little_endian, specific_tags=_TAGS
        )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    for keyword in SEQUENCES:
        # One of undefined length was read, within bounds, already.
        if keyword in dataset and not _small(dataset, keyword):
            raise InputTooLarge(f"The {keyword} is larger than is read here.", where=keyword)
    return dataset


@contextmanager
def damage_named() -> Iterator[None]:
    """What pydicom raises inside becomes `InvalidInput`."""
    try:
        yield
    except PolyclinicError:
        raise
    except _DAMAGED as error:
        said = " ".join(str(error).split())[:200]
        raise InvalidInput(f"The DICOM file is damaged: {said}") from None


def _after_meta(tag: BaseTag, _: str | None, __: int) -> bool:
    return tag.group != 2


def _small(dataset: Dataset, keyword: str) -> bool:
    raw = dataset.get_item(Tag(keyword))
    value = getattr(raw, "value", None)
    return not isinstance(value, bytes) or len(value) <= MAX_SEQUENCE_BYTES


def _inflated(packed: memoryview) -> bytes:
    """Raw deflate (PS3.5, section A.5), inflated once to know its size, and then into just that."""
    size = 0
    for block in _blocks(packed):
        size += len(block)
        if size > MAX_INFLATED_BYTES:
            raise InputTooLarge(
                f"The deflated DICOM file is larger than {MAX_INFLATED_BYTES:,} bytes.",
                remedy="Send it uncompressed, or as JPEG 2000.",
            )
    return zlib.decompress(packed, -zlib.MAX_WBITS, size)


def _blocks(packed: memoryview) -> Iterator[bytes]:
    inflator = zlib.decompressobj(-zlib.MAX_WBITS)
    rest: bytes | memoryview = packed
    while not inflator.eof:
        block = inflator.decompress(rest, _BLOCK)
        rest = inflator.unconsumed_tail
        if not block and not rest:
            raise InvalidInput("The deflated DICOM file is cut short.")
        yield block
