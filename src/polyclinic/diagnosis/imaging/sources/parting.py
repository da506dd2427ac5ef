"""Which rows of a listing are for training, validation and test."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.labels import Labels
from polyclinic.learning.prepare.splits import split

TRAIN, VALIDATION, TEST = "train", "validation", "test"
#: What people call the parts.
PARTS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}
FRACTIONS = {TRAIN: 0.7, VALIDATION: 0.15, TEST: 0.15}
#: What of a given training part is held out where the data has no validation part.
HELD_OUT = 0.15


def parted(
    stated: Sequence[str], y: Labels, patient: NDArray[np.str_], seed: int, where: str
) -> dict[str, NDArray[np.int64]]:
    """The rows of each part: as stated, or by patient with labels shared out evenly.

    stated: (n,) names of `FRACTIONS`, or "" throughout. Without a stated validation part it is
    taken from training. Raises `InvalidInput` where only some rows state a part, none is for
    training, or a label is too rare to be shared out.
    """
    parts = np.array(stated)
    if not any(stated):
        return split(y, FRACTIONS, patient, seed)
    if not all(stated):
        raise InvalidInput(
            f"{(parts == '').sum()} of {len(parts)} pictures state no part.",
            where=where,
            remedy="State the part of every picture, or of none.",
        )
    rows = {name: np.flatnonzero(parts == name) for name in FRACTIONS if (parts == name).any()}
    if TRAIN not in rows:
        raise InvalidInput("No picture is for training.", where=where)
    if VALIDATION not in rows:
        whole = rows[TRAIN]
        shares = {TRAIN: 1 - HELD_OUT, VALIDATION: HELD_OUT}
        rows |= {
            name: whole[chosen]
            for name, chosen in split(y[whole], shares, patient[whole], seed).items()
        }
    return rows
