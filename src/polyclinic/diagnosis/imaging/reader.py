"""From picture files to pictures: the file's content says which reader it needs."""

from polyclinic.core.errors import InvalidInput
from polyclinic.diagnosis.imaging.readers.encoded import read_encoded
from polyclinic.diagnosis.imaging.readers.picture import Picture

_DICOM_MAGIC = slice(128, 132)


def open_picture(data: bytes, max_pixels: int) -> Picture:
    """The picture of a PNG, JPEG, TIFF or DICOM file of at most `max_pixels` a frame.

    Raises `UnsupportedInput`, `InputTooLarge` or `InvalidInput` (empty or damaged).
    """
    if not data:
        raise InvalidInput("The file is empty.")
    if data[_DICOM_MAGIC] == b"DICM":  # the prefix of PS3.10, section 7.1
        # pydicom costs 40 MB, which a service that is sent no DICOM does not pay.
        from polyclinic.diagnosis.imaging.readers.dicom import read_dicom

        return read_dicom(data, max_pixels)
    return read_encoded(data, max_pixels)
