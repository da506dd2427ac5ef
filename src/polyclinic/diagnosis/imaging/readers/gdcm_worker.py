"""Decodes one compressed frame with GDCM, as a program of its own: what breaks it breaks it alone.

Run by `dicom_apart` with the frame on standard input and the names of `ARGUMENTS` as arguments; the
decoded bytes come on standard output. It imports nothing but GDCM, and so starts in a tenth of a
second. The calls are those of pydicom's own plug-in.
"""

import sys

import gdcm

ARGUMENTS = (
    *("transfer_syntax", "photometric_interpretation", "rows", "columns", "samples_per_pixel"),
    *("planar_configuration", "bits_allocated", "bits_stored", "pixel_representation"),
)


def decode(frame: bytes, syntax: str, photometric: str, numbers: list[int]) -> bytes:
    """The frame's values, `bits_allocated` each, colour by pixel where GDCM makes it so."""
    rows, columns, samples, planar, allocated, stored, signed = numbers
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(photometric)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    if samples > 1:
        image.SetPlanarConfiguration(planar)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    image.SetPixelFormat(gdcm.PixelFormat(samples, allocated, stored, stored - 1, signed))
    decoded: bytes = image.GetBuffer().encode("utf-8", "surrogateescape")
    return decoded


if __name__ == "__main__":
    syntax, photometric, *numbers = sys.argv[1:]
    frame = sys.stdin.buffer.read()
    sys.stdout.buffer.write(decode(frame, syntax, photometric, [int(text) for text in numbers]))
