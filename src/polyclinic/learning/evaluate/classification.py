"""Every figure of a classifier on one part of one data set."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.core.evaluation import (
    ConformalResult,
    Estimate,
    Evaluation,
    OperatingPoint,
    OperatingPointResult,
    SubgroupResult,
)
from polyclinic.core.prediction import Coding
from polyclinic.learning.evaluate.bootstrap import RESAMPLES, bootstrap
from polyclinic.learning.evaluate.metrics import (
    binary_metrics,
    classification_metrics,
    mean,
    multi_label_metrics,
    ordinal_metrics,
    ratio,
    reliability,
)
from polyclinic.learning.labels import Labels, multi_label, truth
from polyclinic.learning.trust.conformal import Conformal

#: A subgroup of fewer examples is counted, not measured.
MIN_SUBGROUP = 20

#: What a subgroup says of the chosen operating point, beside `classification_metrics`.
SUBGROUP_METRICS = ("sensitivity", "specificity", "ppv", "npv")

Floats = NDArray[np.float64]
Key = tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """What a model answered on n examples, and the truth.

    probabilities: (n, k) calibrated; y: (n,) indices into `labels` (k), or of multi-label data
    (n, k) bool. p_values: (n,) of familiarity. abstained: (n,) whether the model abstained.
    patients: (n,) ids, or None where unknown. subgroups: attribute -> (n,) values. ordinal: whether
    the labels are grades, in their order.
    """

    probabilities: Floats
    y: Labels
    labels: tuple[Coding, ...]
    p_values: Floats
    abstained: NDArray[np.bool_]
    patients: NDArray[np.str_] | None = None
    subgroups: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    ordinal: bool = False

    def __post_init__(self) -> None:
        n, k = len(self.y), len(self.labels)
        columns = {
            "p_values": self.p_values,
            "abstained": self.abstained,
            **({} if self.patients is None else {"patients": self.patients}),
            **{f"subgroup {name}": values for name, values in self.subgroups.items()},
        }
        if n == 0 or self.probabilities.shape != (n, k):
            raise InvalidInput(
                f"There are {n} labels of {k} kinds, and probabilities of shape "
                f"{self.probabilities.shape}.",
                where="probabilities",
            )
        for name, values in columns.items():
            if values.shape != (n,):
                raise InvalidInput(f"{values.shape} is not the shape ({n},).", where=name)
        if not np.isfinite(self.probabilities).all():
            raise InvalidInput("A probability is not a number.", where="probabilities")
        if multi_label(self.y):
            if self.y.shape != (n, k) or self.y.dtype != np.bool_:
                raise InvalidInput(f"These are not true or false of {k} labels each.", where="y")
            if not self.y.any():
                raise InvalidInput("No label is true of any example.", where="y")
            if self.ordinal:
                raise InvalidInput(
                    "Of grades one is true at a time; here several can be.", where="y"
                )
        elif self.y.min() < 0 or self.y.max() >= k:
            raise InvalidInput(f"A label is not within 0 to {k - 1}.", where="y")

    @property
    def truth(self) -> NDArray[np.bool_]:
        """Which labels are true of each example (n, k)."""
        return truth(self.y, len(self.labels))

    def column(self, code: str) -> int:
        """The index of the label of that code. Raises `InvalidInput` where there is none."""
        for index, label in enumerate(self.labels):
            if label.code == code:
                return index
        raise InvalidInput(f"There is no label {code!r}.", where="operating point")


def evaluate_classification(
    answers: Answers,
    *,
    findings: Collection[str],
    operating_points: Sequence[OperatingPoint],
    chosen: str,
    conformal: Conformal,
    alpha: float,
    dataset: str,
    dataset_digest: str,
    part: Literal["validation", "test", "external"],
    time: datetime,
    notes: Sequence[str] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """The evaluation of answers, each figure with a 95% bootstrap interval over patients.

    `findings` are the codes of the labels that are findings ("no pneumonia" is none); with two
    labels, one of them a finding, that one is the positive label. `chosen` names the operating
    points that the recipe chose. An input is unfamiliar below `alpha`. Subgroups of fewer than
    `MIN_SUBGROUP` examples carry counts only; a label of more than one finding stands in their
    metrics' names, as in `sensitivity of CODE`. Of multi-label data coverage is of true labels, of
    which an input may have several or none. Raises `InvalidInput` where shapes disagree, or an
    operating point is not one of a finding, or none is chosen.
    """
    _check_points(operating_points, findings, chosen)
    points = [(point, answers.column(point.label)) for point in operating_points]
    groups = {
        (attribute, str(value)): values == value
        for attribute, values in answers.subgroups.items()
        for value in np.unique(values)
    }
    probabilities, y = _positive_second(answers, findings)
    present = answers.truth
    members = conformal.sets(answers.probabilities)
    size, of_each = members.sum(axis=1), present.sum(axis=1)
    covered = (members & present).sum(axis=1)
    of_finding = {code: f" of {code}" if len(findings) > 1 else "" for code in findings}

    def measure(p: Floats, true: Labels, weights: Floats) -> dict[str, Floats]:
        if multi_label(true):
            return multi_label_metrics(p, true.astype(np.bool_), weights)
        found = classification_metrics(p, true, weights)
        return found | ordinal_metrics(p, true, weights) if answers.ordinal else found

    def statistics(weights: Floats) -> dict[Key, Floats]:
        values: dict[Key, Floats] = {
            ("abstained",): mean(answers.abstained, weights),
            ("unfamiliar",): mean(answers.p_values <= alpha, weights),
            ("coverage",): ratio(mean(covered, weights), mean(of_each, weights)),
            ("size",): mean(size, weights),
            ("single",): mean(size == 1, weights),
        }
        for label, coding in enumerate(answers.labels):
            true = present[:, label]
            values["coverage of", coding.code] = mean(members[true, label], weights[..., true])
        for name, value in measure(probabilities, y, weights).items():
            values["metric", name] = value
        for point, column in points:
            called = answers.probabilities[:, column] >= point.threshold
            for name, value in binary_metrics(called, present[:, column], weights).items():
                values["point", point.name, point.label, name] = value
        for group, rows in groups.items():
            if rows.sum() < MIN_SUBGROUP:
                continue
            w = weights[..., rows]
            for name, value in measure(probabilities[rows], y[rows], w).items():
                values["group", *group, name] = value
            for point, column in points:
                if point.name == chosen:
                    called = answers.probabilities[rows, column] >= point.threshold
                    binary = binary_metrics(called, present[rows, column], w)
                    for name in SUBGROUP_METRICS:
                        values["group", *group, name + of_finding[point.label]] = binary[name]
        return values

    patients = answers.patients
    clusters = np.arange(len(y)) if patients is None else patients
    estimates = bootstrap(statistics, clusters, resamples, seed)
    return Evaluation(
        dataset=dataset,
        dataset_digest=dataset_digest,
        part=part,
        time=time,
        examples=len(y),
        patients=None if patients is None else len(np.unique(patients)),
        label_counts={
            coding.code: int(present[:, label].sum()) for label, coding in enumerate(answers.labels)
        },
        metrics=_under(estimates, "metric"),
        reliability=reliability(probabilities, y),
        operating_points=tuple(
            OperatingPointResult(
                point=point,
                chosen=point.name == chosen,
                metrics=_under(estimates, "point", point.name, point.label),
            )
            for point in operating_points
        ),
        conformal=ConformalResult(
            method=conformal.method,
            promised=conformal.coverage,
            coverage=estimates["coverage",],
            coverage_by_label=_under(estimates, "coverage of"),
            mean_size=estimates["size",],
            single_label=estimates["single",],
        ),
        abstained=estimates["abstained",],
        unfamiliar=estimates["unfamiliar",],
        subgroups=tuple(
            SubgroupResult(
                attribute=attribute,
                value=value,
                examples=int(rows.sum()),
                metrics=_under(estimates, "group", attribute, value),
            )
            for (attribute, value), rows in groups.items()
        ),
        notes=tuple(notes),
    )


def _check_points(points: Sequence[OperatingPoint], findings: Collection[str], chosen: str) -> None:
    for point in points:
        if point.label not in findings:
            raise InvalidInput(
                f"{point.name} is set on label {point.label}, which is not a finding.",
                where="operating point",
            )
    if chosen not in {point.name for point in points}:
        raise InvalidInput(f"The chosen {chosen!r} is not among the operating points.")


def _positive_second(answers: Answers, findings: Collection[str]) -> tuple[Floats, Labels]:
    """Probabilities and labels, turned round where the first of two labels is the finding."""
    codes = [label.code for label in answers.labels]
    exclusive = not multi_label(answers.y)
    if exclusive and len(codes) == 2 and codes[0] in findings and codes[1] not in findings:
        return answers.probabilities[:, ::-1], 1 - answers.y
    return answers.probabilities, answers.y


def _under(estimates: Mapping[Any, Estimate], *prefix: str) -> dict[str, Estimate]:
    return {key[-1]: value for key, value in estimates.items() if key[:-1] == prefix}
