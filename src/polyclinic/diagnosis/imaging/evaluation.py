"""How good an image model is on a set of pictures: the figures of its card."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from polyclinic.core.errors import InvalidInput
from polyclinic.core.evaluation import Evaluation
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.learning.evaluate.classification import Answers, evaluate_classification
from polyclinic.learning.prepare.dataset import Dataset, Part
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion


def evaluate(
    model: ImageClassifier,
    dataset: Dataset,
    part: Part,
    part_name: Literal["validation", "test", "external"],
    notes: Sequence[str] = (),
) -> Evaluation:
    """Every figure of `model` on one `part` of `dataset`."""
    scores = model.score(part.x)
    alpha = model.spec.familiarity_alpha
    answers = Answers(
        probabilities=scores.probabilities,
        y=part.y,
        labels=model.labels,
        p_values=scores.p_values,
        abstained=model.abstained(scores),
        patients=part.patient,
        subgroups=part.subgroups,
    )
    return evaluate_classification(
        answers,
        findings=model.spec.findings,
        operating_points=model.spec.operating_points,
        chosen=model.spec.decides,
        conformal=model.spec.conformal,
        alpha=alpha,
        dataset=dataset.name,
        dataset_digest=dataset.digest(),
        part=part_name,
        time=datetime.now(UTC),
        notes=notes,
    )


def evaluate_file(registry: Registry, version: ModelVersion, path: Path, by: str) -> Evaluation:
    """The figures of a registered model on the test part of a source, recorded in its card.

    A test part that is the one of the model's own data, whatever file it stands in, is opened by
    this: the opening is logged, with `by` whom, before anything is measured, and the card says how
    often. Other data is `external`. Pictures of another size are fitted to the model's, as they
    are when it serves.
    Raises `InvalidInput` where there is no test part, or labels are not those of the model.
    """
    model = ImageClassifier.load(registry, version)
    manifest = version.manifest
    spec = model.spec
    found = read_source(
        path, model.labels, size=spec.size, channels=spec.channels, seed=manifest.seed
    )
    dataset = found.dataset
    if dataset.test is None:
        raise InvalidInput("The data has no test part.", where=str(path))
    own = dataset.test.digest() == manifest.data.part_digests.get("test")
    if own:
        registry.open_test(version, manifest.data.digest, by)
    notes = [issue.detail for issue in found.issues]
    evaluation = evaluate(model, dataset, dataset.test, "test" if own else "external", notes)
    if own:
        its_own = {"dataset": manifest.data.name, "dataset_digest": manifest.data.digest}
        evaluation = evaluation.model_copy(update=its_own)
    registry.record_evaluation(version, evaluation)
    return evaluation
