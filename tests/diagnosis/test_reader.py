import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import ExifTags, Image

from pictures import encode, spots
from polyclinic.core.errors import InputTooLarge, InvalidInput, PolyclinicError, UnsupportedInput
from polyclinic.diagnosis.imaging.reader import open_picture

PICTURE = spots(2, seed=0)[0][1]
LIMIT = 10**6


def read(data: bytes, channels: int = 1, size: int = 16) -> np.ndarray:
    return open_picture(data, LIMIT).fitted(channels, size)


def test_a_picture_of_the_models_size_is_read_unchanged() -> None:
    assert (read(encode(PICTURE))[0] == PICTURE).all()
    assert (read(encode(PICTURE, "TIFF"))[0] == PICTURE).all()


@given(arrays(np.uint8, (16, 16)).filter(lambda pixels: pixels.min() != pixels.max()))
def test_every_grey_png_survives_reading(pixels: np.ndarray) -> None:
    assert (read(encode(pixels))[0] == pixels).all()


def test_sixteen_bits_keep_their_upper_eight() -> None:
    assert (read(encode(PICTURE.astype(np.uint16) * 256 + 7))[0] == PICTURE).all()


def test_sixteen_bits_of_many_rows_keep_their_upper_eight() -> None:
    tall = np.arange(200 * 4, dtype=np.uint16).reshape(200, 4) * 80
    assert (np.asarray(open_picture(encode(tall), LIMIT).image) == tall >> 8).all()


def test_the_centred_square_of_a_wide_picture_is_taken() -> None:
    wide = np.zeros((16, 48), np.uint8)
    wide[:, 16:32] = PICTURE
    assert (read(encode(wide))[0] == PICTURE).all()


def test_a_large_picture_is_made_smaller_without_aliasing() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    stripes[:, :16] = 10
    small = read(encode(stripes))[0]
    assert abs(int(small[8, 12]) - 127) < 20


def test_colour_goes_to_grey_and_grey_to_colour() -> None:
    colour = np.stack([PICTURE] * 3, axis=2)
    assert (read(encode(colour))[0] == PICTURE).all()
    assert read(encode(PICTURE), channels=3).shape == (3, 16, 16)


def test_a_jpeg_is_read() -> None:
    assert np.abs(read(encode(PICTURE, "JPEG"))[0].astype(int) - PICTURE).mean() < 8


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"", InvalidInput, "empty"),
        (b"hello, I am text", UnsupportedInput, "no picture"),
        (encode(PICTURE)[:60], InvalidInput, "damaged"),
        (encode(PICTURE, "GIF"), UnsupportedInput, "no picture"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, error: type[PolyclinicError], says: str) -> None:
    with pytest.raises(error, match=says):
        read(data)


def test_a_huge_picture_is_refused_by_its_header_before_any_pixel_is_decoded() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows)
    with pytest.raises(InputTooLarge):
        read(bomb)


def test_a_colour_pixel_counts_as_the_memory_that_it_takes() -> None:
    grey = np.tile(PICTURE, (50, 50))
    assert open_picture(encode(grey), grey.size).image.size == grey.shape
    with pytest.raises(InputTooLarge, match=f"at most {grey.size // 4:,} "):
        open_picture(encode(np.stack([grey] * 3, axis=2)), grey.size)


def jpeg(side: int = 400, **options: object) -> bytes:
    tones = np.broadcast_to(np.linspace(0, 255, side).astype(np.uint8), (side, side))
    buffer = io.BytesIO()
    colours = np.stack([tones, tones.T, tones // 2], axis=2)
    Image.fromarray(colours).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def test_a_large_jpeg_is_read_at_half_its_size_which_is_said() -> None:
    whole, half = open_picture(jpeg(), 400 * 400 * 4), open_picture(jpeg(), 400 * 400)
    assert (whole.image.size, half.image.size) == ((400, 400), (200, 200))
    assert whole.notes == ()
    assert "half" in half.notes[0]
    difference = whole.fitted(3, 28).astype(int) - half.fitted(3, 28)
    assert np.abs(difference).max() <= 2
    with pytest.raises(InputTooLarge):
        open_picture(jpeg(), 400 * 400 - 1)


def test_a_jpeg_of_several_scans_counts_for_more() -> None:
    several = jpeg(progressive=True)
    assert open_picture(several, 400 * 400 * 7).image.size == (400, 400)
    assert open_picture(several, 400 * 400 * 4).image.size == (200, 200)
    with pytest.raises(InputTooLarge):
        open_picture(several, 400 * 400 * 3)


def test_a_picture_to_be_turned_counts_twice() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    buffer = io.BytesIO()
    Image.fromarray(np.tile(PICTURE, (1, 2))).save(buffer, "PNG", exif=exif)
    assert open_picture(buffer.getvalue(), 16 * 32 * 2).image.size == (16, 32)
    with pytest.raises(InputTooLarge):
        open_picture(buffer.getvalue(), 16 * 32 * 2 - 1)


@given(st.binary(max_size=200), st.integers(0, 150))
def test_damaged_files_never_crash_the_reader(noise: bytes, at: int) -> None:
    good = encode(PICTURE)
    for data in (noise, good[:at] + noise + good[at + len(noise) :]):
        with suppress(PolyclinicError):
            assert read(data).shape == (1, 16, 16)


def test_float_pixels_are_refused() -> None:
    buffer = io.BytesIO()
    Image.fromarray(PICTURE.astype(np.float32)).save(buffer, "TIFF")
    with pytest.raises(UnsupportedInput):
        read(buffer.getvalue())
