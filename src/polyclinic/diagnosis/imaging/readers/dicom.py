"""DICOM: the picture that a viewer would show first, and what the header says of it."""

import re
import warnings

from pydicom.dataset import Dataset

from polyclinic.diagnosis.imaging.readers.dicom_file import damage_named, open_dicom
from polyclinic.diagnosis.imaging.readers.dicom_frame import read_frame
from polyclinic.diagnosis.imaging.readers.dicom_tones import as_image
from polyclinic.diagnosis.imaging.readers.picture import Header, Picture


def read_dicom(data: bytes, max_pixels: int) -> Picture:
    """The picture of a DICOM file: of several frames the middle one, which its notes say.

    Values pass the modality table or rescaling, then the first VOI table or window; where there is
    neither, the lowest becomes black and the highest white. MONOCHROME1 is inverted.
    Raises `InputTooLarge`, `UnsupportedInput` or `InvalidInput` (damaged).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = open_dicom(data)
        frame = read_frame(dataset, max_pixels)
        image = as_image(frame, dataset)
        header = _header(dataset)
    notes = (f"Frame {frame.number + 1} of {frame.frames}, the middle one, was read.",)
    return Picture(image, header, notes if frame.frames > 1 else ())


def _header(dataset: Dataset) -> Header:
    age = re.fullmatch(r"(\d{3})([DWMY])", _text(dataset, "PatientAge") or "")
    return Header(
        modality=_code(dataset, "Modality"),
        body_part=_code(dataset, "BodyPartExamined"),
        patient=_text(dataset, "PatientID"),
        sex=_code(dataset, "PatientSex"),
        age=(int(age[1]) if age[2] == "Y" else int(age[1]) // _A_YEAR[age[2]]) if age else None,
    )


#: How many of the units of an age string (PS3.5, table 6.2-1) are a year.
_A_YEAR = {"D": 365, "W": 52, "M": 12}


def _text(dataset: Dataset, keyword: str) -> str | None:
    with damage_named():
        return str(dataset.get(keyword) or "").strip() or None


def _code(dataset: Dataset, keyword: str) -> str | None:
    text = _text(dataset, keyword)
    return text.upper() if text else None
