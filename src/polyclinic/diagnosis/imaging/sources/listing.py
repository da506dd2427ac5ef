"""A listing: picture files, and what is known of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.prediction import Coding
from polyclinic.learning.prepare.dataset import Dataset
from polyclinic.learning.prepare.issues import QualityIssue

#: The attributes by which results are also given apart, unless others are named.
SUBGROUPS = ("age", "sex")


@dataclass(frozen=True)
class Entry:
    """A picture file. part: `train`, `validation`, `test`, or "" where the source gives none."""

    path: Path
    name: str
    label: str
    part: str = ""
    patient: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """What a data set is to be.

    labels: None takes the source's own words. size, channels: of the pictures; None is the source's
    own where it has one, else `assembly.DEFAULT_SIZE`, and colour where any picture has it.
    multi_label: whether an entry's label may be several, joined by `|`, or none. subgroups: the
    attributes by which results are also given apart; no other is kept, since any might name a
    person.
    """

    name: str
    licence: str
    source: str
    labels: tuple[Coding, ...] | None = None
    size: int | None = None
    channels: int | None = None
    seed: int = 0
    multi_label: bool = False
    subgroups: tuple[str, ...] = SUBGROUPS


@dataclass(frozen=True)
class Source:
    """A data set, what was wrong with its files, and of each part the name of each row's file."""

    dataset: Dataset
    issues: tuple[QualityIssue, ...] = ()
    files: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
