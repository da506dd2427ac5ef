"""Shift at a site, told from its records, with or without their labels."""

from pathlib import Path

import numpy as np
import yaml

from polyclinic.core.errors import InvalidInput
from polyclinic.diagnosis.records.checks import check_records
from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.records import one_each
from polyclinic.diagnosis.records.source import read_records
from polyclinic.diagnosis.shift import SiteShift, needed_reference, site_shift
from polyclinic.learning.prepare.dataset import Part
from polyclinic.learning.recipe import parse_recipe
from polyclinic.learning.trust.counted_prevalence import CountedPrevalence, count_prevalence
from polyclinic.learning.trust.label_shift import Method
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion


def records_shift(
    registry: Registry,
    version: ModelVersion,
    path: Path,
    method: Method = "em",
    *,
    labels: bool = False,
) -> SiteShift:
    """How the records of a site, in the layout of the model's own, differ from its held-out ones.

    One example a patient is compared. With `labels` prevalence is counted, of all examples; without
    it the labels are not looked at, though a source must have them to be read.
    Raises `InvalidInput` where there are fewer than two patients, or too few of a label, `NotFound`
    where the version has no reference to compare with, and `UnsupportedInput` of labels to be
    counted that do not exclude each other.
    """
    model = RecordClassifier.load(registry, version)
    reference = needed_reference(registry, version)
    recipe = parse_recipe(yaml.safe_load(version.manifest.recipe), RecordRecipe, str(version))
    found = read_records(path, recipe.data)
    everything = np.arange(len(found.y))
    part = model.embedded(found.plausible()).examples(everything, model.spec.encoding)
    each = one_each(part)
    if len(each) < 2:
        raise InvalidInput("Two patients are needed at the least.", where=str(path))
    issues = (*found.issues, *check_records(found, everything))
    return site_shift(
        model,
        model.spec,
        reference,
        model.score(each.x),
        what="records",
        method=method,
        counted=_counted(version, model, part) if labels else None,
        notes=[f"{issue.where}: {issue.detail}" for issue in issues],
    )


def _counted(version: ModelVersion, model: RecordClassifier, part: Part) -> CountedPrevalence:
    """The prevalence in a part, against that in the validation part, which calibrated the model."""
    validation = version.manifest.validation
    counts = [validation.label_counts.get(label.code, 0) for label in model.labels]
    patient = np.arange(len(part)).astype(np.str_) if part.patient is None else part.patient
    source = np.array(counts) / validation.examples
    return count_prevalence(model.score(part.x).probabilities, part.y, patient, source)
