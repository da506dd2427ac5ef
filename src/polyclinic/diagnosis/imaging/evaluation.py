"""How good an image model is on a set of pictures: the figures of its card."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.core.evaluation import CorruptionResult, Evaluation, Robustness
from polyclinic.diagnosis.evaluation import measure, read_reference, shift_note
from polyclinic.diagnosis.imaging.classifier import ImageClassifier, ImageScores
from polyclinic.diagnosis.imaging.corruptions import corruptions
from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.learning.prepare.dataset import Dataset, Part
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

#: At most so many pictures of a part are corrupted: each is, in thirty ways.
CORRUPTED = 1000


def evaluate(
    model: ImageClassifier,
    dataset: Dataset,
    part: Part,
    part_name: Literal["validation", "test", "external"],
    notes: Sequence[str] = (),
) -> Evaluation:
    """Every figure of `model` on one `part` of `dataset`."""
    return _evaluate(model, model.score(part.x), dataset, part, part_name, notes)


def _evaluate(
    model: ImageClassifier,
    scores: ImageScores,
    dataset: Dataset,
    part: Part,
    part_name: Literal["validation", "test", "external"],
    notes: Sequence[str],
) -> Evaluation:
    measured = measure(
        model,
        model.spec,
        scores,
        part,
        dataset=dataset.name,
        digest=dataset.digest(),
        part_name=part_name,
        notes=notes,
    )
    return measured.model_copy(update={"robustness": _robustness(model, part)})


def _robustness(model: ImageClassifier, part: Part) -> Robustness:
    """The balanced error under every corruption, on a part's pictures, evenly chosen of many."""
    chosen = np.unique(np.linspace(0, len(part) - 1, min(len(part), CORRUPTED)).astype(np.int64))
    x, truth = part.x[chosen], part.truth(len(model.labels))[chosen]
    findings = [
        index for index, label in enumerate(model.labels) if label.code in model.spec.findings
    ]
    thresholds = np.array(
        [model.spec.deciding(model.labels[index].code).threshold for index in findings]
    )

    def error(pictures: NDArray[np.uint8]) -> float:
        present = model.score(pictures).probabilities[:, findings] >= thresholds
        return balanced_error(present, truth[:, findings])

    return Robustness(
        examples=len(chosen),
        clean=error(x),
        corrupted=tuple(
            CorruptionResult(kind=kind, strength=strength, balanced_error=error(pictures))
            for kind, strength, pictures in corruptions(x)
        ),
    )


def balanced_error(present: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """1 less balanced accuracy of calls (n, f) of f findings: the mean over findings.

    What a finding has no example of, true or not, is left out.
    """
    errors = []
    for called, true in zip(present.T, truth.T, strict=True):
        sides = [
            np.mean(called[true == side] != side) for side in (False, True) if (true == side).any()
        ]
        errors.append(np.mean(sides))
    return float(np.mean(errors))


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
        path,
        model.labels,
        size=spec.size,
        channels=spec.channels,
        seed=manifest.seed,
        multi_label=spec.multi_label,
        subgroups=spec.subgroups,
    )
    dataset = found.dataset
    if dataset.test is None:
        raise InvalidInput("The data has no test part.", where=str(path))
    own = dataset.test.digest() == manifest.data.part_digests.get("test")
    if own:
        registry.open_test(version, manifest.data.digest, by)
    scores = model.score(dataset.test.x)
    notes = [
        *(issue.detail for issue in found.issues),
        *shift_note(read_reference(registry, version), scores.features, "pictures"),
    ]
    part_name: Literal["test", "external"] = "test" if own else "external"
    evaluation = _evaluate(model, scores, dataset, dataset.test, part_name, notes)
    if own:
        its_own = {"dataset": manifest.data.name, "dataset_digest": manifest.data.digest}
        evaluation = evaluation.model_copy(update=its_own)
    registry.record_evaluation(version, evaluation)
    return evaluation
