"""Hostile and large input against a real diagnosis department: its answers, and what they cost.

Each row is one request over HTTP, after which an ordinary picture must be answered. Extra memory is
the most that the process held beyond what it held when it was ready and had read a DICOM file. For
each of the first and the last rows the service is started anew; the hostile files between them are
sent to one service, and what earlier ones left behind counts.

    python benchmarks/hostile.py
"""

import base64
import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import JPEG2000Lossless

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from hostile import dicom, hostile_files
from measured_service import SAMPLE, Cost, MeasuredService, measured_service

MANY = 10_000
MIB = 2**20


def main() -> None:
    """Print the table."""
    print("| request | status | seconds | extra MiB | goes on | it says |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as home:
        for name, request in crowds():
            with measured_service(Path(home)) as service:
                print_row(name, service, service.post(**request))
        with measured_service(Path(home)) as service:
            for name, file in hostile_files():
                print_row(name, service, service.send(file))
        for name, make in LARGE.items():
            file = make()
            with measured_service(Path(home)) as service:
                print_row(f"{name}, {len(file) / MIB:.1f} MiB", service, service.send(file))


def print_row(name: str, service: MeasuredService, cost: Cost) -> None:
    """One request, and whether the service goes on after it."""
    status = cost.answer.status_code
    if cost.problem:
        says = cost.problem["detail"]
    else:
        result = cost.answer.json()["results"][0]
        says = " ".join(result["prediction"]["warnings"]) or "(a prediction)"
    goes_on = "yes" if service.serves() else "NO"
    print(f"| {name} | {status} | {cost.seconds:.2f} | {cost.held:.0f} | {goes_on} | {says[:90]} |")


def crowds() -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests of too many small items, as `httpx` takes them."""
    text = base64.b64encode(SAMPLE).decode()
    yield f"{MANY:,} files in a form", {"files": [("file", ("picture.png", SAMPLE))] * MANY}
    yield f"{MANY:,} empty files in a form", {"files": [("file", ("empty.png", b""))] * MANY}
    yield f"{MANY:,} pictures in JSON", {"json": {"images": [text] * MANY}}
    yield "4,000,000 empty texts in JSON", {"json": {"images": [""] * 4_000_000}}
    yield "30 MiB that are no picture, in a form", {"files": {"file": ("text", bytes(30 * MIB))}}
    yield "30 MiB that are no picture, in JSON", {"json": {"images": ["AAAA" * (30 * MIB // 4)]}}


def tones(side: int, levels: int = 256) -> NDArray[np.uint16]:
    """A smooth grey picture (side, side)."""
    line = np.arange(side, dtype=np.uint32) * (levels - 1) // side
    return ((line[:, None] + line[None, :]) // 2).astype(np.uint16)


def encoded(side: int, kind: str, *, colour: bool = False, **options: object) -> bytes:
    """A picture as a file of the kind."""
    grey = tones(side).astype(np.uint8)
    pixels = np.stack([grey, grey[:, ::-1], grey[::-1]], axis=2) if colour else grey
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def dicom_16(side: int, *, jpeg_2000: bool = False) -> bytes:
    """A 16-bit DICOM picture."""
    pixels = tones(side, 2**16)
    shape = {"Rows": side, "Columns": side, "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}
    if not jpeg_2000:
        return dicom(pixels=pixels.tobytes(), **shape)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG2000", no_jp2=True)
    return dicom(JPEG2000Lossless, buffer.getvalue(), **shape)


LARGE: dict[str, Callable[[], bytes]] = {
    "PNG, grey, 48 million pixels": lambda: encoded(6_928, "PNG"),
    "PNG, grey, 64 million": lambda: encoded(8_000, "PNG"),
    "PNG, colour, 12 million": lambda: encoded(3_464, "PNG", colour=True),
    "PNG, colour, 20 million": lambda: encoded(4_500, "PNG", colour=True),
    "PNG, colour, 64 million": lambda: encoded(8_000, "PNG", colour=True),
    "JPEG, colour, 12 million": lambda: encoded(3_464, "JPEG", colour=True),
    "JPEG, colour, 48 million": lambda: encoded(6_928, "JPEG", colour=True),
    "JPEG, colour, 64 million": lambda: encoded(8_000, "JPEG", colour=True),
    "JPEG, progressive, 12 million": lambda: encoded(3_464, "JPEG", colour=True, progressive=True),
    "JPEG, progressive, 20 million": lambda: encoded(4_500, "JPEG", colour=True, progressive=True),
    "TIFF, colour, 12 million": lambda: encoded(3_464, "TIFF", colour=True, compression="tiff_lzw"),
    "DICOM, 16 bits, 14 million": lambda: dicom_16(3_700),
    "DICOM, JPEG 2000, 16 bits, 9 million": lambda: dicom_16(3_000, jpeg_2000=True),
    "DICOM, JPEG 2000, 16 bits, 16 million": lambda: dicom_16(4_000, jpeg_2000=True),
    "DICOM, JPEG 2000, 16 bits, 20 million": lambda: dicom_16(4_500, jpeg_2000=True),
}


if __name__ == "__main__":
    main()
