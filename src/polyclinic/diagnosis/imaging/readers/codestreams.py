"""What a compressed picture says of its own size, whatever the file around it says."""

from polyclinic.core.errors import InvalidInput

_J2K_START = b"\xff\x4f\xff\x51"
#: Markers SOF0 to SOF15 but for DHT, JPG and DAC (ISO/IEC 10918-1, table B.1); SOF55 of JPEG-LS.
_JPEG_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


def jpeg_shape(frame: bytes) -> tuple[int, int, int]:
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


def j2k_shape(frame: bytes) -> tuple[int, int, int]:
    """Rows, columns and samples that the SIZ marker says (ISO/IEC 15444-1, A.5.1).

    A JP2 header before the codestream is refused, as PS3.5, section 8.2.4 has it: at one of a box
    without length pydicom would search for ever.
    """
    if not frame.startswith(_J2K_START) or len(frame) < 42:
        raise InvalidInput("The frame is no JPEG 2000 codestream.", where="PixelData")
    right, bottom, left, top = (int.from_bytes(frame[at : at + 4]) for at in range(8, 24, 4))
    return bottom - top, right - left, int.from_bytes(frame[40:42])
