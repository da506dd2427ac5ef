"""Picture files made to crash a reader, or to cost it more time or memory than they are worth."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from pictures import encode, spots

PICTURE = spots(2, seed=0, size=64)[0][1]
GIB, MIB = 2**30, 2**20


def dicom(
    syntax: UID = ExplicitVRLittleEndian,
    pixels: bytes | None = PICTURE.tobytes(),
    **elements: object,
) -> bytes:
    """A DICOM file of `PICTURE`, with elements changed."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.Rows, dataset.Columns = PICTURE.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    if pixels is not None:
        dataset.PixelData = encapsulate([pixels]) if syntax.is_encapsulated else pixels
        dataset["PixelData"].VR = "OB" if dataset.BitsAllocated == 8 else "OW"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def jpeg_2000() -> bytes:
    """`PICTURE` in a DICOM file as JPEG 2000, without loss."""
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, "JPEG2000", no_jp2=True)
    return dicom(JPEG2000Lossless, file.getvalue())


def _element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    """An element of a VR with a 32-bit length, explicit little endian."""
    return struct.pack("<HH2s2xL", group, element, vr, len(value)) + value


def _before_pixels(elements: bytes) -> bytes:
    """A DICOM file with elements of lower tags than the pixels' put in raw."""
    whole = dicom()
    at = whole.index(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OB"))
    return whole[:at] + elements + whole[at:]


def deflated_bomb(inflated: int = 2 * GIB) -> bytes:
    """A deflated DICOM file that inflates to `inflated` bytes of pixels."""
    whole = dicom(DeflatedExplicitVRLittleEndian, pixels=None)
    body = zlib.decompress(whole[_body_at(whole) :], -zlib.MAX_WBITS)
    deflator = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    header = body + struct.pack("<HH2s2xL", 0x7FE0, 0x0010, b"OB", inflated)
    packed = deflator.compress(header) + deflator.flush(zlib.Z_FULL_FLUSH)
    # After a full flush a block stands for itself, and can be repeated.
    block = deflator.compress(bytes(16 * MIB)) + deflator.flush(zlib.Z_FULL_FLUSH)
    return whole[: _body_at(whole)] + packed + block * (inflated // (16 * MIB)) + deflator.flush()


def _body_at(whole: bytes) -> int:
    """Where the file's meta information ends: 12 bytes of its length's element, and that length."""
    return 144 + int.from_bytes(whole[140:144], "little")


def _png(header: tuple[int, ...], *chunks: tuple[bytes, bytes]) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    whole = chunk(b"IHDR", struct.pack(">IIBBBBB", *header))
    return b"\x89PNG\r\n\x1a\n" + whole + b"".join(chunk(*each) for each in chunks)


def _flat(side: int, bytes_a_pixel: int) -> bytes:
    """The compressed rows of a square PNG, each after its filter's number."""
    return zlib.compress(bytes(side * (1 + side * bytes_a_pixel)), 1)


def _large_jpeg(side: int, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (200, 60, 90)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def _tiff(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A TIFF of one directory of (tag, type, count, value) and 4 KiB of data."""
    table = b"".join(struct.pack("<HHLL", *entry) for entry in sorted(entries))
    directory = struct.pack("<H", len(entries)) + table + struct.pack("<L", following)
    return b"II*\x00\x08\x00\x00\x00" + directory + bytes(4096)


def _tiff_entries(**changes: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
    entries = {
        "width": (256, 3, 1, 64),
        "height": (257, 3, 1, 64),
        "bits": (258, 3, 1, 8),
        "compression": (259, 3, 1, 1),
        "photometric": (262, 3, 1, 1),
        "offset": (273, 4, 1, 150),
        "samples": (277, 3, 1, 1),
        "rows": (278, 3, 1, 64),
        "bytes": (279, 4, 1, 4096),
    }
    return list((entries | changes).values())


def hostile_files() -> Iterator[tuple[str, bytes]]:
    """Each file with its name. Every one of them is to be refused."""
    zeros = zlib.compress(bytes(256 * MIB), 9)
    small = (64, 64, 8, 0, 0, 0, 0)
    nested = b"".join(
        struct.pack("<HH2s2xLHHL", 0x0008, 0x1140, b"SQ", 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
        for _ in range(20_000)
    )
    jpeg = encode(PICTURE, "JPEG")
    at = jpeg.index(b"\xff\xc0")
    huge_jpeg = jpeg[: at + 5] + struct.pack(">HH", 60_000, 60_000) + jpeg[at + 9 :]
    siz = struct.pack(">HHLLLLLLLLH", 47, 0, *[60_000, 60_000, 0, 0] * 2, 1)
    huge_j2k = b"\xff\x4f\xff\x51" + siz + bytes(64)
    yield from {
        "empty": b"",
        "one-byte": b"\x89",
        "text": b"hello, I am text" * 100,
        "gif": encode(PICTURE, "GIF"),
        "webp": encode(PICTURE, "WEBP"),
        "pdf": b"%PDF-1.7\n" + bytes(5000),
        "zip": b"PK\x03\x04" + bytes(5000),
        "elf": b"\x7fELF" + bytes(5000),
        **{f"truncated-{kind}": encode(PICTURE, kind)[:200] for kind in ("PNG", "JPEG", "TIFF")},
        "truncated-dicom": dicom()[:-2000],
        "dicom-prefix-alone": bytes(128) + b"DICM",
        "dicom-noise": bytes(128) + b"DICM" + np.random.default_rng(0).bytes(5000),
        "png-30000": _png((30_000, 30_000, 8, 0, 0, 0, 0), (b"IDAT", zlib.compress(bytes(1000)))),
        "png-colour-64-million": _png((8000, 8000, 8, 2, 0, 0, 0), (b"IDAT", _flat(8000, 3))),
        "png-opacity-16-million": _png((4000, 4000, 8, 6, 0, 0, 0), (b"IDAT", _flat(4000, 4))),
        "jpeg-scans-16-million": _large_jpeg(4000, progressive=True, subsampling=0),
        "png-ztxt": _png(small, (b"zTXt", b"Comment\0\0" + zeros), (b"IDAT", b"")),
        "png-iccp": _png(small, (b"iCCP", b"profile\0\0" + zeros), (b"IDAT", b"")),
        "png-many-ztxt": _png(
            small, *[(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(MIB - 1)))] * 200
        ),
        "tiff-huge": _tiff(*_tiff_entries(width=(256, 4, 1, 2**31), height=(257, 4, 1, 2**31))),
        "tiff-samples": _tiff(*_tiff_entries(samples=(277, 3, 1, 65535))),
        "tiff-type": _tiff(*_tiff_entries(width=(256, 2, 4, 150))),
        "tiff-offset": _tiff(*_tiff_entries(offset=(273, 4, 1, 0xFFFFFFF0))),
        "tiff-offsets": _tiff(*_tiff_entries(offset=(273, 4, 0x0FFFFFFF, 150))),
        "tiff-tiles": _tiff(
            *_tiff_entries(compression=(259, 3, 1, 8)),
            (322, 4, 1, 2**30),
            (323, 4, 1, 2**30),
            (324, 4, 1, 150),
            (325, 4, 1, 4096),
        ),
        "dicom-deflated": deflated_bomb(),
        "dicom-deflated-truncated": dicom(DeflatedExplicitVRLittleEndian)[:-40],
        "dicom-without-pixels": dicom(pixels=None),
        "dicom-huge": dicom(Rows=60_000, Columns=60_000),
        "dicom-many-frames": dicom(NumberOfFrames=2**31 - 1),
        "dicom-negative-frames": dicom(NumberOfFrames=-5),
        "dicom-no-rows": dicom(Rows=0),
        "dicom-64-bit": dicom(BitsAllocated=64, BitsStored=64, HighBit=63),
        "dicom-unknown-syntax": dicom().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"),
        "dicom-many-elements": _before_pixels(
            struct.pack("<HH2sH", 0x0009, 0x1001, b"LO", 0) * 2**21
        ),
        "dicom-many-items": _before_pixels(
            struct.pack("<HH2s2xL", 0x0028, 0x3010, b"SQ", 0xFFFFFFFF)
            + struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 2**21
        ),
        "dicom-large-sequence": _before_pixels(
            _element(0x0028, 0x3010, b"SQ", struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 2**20)
        ),
        "dicom-deep-sequence": _before_pixels(nested),
        "dicom-fragments": dicom(
            JPEGBaseline8Bit, PixelData=struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 2**21
        ),
        "dicom-fragments-of-known-length": dicom(JPEGBaseline8Bit, pixels=None)
        + _element(0x7FE0, 0x0010, b"OB", struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 2**21),
        "dicom-jpeg-other-size": dicom(JPEGBaseline8Bit, huge_jpeg),
        "dicom-jpeg-noise": dicom(JPEGLosslessSV1, b"\xff\xd8" + bytes(5000)),
        "dicom-j2k-endless-boxes": dicom(
            JPEG2000Lossless, b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(100)
        ),
        "dicom-j2k-other-size": dicom(JPEG2000Lossless, huge_j2k),
    }.items()


def bearable_files() -> Iterator[tuple[str, bytes]]:
    """Files that can be read, but cost a careless reader much."""
    first = Image.fromarray(PICTURE)
    pages = io.BytesIO()
    first.save(pages, "TIFF", save_all=True, append_images=[first] * 500)
    run_lengths = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\xff" * (8 * MIB)
    yield "tiff-pages", pages.getvalue()
    yield "tiff-count", _tiff(*_tiff_entries(bits=(258, 3, 0xFFFFFFFF, 150)))
    end = (b"IEND", b"")
    yield "png-colour", _png((3460, 3460, 8, 2, 0, 0, 0), (b"IDAT", _flat(3460, 3)), end)
    yield "png-16-bit", _png((4000, 4000, 16, 0, 0, 0, 0), (b"IDAT", _flat(4000, 2)), end)
    yield "jpeg-40-million", _large_jpeg(6300)
    yield "jpeg-scans", _large_jpeg(3460, progressive=True)
    yield "dicom-run-lengths", dicom(RLELossless, run_lengths)
