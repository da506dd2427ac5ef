"""From a model's scores to predictions: what every kind of diagnosis model does alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.evaluation import OperatingPoint
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import (
    Coding,
    ConformalSet,
    Explanation,
    Familiarity,
    Finding,
    Fraction,
    ModelIdentity,
    Prediction,
    Provenance,
    Reweighting,
)
from polyclinic.diagnosis.site import Site
from polyclinic.learning.trust.calibration import Calibration
from polyclinic.learning.trust.conformal import Conformal
from polyclinic.learning.trust.familiarity import FamiliarityModel

FAMILIARITY_FILE = "familiarity.safetensors"
#: Held-out features, which a site's are compared with (`ShiftReference`).
SHIFT_FILE = "shift.safetensors"

#: Explains the input at a row for the label at an index.
Explain = Callable[[int, int], Explanation]


class AnswerSpec(Frozen):
    """What turns a model's logits and features into answers.

    findings: codes of the labels that are diseases. multi_label: whether several labels, or none,
    can be true at once. ordinal: whether the labels are grades, in their order. decides: the name
    of the operating point that calls findings present.
    """

    findings: tuple[str, ...]
    multi_label: bool = False
    ordinal: bool = False
    calibration: Calibration
    operating_points: tuple[OperatingPoint, ...]
    decides: str
    conformal: Conformal
    familiarity_alpha: Fraction

    def deciding(self, label: str) -> OperatingPoint:
        """The operating point that calls the finding `label` present."""
        return next(
            point
            for point in self.operating_points
            if point.name == self.decides and point.label == label
        )


@dataclass(frozen=True)
class Scores:
    """What a model says of n inputs, as arrays, not re-weighted.

    probabilities: (n, k), calibrated. p_values: (n,), familiarity. sets: (n, k) bool, conformal.
    features: (n, d), what familiarity and shift are judged by. logits: (n, k), before calibration.
    """

    probabilities: NDArray[np.float64]
    p_values: NDArray[np.float64]
    sets: NDArray[np.bool_]
    features: NDArray[np.floating]
    logits: NDArray[np.floating]


class Answering:
    """A model's way from scores to predictions, at its site. `what` its inputs are called."""

    def __init__(
        self,
        identity: ModelIdentity,
        labels: tuple[Coding, ...],
        spec: AnswerSpec,
        familiarity: FamiliarityModel,
        reweighting: Reweighting | None,
        what: str,
    ) -> None:
        self.identity = identity
        self.labels = labels
        self.reweighting = reweighting
        self._spec = spec
        self._familiarity = familiarity
        self._site = None if reweighting is None else Site(reweighting, labels)
        self._what = what
        self._findings = [
            (index, label, spec.deciding(label.code))
            for index, label in enumerate(labels)
            if label.code in spec.findings
        ]

    def scores(self, logits: NDArray[np.floating], features: NDArray[np.floating]) -> Scores:
        """Scores of n inputs with logits (n, k) and features (n, d)."""
        probabilities = self._spec.calibration.apply(logits)
        p_values = self._familiarity.p_values(features)
        sets = self._spec.conformal.sets(probabilities)
        return Scores(probabilities, p_values, sets, features, logits)

    def abstained(self, scores: Scores) -> NDArray[np.bool_]:
        """Where the model abstains (n,): unfamiliar inputs, and sets that leave a choice.

        With labels that exclude each other a set must hold exactly one.
        """
        unfamiliar = scores.p_values <= self._spec.familiarity_alpha
        if self._spec.multi_label:
            return unfamiliar
        undecided: NDArray[np.bool_] = scores.sets.sum(axis=1) != 1
        return undecided | unfamiliar

    def predictions(
        self,
        scores: Scores,
        digests: Sequence[str],
        explain: Explain | None = None,
        warnings: Sequence[tuple[str, ...]] | None = None,
    ) -> list[Prediction]:
        """The scores of inputs as predictions; `explain` explains the first finding of each."""
        now = datetime.now(UTC)
        probabilities = scores.probabilities
        if self._site is not None:
            probabilities = self._site.reweighted(probabilities)
        # As lists at once: taking single numbers out of arrays costs more than all the rest.
        each_probability, sets = probabilities.tolist(), scores.sets.tolist()
        p_values = scores.p_values.tolist()
        answers = []
        for row, digest in enumerate(digests):
            findings = self._ranked(each_probability[row])
            familiarity = Familiarity(p_value=p_values[row], alpha=self._spec.familiarity_alpha)
            labels = tuple(
                label for label, inside in zip(self.labels, sets[row], strict=True) if inside
            )
            explanation = None
            if explain is not None:
                explanation = explain(row, self.labels.index(findings[0].coding))
            answers.append(
                Prediction(
                    findings=findings,
                    conformal_set=ConformalSet(
                        method=self._spec.conformal.method,
                        coverage=self._spec.conformal.coverage,
                        labels=labels,
                    ),
                    familiarity=familiarity,
                    abstained=self._abstention(familiarity, labels),
                    warnings=() if warnings is None else warnings[row],
                    reweighting=self.reweighting,
                    explanation=explanation,
                    provenance=Provenance(model=self.identity, input_digest=digest, time=now),
                )
            )
        return answers

    def _ranked(self, probabilities: list[Any]) -> tuple[Finding, ...]:
        findings = []
        for index, label, point in self._findings:
            threshold = point.threshold if self._site is None else self._site.threshold(point)
            findings.append(
                Finding(
                    coding=label,
                    probability=probabilities[index],
                    present=probabilities[index] >= threshold,
                    operating_point=point.name,
                    threshold=threshold,
                )
            )
        return tuple(sorted(findings, key=lambda finding: -finding.probability))

    def _abstention(self, familiarity: Familiarity, labels: tuple[Coding, ...]) -> str | None:
        if not familiarity.familiar:
            return f"The {self._what} is unlike those that the model was made from."
        if self._spec.multi_label:
            return None
        if not labels:
            return "No label is likely enough."
        if len(labels) > 1:
            return f"{len(labels)} labels are too close to tell apart at this coverage."
        return None
