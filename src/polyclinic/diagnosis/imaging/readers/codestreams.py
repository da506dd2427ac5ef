"""What a compressed picture says of its own size, whatever the file around it says."""

from collections.abc import Iterator

from polyclinic.core.errors import InvalidInput

_J2K_START = b"\xff\x4f\xff\x51"
#: Markers SOF0 to SOF15 but for DHT, JPG and DAC (ISO/IEC 10918-1, table B.1); SOF55 of JPEG-LS.
_JPEG_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
#: Of these the baseline and the extended one; then the start of a scan.
_SEQUENTIAL, _SCAN = {0xC0, 0xC1}, 0xDA


def jpeg_shape(frame: bytes) -> tuple[int, int, int]:
    """Rows, columns and samples that the frame header says (ISO/IEC 10918-1, B.2.2)."""
    for marker, at in _segments(frame):
        if marker in _JPEG_FRAMES:
            return (
                int.from_bytes(frame[at + 5 : at + 7]),
                int.from_bytes(frame[at + 7 : at + 9]),
                frame[at + 9],
            )
    raise InvalidInput("The compressed picture has no frame header.", where="PixelData")


def in_one_scan(jpeg: bytes) -> bool:
    """Whether a JPEG can be decoded as it is read: sequential, all samples in its first scan.

    Of any other all coefficients are kept until its last scan (ISO/IEC 10918-1, A.2.3 and B.2.3).
    """
    samples = 0
    for marker, at in _segments(jpeg):
        if marker in _SEQUENTIAL:
            samples = jpeg[at + 9]
        if marker == _SCAN:
            return samples == jpeg[at + 4]
    return False


def _segments(jpeg: bytes) -> Iterator[tuple[int, int]]:
    """Each marker up to the first scan's, and where it stands."""
    position, marker = 2, 0
    while marker != _SCAN and position + 10 <= len(jpeg) and jpeg[position] == 0xFF:
        marker = jpeg[position + 1]
        # A marker may be preceded by any number of fill bytes.
        if marker == 0xFF:
            position += 1
            continue
        yield marker, position
        position += 2 + int.from_bytes(jpeg[position + 2 : position + 4])


def j2k_shape(frame: bytes) -> tuple[int, int, int]:
    """Rows, columns and samples that the SIZ marker says (ISO/IEC 15444-1, A.5.1).

    A JP2 header before the codestream is refused, as PS3.5, section 8.2.4 has it: at one of a box
    without length pydicom would search for ever.
    """
    if not frame.startswith(_J2K_START) or len(frame) < 42:
        raise InvalidInput("The frame is no JPEG 2000 codestream.", where="PixelData")
    right, bottom, left, top = (int.from_bytes(frame[at : at + 4]) for at in range(8, 24, 4))
    return bottom - top, right - left, int.from_bytes(frame[40:42])
