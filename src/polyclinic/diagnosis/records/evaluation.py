"""How good a model of records is on a set of them: the figures of its card."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.core.evaluation import Estimate, Evaluation, SubgroupResult
from polyclinic.diagnosis.answers import Scores
from polyclinic.diagnosis.evaluation import measure, read_reference, shift_note
from polyclinic.diagnosis.records.checks import check_records
from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.faithfulness import faithfulness
from polyclinic.diagnosis.records.parting import parted
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.records import BEFORE, HOURS, Records, one_each
from polyclinic.diagnosis.records.source import read_records
from polyclinic.learning.evaluate.bootstrap import bootstrap
from polyclinic.learning.evaluate.metrics import ratio
from polyclinic.learning.prepare.dataset import Part
from polyclinic.learning.recipe import parse_recipe
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

#: Resamples of the bootstrap: of many examples fewer, which take as long.
FEW, MANY = 400, 2000
LARGE = 5000

Floats = NDArray[np.float64]


def evaluate(
    model: RecordClassifier,
    part: Part,
    dataset: str,
    digest: str,
    part_name: Literal["validation", "test", "external"],
    notes: Sequence[str] = (),
) -> Evaluation:
    """Every figure of `model` on one part of a data set, with intervals over patients.

    Where an onset is known, metrics that end in `_before_onset` are of the hours before it, those
    in `_after_onset` of the hours after it, of which only patients with an onset have any; and
    alarms are counted a patient-day before it: `alarm_hours` are hours above the deciding
    threshold, `alarms` the runs of them. What evidence is worth is told by `faithfulness`.
    """
    scores = model.score(part.x)
    resamples = MANY if len(part) < LARGE else FEW
    measured = measure(
        model,
        model.spec,
        scores,
        part,
        dataset=dataset,
        digest=digest,
        part_name=part_name,
        notes=notes,
        resamples=resamples,
    )
    # Hours are no group of people: their figures stand beside those of all hours.
    people = tuple(group for group in measured.subgroups if group.attribute != HOURS)
    metrics = dict(measured.metrics)
    for group in measured.subgroups:
        if group.attribute == HOURS:
            ending = group.value.replace(" ", "_")
            metrics |= {f"{name}_{ending}": value for name, value in group.metrics.items()}
    if HOURS in part.subgroups:
        metrics |= _alarms(model, part, scores, resamples)
    metrics |= faithfulness(model, part, resamples)
    notes = (*measured.notes, *_worst_group(people, metrics))
    return measured.model_copy(update={"metrics": metrics, "subgroups": people, "notes": notes})


def _alarms(
    model: RecordClassifier, part: Part, scores: Scores, resamples: int
) -> dict[str, Estimate]:
    """Alarms a patient-day in the hours before an onset, by the deciding point."""
    finding = model.spec.findings[0]
    column = [label.code for label in model.labels].index(finding)
    rows = part.subgroups[HOURS] == BEFORE
    called = (scores.probabilities[:, column] >= model.spec.deciding(finding).threshold)[rows]
    patients = np.arange(len(part)) if part.patient is None else part.patient
    patient = patients[rows]
    # A run begins where the hour before, of the same patient, was below the threshold.
    goes_on = np.concatenate([[False], called[:-1] & (patient[1:] == patient[:-1])])
    begins = called & ~goes_on

    def a_day(weights: Floats) -> dict[str, Floats]:
        hours = weights.sum(axis=-1)
        counts = {"alarms": begins, "alarm_hours": called}
        return {
            f"{name}_per_patient_day": 24 * ratio(weights @ counted.astype(np.float64), hours)
            for name, counted in counts.items()
        }

    return bootstrap(a_day, patient, resamples)


def _worst_group(
    groups: Sequence[SubgroupResult], metrics: Mapping[str, Estimate]
) -> Iterator[str]:
    """A note that names the group that the model serves worst, by its AUC."""
    whole = metrics.get("auc")
    areas = [(group.metrics["auc"], group) for group in groups if "auc" in group.metrics]
    if whole is None or not areas:
        return
    area, worst = min(areas, key=lambda pair: pair[0].value)
    yield (
        f"Served worst by AUC: {worst.attribute} {worst.value} ({worst.examples:,} examples), "
        f"{area.value:.3f} ({area.low:.3f} to {area.high:.3f}), against {whole.value:.3f} of all."
    )


def evaluate_file(registry: Registry, version: ModelVersion, path: Path, by: str) -> Evaluation:
    """The figures of a registered model on records, recorded in its card.

    Where the test part that the model's recipe deals out of `path` is that of the model's own data,
    it is opened by this: the opening is logged, with `by` whom, before anything is measured. Of
    other data all is measured, as `external`.
    Raises `InvalidInput` where the data cannot be read as the model's own was.
    """
    manifest = version.manifest
    model = RecordClassifier.load(registry, version)
    recipe = parse_recipe(yaml.safe_load(manifest.recipe), RecordRecipe, str(version))
    found = read_records(path, recipe.data)
    records, encoding = model.embedded(found.plausible()), model.spec.encoding
    everything = np.arange(len(records.y))
    test = _own_test(records, recipe, manifest.data.part_digests)
    if test is not None:
        registry.open_test(version, manifest.data.digest, by)
        part = records.examples(test, encoding)
        evaluation = evaluate(model, part, manifest.data.name, manifest.data.digest, "test")
    else:
        issues = (*found.issues, *check_records(found, everything))
        part = records.examples(everything, encoding)
        # Hours of one patient are much alike: one of each stands for what is usual.
        usual = model.score(one_each(part).x)
        notes = [
            *(f"{each.where}: {each.detail}" for each in issues),
            *shift_note(read_reference(registry, version), usual.features, "records"),
        ]
        name = path.resolve()
        called = f"{name.parent.name}/{name.name}"
        evaluation = evaluate(model, part, called, part.digest(), "external", notes)
    registry.record_evaluation(version, evaluation)
    return evaluation


def _own_test(
    records: Records, recipe: RecordRecipe, digests: Mapping[str, str]
) -> NDArray[np.int64] | None:
    """The rows of the model's own test part, where this is the model's own data.

    Raises `InvalidInput` where it is, but it has no test part.
    """
    try:
        parts = parted(records, recipe.seed)
    except InvalidInput:  # too few of a label to be dealt out: then it is no data of a model
        return None
    own = {name for name, rows in parts.items() if records.digest(rows) == digests.get(name)}
    if own and "test" not in own:
        raise InvalidInput("The model's own data has no test part here.")
    return parts["test"] if own else None
