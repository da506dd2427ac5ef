"""The figures that every kind of diagnosis model has, and the note where they need not hold."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from polyclinic.core.evaluation import Evaluation
from polyclinic.diagnosis.answers import SHIFT_FILE, Answering, AnswerSpec, Scores
from polyclinic.learning.evaluate.bootstrap import RESAMPLES
from polyclinic.learning.evaluate.classification import Answers, evaluate_classification
from polyclinic.learning.prepare.dataset import Part
from polyclinic.learning.trust.label_shift import ALARM
from polyclinic.learning.trust.shift_alarm import ShiftReference
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion


def measure(
    model: Answering,
    spec: AnswerSpec,
    scores: Scores,
    part: Part,
    *,
    dataset: str,
    digest: str,
    part_name: Literal["validation", "test", "external"],
    notes: Sequence[str] = (),
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Every figure of `model`, whose scores of one part of a data set these are."""
    answers = Answers(
        probabilities=scores.probabilities,
        y=part.y,
        labels=model.labels,
        p_values=scores.p_values,
        abstained=model.abstained(scores),
        patients=part.patient,
        subgroups=part.subgroups,
        ordinal=spec.ordinal,
    )
    return evaluate_classification(
        answers,
        findings=spec.findings,
        operating_points=spec.operating_points,
        chosen=spec.decides,
        conformal=spec.conformal,
        alpha=spec.familiarity_alpha,
        dataset=dataset,
        dataset_digest=digest,
        part=part_name,
        time=datetime.now(UTC),
        notes=notes,
        resamples=resamples,
    )


def read_reference(registry: Registry, version: ModelVersion) -> ShiftReference | None:
    """The held-out inputs to compare with; None for a version that was made without.

    Raises `IntegrityError` where the file is not what the manifest says.
    """
    stored = registry.load(version).get(SHIFT_FILE)
    return None if stored is None else ShiftReference.from_arrays(safetensors.numpy.load(stored))


def shift_note(
    reference: ShiftReference | None, features: NDArray[np.floating], what: str
) -> Iterator[str]:
    """A note where `what` has features (n, d) unlike those of the inputs that promises rest on."""
    if reference is None or len(features) < 2:
        return
    p_value = reference.p_value(features)
    if p_value <= ALARM:
        yield (
            f"These {what} differ from those of the validation part (shift alarm, p = "
            f"{p_value:.3f}): calibration and coverage, fitted there, need not hold here."
        )
