"""Patients and subgroups: what the listing says, or else the DICOM header."""

import hashlib
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from polyclinic.diagnosis.imaging.readers.picture import Header
from polyclinic.diagnosis.imaging.sources.listing import Entry

UNKNOWN = "unknown"
#: A column of more distinct values tells pictures apart rather than groups.
MAX_GROUPS = 20

_AGE_BANDS = ((18, "0 to 17"), (40, "18 to 39"), (65, "40 to 64"))
_SEXES = {"F": "female", "M": "male", "O": "other"}


def patient_of(entry: Entry, header: Header) -> str:
    """A digest of the patient's id, so that no id stands in a data set; "" where there is none."""
    patient = entry.patient or header.patient
    return hashlib.sha256(patient.encode()).hexdigest()[:16] if patient else ""


def groups_of(entry: Entry, header: Header, named: Collection[str]) -> dict[str, str]:
    """The picture's value of each of the `named` attributes; ages become bands."""
    stated = {name: value for name, value in entry.groups.items() if value}
    if "age" in stated and stated["age"].isdecimal():
        stated["age"] = age_band(int(stated["age"]))
    said = {}
    if header.sex in _SEXES:
        said["sex"] = _SEXES[header.sex]
    if header.age is not None:
        said["age"] = age_band(header.age)
    return {name: value for name, value in (said | stated).items() if name in named}


def age_band(years: int) -> str:
    """The band of an age in whole years."""
    return next((band for below, band in _AGE_BANDS if years < below), "65 and over")


def attributes(
    groups: Sequence[dict[str, str]],
) -> Iterator[tuple[str, NDArray[np.str_]]]:
    """Each attribute that any picture has, with every picture's value (n,)."""
    for name in sorted({name for each in groups for name in each}):
        yield name, np.array([each.get(name, UNKNOWN) for each in groups])
