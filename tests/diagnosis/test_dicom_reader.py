import warnings
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from hostile import PICTURE, dicom
from polyclinic.core.errors import PolyclinicError, UnsupportedInput
from polyclinic.diagnosis.imaging.reader import open_picture
from polyclinic.diagnosis.imaging.readers.picture import Picture

LIMIT = 10**7
#: Files that come with pydicom: every way of compressing, of colour and of storing that is read.
SAMPLES = (
    *("CT_small.dcm", "MR_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm"),
    *("MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm"),
    *("693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm", "JPEG2000.dcm", "examples_jpeg2k.dcm"),
    *("JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm", "image_dfl.dcm"),
    *("ExplVR_BigEnd.dcm", "SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm"),
    *("SC_rgb_small_odd_jpeg.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_jpeg_gdcm.dcm"),
    *("SC_rgb_jpeg_lossy_gdcm.dcm", "SC_rgb_jpeg_app14_dcmd.dcm", "SC_rgb_dcmtk_+eb+cr.dcm"),
    *("SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_dcmtk_+eb+cy+n1.dcm", "SC_rgb_rle_16bit.dcm"),
    *("SC_rgb_rle_2frame.dcm", "SC_ybr_full_422_uncompressed.dcm", "SC_rgb_jls_lossy_line.dcm"),
    *("examples_palette.dcm", "examples_overlay.dcm", "examples_ybr_color.dcm"),
)


def sample(name: str) -> bytes:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()


def read(data: bytes) -> Picture:
    return open_picture(data, LIMIT)


def grey(data: bytes) -> NDArray[np.float64]:
    image = read(data).image
    assert image.mode == "L"
    return np.asarray(image, dtype=np.float64)


def as_pydicom_shows(name: str) -> NDArray[np.float64]:
    """The middle frame by pydicom's own functions, scaled from its output range to 0 to 255."""
    dataset = pydicom.dcmread(get_testdata_file(name, download=False))
    stored = pixel_array(dataset, index=int(dataset.get("NumberOfFrames") or 1) // 2)
    if stored.ndim == 3:
        return (stored >> max(dataset.BitsStored - 8, 0)).astype(float)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return np.asarray(apply_color_lut(stored, dataset) / 257.0)
    values = apply_voi_lut(apply_modality_lut(stored, dataset), dataset).astype(float)
    low, high = values.min(), values.max()
    if "WindowCenter" in dataset:
        low, high = apply_voi_lut(np.array([-1e9, 1e9]), dataset)
    return np.asarray(255 * (values - low) / (high - low))


@pytest.mark.parametrize("name", SAMPLES)
def test_a_picture_looks_as_pydicom_shows_it(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = as_pydicom_shows(name)
    image = read(sample(name)).image
    # Pillow and pydicom round colours each in its own way.
    assert np.abs(np.asarray(image, dtype=float) - expected).max() <= 1


def test_lossless_jpeg_is_read_exactly(tmp_path: Path) -> None:
    reader, change, writer = (
        gdcm.ImageReader(),
        gdcm.ImageChangeTransferSyntax(),
        gdcm.ImageWriter(),
    )
    reader.SetFileName(str(get_testdata_file("CT_small.dcm", download=False)))
    assert reader.Read()
    syntax = gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1)
    change.SetTransferSyntax(syntax)
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(tmp_path / "lossless.dcm"))
    assert writer.Write()
    compressed = (tmp_path / "lossless.dcm").read_bytes()
    assert (grey(compressed) == grey(sample("CT_small.dcm"))).all()


def test_a_frame_that_kills_its_decoder_is_an_error_like_another() -> None:
    data = bytearray(sample("SC_rgb_jpeg_gdcm.dcm"))
    scan = data.index(b"\xff\xda")
    data[scan + 4 : scan + 400] = b"\xff\x51" * 198
    with pytest.raises(PolyclinicError):
        read(bytes(data))


def test_monochrome_1_is_inverted() -> None:
    white_is_high, white_is_low = dicom(), dicom(PhotometricInterpretation="MONOCHROME1")
    assert (grey(white_is_low) == 255 - grey(white_is_high)).all()


def test_without_a_window_the_lowest_is_black_and_the_highest_white() -> None:
    low, high = float(PICTURE.min()), float(PICTURE.max())
    assert np.abs(grey(dicom()) - 255 * (PICTURE - low) / (high - low)).max() <= 0.5


def test_padding_has_no_say_in_what_is_black() -> None:
    padded = PICTURE.copy()
    padded[:8], low = 0, int(np.maximum(PICTURE, 60)[8:].min())
    padded[8:] = np.maximum(padded[8:], 60)
    tones = grey(dicom(pixels=padded.tobytes(), PixelPaddingValue=0))
    assert tones[8:].min() == tones[:8].max() == 0
    assert (tones[8:] == 0).sum() == (padded[8:] == low).sum()


@given(
    centre=st.floats(-1000, 1000),
    width=st.floats(2, 2000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    slope=st.floats(0.1, 3),
    intercept=st.floats(-1024, 100),
)
def test_every_window_is_applied_as_pydicom_does(
    centre: float, width: float, function: str, slope: float, intercept: float
) -> None:
    elements = {
        "WindowCenter": round(centre, 3),
        "WindowWidth": round(width, 3),
        "VOILUTFunction": function,
        "RescaleSlope": round(slope, 3),
        "RescaleIntercept": round(intercept, 3),
    }
    dataset = Dataset()
    dataset.update({"PhotometricInterpretation": "MONOCHROME2", "PixelRepresentation": 0})
    dataset.BitsStored = 8
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    with np.errstate(over="ignore"):
        shown = apply_voi_lut(apply_modality_lut(PICTURE, dataset), dataset)
        low, high = apply_voi_lut(np.array([-1e9, 1e9]), dataset)
    assert np.abs(grey(dicom(**elements)) - 255 * (shown - low) / (high - low)).max() <= 0.51


def test_only_the_first_of_several_windows_is_applied() -> None:
    several = dicom(WindowCenter=[100, 5], WindowWidth=[50, 5])
    assert (grey(several) == grey(dicom(WindowCenter=100, WindowWidth=50))).all()


def table(entries: list[int], first: int, bits: int) -> list[Dataset]:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = entries
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "US"
    return [item]


def test_tables_are_looked_up_and_their_ends_hold_beyond_them() -> None:
    entries = list(range(4095, -1, -21))
    voi = dicom(VOILUTSequence=table(entries, 30, 12))
    expected = np.array(entries)[np.clip(PICTURE.astype(int) - 30, 0, len(entries) - 1)] / 4095
    assert np.abs(grey(voi) - 255 * expected).max() <= 0.5
    both = dicom(ModalityLUTSequence=table(entries, 30, 12), WindowCenter=2048, WindowWidth=4096)
    assert np.abs(grey(both) - 255 * expected).max() <= 1


def test_a_table_of_more_entries_than_its_bits_can_count_is_looked_up() -> None:
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    entries = [value // 16 for value in range(4096)]
    data = dicom(
        pixels=pixels.tobytes(),
        VOILUTSequence=table(entries, 0, 8),
        **{"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11},
    )
    assert (grey(data) == pixels // 16).all()


def test_signed_values_keep_their_order() -> None:
    signed = PICTURE.astype(np.int16) - 100
    bits = {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1}
    assert (grey(dicom(pixels=signed.tobytes(), **bits)) == grey(dicom())).all()
    encoded = RLELosslessEncoder.encode(
        signed,
        rows=64,
        columns=64,
        samples_per_pixel=1,
        photometric_interpretation="MONOCHROME2",
        bits_allocated=16,
        bits_stored=16,
        pixel_representation=1,
        number_of_frames=1,
        encoding_plugin="pydicom",
    )
    assert (grey(dicom(RLELossless, encoded, **bits)) == grey(dicom())).all()


def test_of_several_frames_the_middle_one_is_read_with_its_own_window() -> None:
    frames = b"".join((PICTURE + step).tobytes() for step in range(5))
    groups = []
    for centre in (10, 20, 130, 40, 50):
        window, group = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = centre, 80
        group.FrameVOILUTSequence = [window]
        groups.append(group)
    picture = read(dicom(pixels=frames, NumberOfFrames=5, PerFrameFunctionalGroupsSequence=groups))
    assert picture.notes == ("Frame 3 of 5, the middle one, was read.",)
    alone = dicom(pixels=(PICTURE + 2).tobytes(), WindowCenter=130, WindowWidth=80)
    assert (np.asarray(picture.image) == grey(alone)).all()


def test_the_header_says_modality_body_part_patient_sex_and_age() -> None:
    data = dicom(
        Modality="DX", BodyPartExamined="chest ", PatientID="P-7", PatientSex="f", PatientAge="018M"
    )
    header = read(data).header
    assert (header.modality, header.body_part, header.patient) == ("DX", "CHEST", "P-7")
    assert (header.sex, header.age) == ("F", 1)
    silent = read(dicom()).header
    assert (silent.modality, silent.body_part, silent.age) == (None, None, None)


@pytest.mark.parametrize(
    ("elements", "where"),
    [
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "BitsAllocated"),
        ({"SamplesPerPixel": 4}, "BitsAllocated"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "RedPaletteColorLookupTableData"),
        ({"PhotometricInterpretation": "CMYK"}, "CMYK"),
    ],
)
def test_what_is_not_read_says_where(elements: dict[str, object], where: str) -> None:
    with pytest.raises(PolyclinicError) as refused:
        read(dicom(ExplicitVRLittleEndian, bytes(64 * 64 * 4), **elements))
    assert refused.value.where == where or not isinstance(refused.value, UnsupportedInput)


@given(st.binary(min_size=1, max_size=8), st.integers(132, 1000))
def test_damaged_dicom_never_crashes_the_reader(noise: bytes, at: int) -> None:
    good = dicom(WindowCenter=100, WindowWidth=50)
    for data in (good[:at] + noise + good[at + len(noise) :], good[:at]):
        try:
            assert read(data).image.mode in ("L", "RGB")
        except PolyclinicError:
            continue
