"""DICOM's run lengths (PS3.5, annex G), decoded within bounds."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from polyclinic.core.errors import InvalidInput


def run_lengths(frame: bytes, shape: tuple[int, int, int], bits: int) -> NDArray[np.integer[Any]]:
    """A frame of (rows, columns, samples) of `bits` each as unsigned (rows, columns[, 3]).

    Its segments are PackBits, for which Pillow has a decoder that writes no further than its
    picture; pydicom's writes without bound, and that of pylibjpeg panics at damaged segments.
    """
    rows, columns, samples = shape
    segments, *starts = struct.unpack_from("<16L", frame)
    if segments != samples * bits // 8:
        raise InvalidInput("The run lengths are of other samples than the header says.")
    ends = (*starts[1:segments], len(frame))
    planes = np.zeros((samples, rows, columns, bits // 8), dtype=np.uint8)
    for number, (start, end) in enumerate(zip(starts, ends, strict=False)):
        line = Image.frombytes("L", (rows * columns, 1), frame[start:end], "packbits", "L")
        # The most significant byte of a sample comes first.
        sample, byte = divmod(number, bits // 8)
        planes[sample, :, :, -1 - byte] = np.asarray(line).reshape(rows, columns)
    values = planes.view(f"<u{bits // 8}")[..., 0]
    return values[0] if samples == 1 else values.transpose(1, 2, 0)
