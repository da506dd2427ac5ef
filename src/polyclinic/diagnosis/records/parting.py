"""Which examples are for training, validation and test: as the source states, or by patient."""

import numpy as np

from polyclinic.core.errors import InvalidInput
from polyclinic.diagnosis.records.inputs import Rows
from polyclinic.diagnosis.records.records import Records
from polyclinic.learning.prepare.splits import split

FRACTIONS = {"train": 0.7, "validation": 0.15, "test": 0.15}


def parted(records: Records, seed: int) -> dict[str, Rows]:
    """The rows of each part. Patients are dealt out with labels shared evenly, by `seed`.

    Raises `InvalidInput` where the source states other parts than these, or not of every row.
    """
    if not (records.part != "").any():
        return split(records.y, FRACTIONS, records.patient, seed)
    wrong = sorted(set(records.part.tolist()) - set(FRACTIONS))
    if wrong:
        raise InvalidInput(
            f"A part is called {wrong[0]!r}; there are {', '.join(FRACTIONS)}.",
            where="part",
            remedy="State the part of every row, or of none.",
        )
    rows = {name: np.flatnonzero(records.part == name) for name in FRACTIONS}
    empty = [name for name in ("train", "validation") if not rows[name].size]
    if empty:
        raise InvalidInput(f"No row is for {empty[0]}.", where="part")
    return {name: found for name, found in rows.items() if found.size}
