"""From stored values to 8-bit tones, as a viewer shows them (PS3.3, C.11.1, C.11.2, C.7.6.3).

At most 16 bits are stored, so a table of every possible value is made once and the pixels looked up
in it: three bytes of memory a pixel of 16 bits, whatever the transformations.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from polyclinic.core.errors import InvalidInput, UnsupportedInput
from polyclinic.diagnosis.imaging.readers.dicom_file import damage_named
from polyclinic.diagnosis.imaging.readers.dicom_frame import Frame, whole

Values = NDArray[np.float64]


class Places(NamedTuple):
    """Where each pixel's value stands in a table of all values from the `least` on.

    pixels: (rows, columns). The places themselves are made a row at a time.
    """

    pixels: NDArray[np.unsignedinteger[Any]]
    least: np.unsignedinteger[Any]

    def rows(self) -> Iterator[NDArray[np.unsignedinteger[Any]]]:
        """The places of each row (columns,); right for signed values, too, as differences wrap."""
        for row in self.pixels:
            yield row - self.least


def as_image(frame: Frame, dataset: Dataset) -> Image.Image:
    """A frame as a picture of mode `L` or `RGB`."""
    pixels = frame.pixels.astype(frame.pixels.dtype.newbyteorder("="), copy=False)
    photometric = frame.photometric
    if pixels.ndim == 3:
        mode = "YCbCr" if photometric.startswith("YBR") else "RGB"
        if photometric not in ("RGB", "YBR_FULL", "YBR_FULL_422"):
            raise UnsupportedInput("These colours are not read here.", where=photometric)
        surplus = max(whole(dataset, "BitsStored") - 8, 0)
        colours = (pixels >> surplus if surplus else pixels).astype(np.uint8, copy=False)
        image = Image.fromarray(colours, mode)
        return image if mode == "RGB" else image.convert("RGB")
    least = int(pixels.min())
    stored = np.arange(least, int(pixels.max()) + 1)
    unsigned = np.dtype(f"u{pixels.itemsize}")
    places = Places(pixels.view(unsigned), unsigned.type(least % 2 ** (8 * pixels.itemsize)))
    if photometric == "PALETTE COLOR":
        return Image.fromarray(_at(_palette(stored, dataset), places))
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnsupportedInput("These tones are not read here.", where=photometric)
    with damage_named():
        tones = _tones(stored, places, dataset, frame.number)
    table = np.rint(255 * tones).astype(np.uint8)
    if photometric == "MONOCHROME1":
        table = 255 - table
    return Image.fromarray(_at(table, places))


def _at(table: NDArray[np.uint8], places: Places) -> NDArray[np.uint8]:
    """The table's entries (rows, columns[, 3]); a row at a time, as an index costs 8 bytes."""
    found = np.empty((*places.pixels.shape, *table.shape[1:]), dtype=np.uint8)
    for row, of_row in zip(found, places.rows(), strict=True):
        row[:] = table[of_row]
    return found


def _tones(stored: NDArray[np.int64], places: Places, dataset: Dataset, number: int) -> Values:
    """Each stored value's tone in [0, 1], 0 black, before a MONOCHROME1 is inverted."""
    values, order = stored.astype(np.float64), _order(dataset)
    modality = _item(dataset, "ModalityLUTSequence")
    rescale = _stating(dataset, number, "PixelValueTransformationSequence", "RescaleSlope")
    if modality is not None:
        values = _looked_up(values, modality.LUTDescriptor, modality.LUTData, order)
    elif rescale is not None:
        values = values * float(rescale.RescaleSlope) + float(rescale.get("RescaleIntercept") or 0)
    if not np.isfinite(values).all():
        raise InvalidInput("The values cannot be rescaled.", where="RescaleSlope")
    window = _stating(dataset, number, "FrameVOILUTSequence", "WindowCenter")
    voi = _item(dataset, "VOILUTSequence")
    if voi is not None:
        bits = int(voi.LUTDescriptor[2])
        tones = _looked_up(np.rint(values), voi.LUTDescriptor, voi.LUTData, order)
        return np.asarray((tones / (2**bits - 1)).clip(0, 1))
    if window is not None:
        function = str(window.get("VOILUTFunction") or "LINEAR")
        return _window(values, _first(window.WindowCenter), _first(window.WindowWidth), function)
    seen = np.zeros(len(stored), dtype=bool)
    for row in places.rows():
        seen[row] = True
    padding = dataset.get("PixelPaddingValue")
    if padding is not None:
        seen &= stored != int(padding)
    low, high = (values[seen].min(), values[seen].max()) if seen.any() else (0.0, 1.0)
    return np.clip((values - low) / max(high - low, 1e-12), 0, 1)


def _window(values: Values, centre: float, width: float, function: str) -> Values:
    """PS3.3, C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID) and C.11.2.1.3.2 (LINEAR_EXACT)."""
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    if not (np.isfinite(centre) and (width > 0 or (width == 0 and function == "LINEAR"))):
        raise InvalidInput("The window has no centre or no width.", where="WindowWidth")
    if function == "SIGMOID":
        steepness = np.clip(-4 * (values - centre) / width, -500, 500)
        return np.asarray(1 / (1 + np.exp(steepness)))
    if function not in ("LINEAR", "LINEAR_EXACT"):
        raise UnsupportedInput("This function is not read here.", where="VOILUTFunction")
    if width == 0:
        return (values > centre).astype(np.float64)
    return np.clip((values - centre) / width + 0.5, 0, 1)


def _palette(stored: NDArray[np.int64], dataset: Dataset) -> NDArray[np.uint8]:
    """The colour (n, 3) of each stored value (PS3.3, C.7.6.3.1.5 and 6)."""
    channels = []
    for colour in ("Red", "Green", "Blue"):
        name = f"{colour}PaletteColorLookupTable"
        with damage_named():
            descriptor, data = dataset.get(f"{name}Descriptor"), dataset.get(f"{name}Data")
            if not descriptor or not data:
                raise UnsupportedInput(
                    "The palette is missing or in segments.", where=f"{name}Data"
                )
            entries = _looked_up(stored.astype(np.float64), descriptor, data, _order(dataset))
        # Some writers store 8-bit colours in the upper byte of 16, whatever the descriptor says.
        channels.append(entries / 257 if entries.max() > 255 else entries)
    return np.rint(np.stack(channels, axis=1)).clip(0, 255).astype(np.uint8)


def _looked_up(values: Values, descriptor: Any, data: Any, order: str) -> Values:
    """Values through a look-up table (PS3.3, C.11.1.1.1): beyond its ends the ends' entries.

    order: of the bytes of a table that was read as bytes, `<` or `>`.
    """
    count, first, bits = (int(number) for number in descriptor)
    count = count or 2**16
    if not 1 <= bits <= 16:
        raise InvalidInput(f"A look-up table has entries of {bits} bits.", where="LUTDescriptor")
    if isinstance(data, bytes):
        entries = np.frombuffer(data, "u1" if len(data) < 2 * count and bits <= 8 else f"{order}u2")
    else:
        entries = np.asarray(data)
    if len(entries) < count:
        raise InvalidInput("A look-up table is shorter than it says.", where="LUTData")
    rows = np.clip(values - first, 0, count - 1).astype(np.int64)
    return entries[rows].astype(np.float64)


def _order(dataset: Dataset) -> str:
    return "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"


def _stating(dataset: Dataset, number: int, group: str, keyword: str) -> Dataset | None:
    """The part of the header that states `keyword`: the frame's own, what all share, or the top."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    own = per_frame[number] if per_frame and number < len(per_frame) else None
    for functional in (own, _item(dataset, "SharedFunctionalGroupsSequence")):
        stated = None if functional is None else _item(functional, group)
        if stated is not None and stated.get(keyword) is not None:
            return stated
    return dataset if dataset.get(keyword) is not None else None


def _item(dataset: Dataset, keyword: str) -> Dataset | None:
    items = dataset.get(keyword)
    return items[0] if items else None


def _first(value: Any) -> float:
    return float(value if isinstance(value, int | float) else value[0])
