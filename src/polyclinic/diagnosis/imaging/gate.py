"""The gate: what a picture must be before a model sees it, and what a reader is to be warned of."""

from PIL import Image

from polyclinic.core.errors import InvalidInput, UnsupportedInput
from polyclinic.core.frozen import Frozen
from polyclinic.diagnosis.imaging.readers.picture import Picture

#: A picture with a larger share of pixels at one end of the scale shows too little to judge by. Of
#: the 5,030 chest X-rays of PneumoniaMNIST the worst has 0.39.
SATURATED = 0.95
#: So many grey levels count as one end of the scale; lossy compression leaves no pure black.
END_LEVELS = 3
#: Of a large picture so many pixels a side are looked at, evenly spaced.
SAMPLE = 256
#: The model sees the centred square, of a longer picture less than a quarter.
MAX_ASPECT_RATIO = 4.0
#: From here on the square is less than two thirds of the picture.
WIDE_ASPECT_RATIO = 1.5


class Accepts(Frozen):
    """What a model was made for, as a DICOM header says it; empty is anything.

    modalities: such as `DX`, `CR` (PS3.3, C.7.3.1.1.1). body_parts: such as `CHEST` (PS3.16, L).
    """

    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()


def admit(picture: Picture, size: int, accepts: Accepts) -> tuple[str, ...]:
    """What to be warned of in a picture for a model of `size` × `size` pixels.

    A header that is absent or silent has no say. A picture smaller than the model's own size is
    enlarged, with a warning. Raises `UnsupportedInput` for another modality or body part, and
    `InvalidInput` for a picture that is blank, nearly all black or white, or a mere strip.
    """
    _refuse_other(picture.header.modality, accepts.modalities, "modality", "Modality")
    _refuse_other(picture.header.body_part, accepts.body_parts, "body part", "BodyPartExamined")
    width, height = picture.image.size
    short, long = sorted((width, height))
    if long > MAX_ASPECT_RATIO * short:
        raise InvalidInput(
            f"The picture is a strip of {width} × {height} pixels.",
            remedy="Send a picture of which the centred square shows what is to be judged.",
        )
    _refuse_empty(picture.sampled(SAMPLE))
    warnings = picture.notes
    if short < size:
        warnings += (
            f"The picture of {width} × {height} pixels was enlarged to {size} × {size}: "
            "it has less detail than the pictures that the model was made from.",
        )
    if long > WIDE_ASPECT_RATIO * short:
        warnings += (
            f"Of {width} × {height} pixels only the centred {short} × {short} were looked at.",
        )
    return warnings


def _refuse_other(stated: str | None, accepted: tuple[str, ...], what: str, where: str) -> None:
    if stated and accepted and stated not in accepted:
        raise UnsupportedInput(
            f"The model reads pictures of {what} {' or '.join(accepted)}; this one is "
            f"{stated[:16]}.",
            where=where,
            remedy=f"Choose a model for this {what}.",
        )


def _refuse_empty(sample: Image.Image) -> None:
    counts = sample.convert("L").histogram()
    if counts.count(0) == len(counts) - 1:
        raise InvalidInput("The picture is blank: every pixel has the same value.")
    for name, end in (("black", counts[:END_LEVELS]), ("white", counts[-END_LEVELS:])):
        share = sum(end) / sum(counts)
        if share > SATURATED:
            raise InvalidInput(f"{share:.1%} of the picture are {name}: too little is shown.")
