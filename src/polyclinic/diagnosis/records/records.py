"""Records as a source gives them, and the data set that the five steps see of them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from polyclinic.diagnosis.records.inputs import Encoding, Inputs, Rows
from polyclinic.diagnosis.records.notes.encoder import Encoder
from polyclinic.diagnosis.records.variables import Variable
from polyclinic.learning.labels import Labels
from polyclinic.learning.prepare.dataset import Part
from polyclinic.learning.prepare.issues import QualityIssue

#: The attribute that tells hours before an onset from those after it; no subgroup of people.
HOURS, BEFORE, AFTER = "hours", "before onset", "after onset"


@dataclass(frozen=True)
class Records:
    """All rows of a source, read but not yet judged; e examples of m subjects.

    fixed, hourly: the dictionary of the columns of `inputs`. y: as in `Part`.
    patient: (e,) ids. part: (e,) the part that the source states, "" where it states none.
    origin: where the rows of the table, or the hours of the series, stand in their file; -1 where
    nothing was recorded of an hour. issues: what reading found. notes, texts: the dictionary of the
    texts of each subject (m, t), "" where there is none.
    """

    fixed: tuple[Variable, ...]
    hourly: tuple[Variable, ...]
    inputs: Inputs
    y: Labels
    patient: NDArray[np.str_]
    part: NDArray[np.str_]
    origin: Rows
    subgroups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    issues: tuple[QualityIssue, ...] = ()
    notes: tuple[Variable, ...] = ()
    texts: tuple[tuple[str, ...], ...] = ()

    def embedded(self, encoder: Encoder | None) -> "Records":
        """The same records with embeddings of their texts, where they have any."""
        if encoder is None or not self.notes:
            return self
        return replace(self, inputs=replace(self.inputs, notes=encoder.notes(self.texts)))

    def plausible(self) -> "Records":
        """The same records with every value that cannot be taken as missing."""
        inputs = replace(self.inputs, fixed=_plausible(self.inputs.fixed, self.fixed))
        if inputs.hourly is not None:
            values = _plausible(inputs.hourly.values, self.hourly)
            inputs = replace(inputs, hourly=replace(inputs.hourly, values=values))
        return replace(self, inputs=inputs)

    def examples(self, rows: Rows, encoding: Encoding) -> "RecordPart":
        """The examples of `rows` as a part, their features those of `encoding`."""
        inputs = self.inputs
        asked = None if inputs.row is None else inputs.row[rows]
        chosen = replace(inputs, subject=inputs.subject[rows], row=asked)
        return RecordPart(
            encoding.encode(chosen),
            self.y[rows],
            self.patient[rows],
            {name: values[rows] for name, values in self.subgroups.items()},
            source_digest=self.digest(rows),
        )

    def digest(self, rows: Rows) -> str:
        """SHA-256 over what was recorded of the subjects of some examples, and over their labels.

        It does not change with the features that a release makes of them.
        """
        inputs = self.inputs
        subjects = np.unique(inputs.subject[rows])
        arrays: list[NDArray[np.generic]] = [inputs.fixed[subjects], self.y[rows]]
        if inputs.hourly is not None and inputs.row is not None:
            starts = np.unique(inputs.hourly.start[inputs.row[rows]])
            arrays.append(inputs.hourly.values[np.isin(inputs.hourly.start, starts)])
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        if self.notes:
            for subject in subjects.tolist():
                digest.update(repr(self.texts[subject]).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class RecordPart(Part):
    """A part whose identity is what was recorded, not the features (n, d) made of it."""

    source_digest: str = ""

    def digest(self) -> str:
        """SHA-256 of what the source holds of these examples."""
        return self.source_digest


def one_each(part: Part) -> Part:
    """One example of each patient, the middle one: for what needs independent examples."""
    if part.patient is None:
        return part
    # Rows of a table need not stand by patient.
    rows = np.argsort(part.patient, kind="stable")
    _, first, counts = np.unique(part.patient[rows], return_index=True, return_counts=True)
    return part.take(np.sort(rows[first + counts // 2]))


def _plausible(values: NDArray[np.float32], variables: tuple[Variable, ...]) -> NDArray[np.float32]:
    kept = values.copy()
    for column, variable in enumerate(variables):
        kept[variable.implausible(values[:, column]), column] = np.nan
    return kept
