"""Step 1: read the data, let no model learn from what is wrong with it, and make features."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from polyclinic.core.errors import InvalidInput
from polyclinic.diagnosis.records.checks import check_records
from polyclinic.diagnosis.records.inputs import Encoding, Rows
from polyclinic.diagnosis.records.notes.encoder import Encoder
from polyclinic.diagnosis.records.parting import parted
from polyclinic.diagnosis.records.recipe import HourlyData, RecordRecipe, TimelineData
from polyclinic.diagnosis.records.records import Records
from polyclinic.diagnosis.records.source import read_records
from polyclinic.learning.prepare.dataset import Dataset, Part
from polyclinic.learning.prepare.label_checks import (
    few_examples,
    imbalance,
    label_absent,
    label_shift,
)
from polyclinic.learning.prepare.quality import (
    Check,
    QualityReport,
    check_quality,
    patient_in_two_parts,
)

#: What is checked of the labels of patients, whatever the number of their examples.
LABEL_CHECKS: tuple[Check, ...] = (
    label_absent,
    few_examples,
    label_shift,
    imbalance,
    patient_in_two_parts,
)


@dataclass(frozen=True)
class Checked:
    """Plausible records that passed the gate, dealt into parts, and what a reader must know.

    encoder: the files that serve the encoder of texts, where there are any.
    """

    records: Records
    parts: Mapping[str, Rows]
    notes: tuple[str, ...]
    encoder: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Prepared:
    """The features of checked records, as a data set of their parts."""

    dataset: Dataset
    encoding: Encoding


def prepare(recipe: RecordRecipe, data: Path | None, folder: Path) -> Checked:
    """Read the data, and pass it through the quality gate.

    The recipe's `path` is relative to its own `folder`. Raises `QualityRefused` naming what is
    wrong with the data.
    """
    if data is None:
        if recipe.data.path is None:
            raise InvalidInput(
                "The recipe names no data.", where="data.path", remedy="Give --data PATH."
            )
        data = folder / recipe.data.path
    records = read_records(data, recipe.data)
    parts = parted(records, recipe.seed)
    report = check(recipe, records, parts)
    report.refuse()
    notes = tuple(f"{issue.where}: {issue.detail}" for issue in report.issues)
    records = records.plausible()
    if recipe.features.encoder is None:
        return Checked(records, parts, notes)
    from polyclinic.diagnosis.records.notes.export import export_encoder, find_encoder

    encoder = export_encoder(find_encoder(recipe.features.encoder, folder))
    return Checked(records.embedded(Encoder(encoder)), parts, notes, encoder)


def check(recipe: RecordRecipe, records: Records, parts: Mapping[str, Rows]) -> QualityReport:
    """Every issue of the records."""
    found = (*records.issues, *check_records(records, parts["train"]))
    labels = check_quality(_patients(recipe, records, parts), LABEL_CHECKS)
    return labels.model_copy(update={"issues": (*found, *labels.issues)})


def make_features(recipe: RecordRecipe, records: Records, parts: Mapping[str, Rows]) -> Prepared:
    """The data set of plausible records, its parts as given."""
    hourly = bool(records.hourly)
    encoding = Encoding(
        fixed=records.fixed,
        hourly=records.hourly,
        windows=recipe.features.windows if hourly else (),
        steps=recipe.network.steps if recipe.network else 0,
        per=recipe.features.per if hourly else {},
        decision_hour=recipe.data.decision_hour if isinstance(recipe.data, HourlyData) else None,
        notes=records.notes,
        note_width=_width(records),
        step=recipe.data.step if isinstance(recipe.data, TimelineData) else "h",
    )
    made = {name: records.examples(rows, encoding) for name, rows in parts.items()}
    return Prepared(_dataset(recipe, made), encoding)


def _width(records: Records) -> int:
    notes = records.inputs.notes
    return 0 if notes is None else notes.shape[1] // len(records.notes)


def _dataset(recipe: RecordRecipe, parts: Mapping[str, Part]) -> Dataset:
    return Dataset(
        name=recipe.data.name,
        labels=recipe.data.codings,
        train=parts["train"],
        validation=parts["validation"],
        test=parts.get("test"),
        licence=recipe.data.licence,
        source=recipe.data.source,
    )


def _patients(recipe: RecordRecipe, records: Records, parts: Mapping[str, Rows]) -> Dataset:
    """The data set with one example of each patient of a part: true where any is."""

    def part(rows: Rows) -> Part:
        ids, patient = np.unique(records.patient[rows], return_inverse=True)
        y = np.zeros((len(ids), *records.y.shape[1:]), records.y.dtype)
        np.maximum.at(y, patient, records.y[rows])
        return Part(np.zeros((len(ids), 0)), y, ids)

    return _dataset(recipe, {name: part(rows) for name, rows in parts.items()})
