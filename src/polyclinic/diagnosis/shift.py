"""Shift at a site: what its inputs, with or without labels, say of prevalence and of all else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import Conflict, NotFound
from polyclinic.core.prediction import Coding, Reweighting
from polyclinic.diagnosis.answers import Answering, AnswerSpec, Scores
from polyclinic.diagnosis.evaluation import read_reference
from polyclinic.learning.trust.counted_prevalence import CountedPrevalence, succession
from polyclinic.learning.trust.label_shift import (
    ALARM,
    Method,
    PrevalenceEstimate,
    estimate_prevalence,
)
from polyclinic.learning.trust.minimum_error import MIN_SCORES, minimum_error_threshold
from polyclinic.learning.trust.shift_alarm import ShiftReference
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

#: With fewer inputs the test for anything but prevalence has hardly any power.
MIN_APPLIED = 100


@dataclass(frozen=True)
class MinimumError:
    """Where the scores of a site part into two groups (`minimum_error_threshold`).

    threshold: on the finding's probability, as the model was calibrated. share: of the inputs, at
    or above it.
    """

    finding: str
    threshold: float
    share: float


@dataclass(frozen=True)
class SiteShift:
    """What was found at a site.

    what: what its inputs are called, "pictures" or "records"; inputs: how many were compared.
    alarm_p_value: whether they differ at all from the held-out ones. estimate: of prevalence; None
    for labels that do not exclude each other. minimum_error: of two labels that are not counted,
    what the shape of the site's scores alone suggests. notes: what was left out or is odd, and
    where.
    """

    labels: tuple[Coding, ...]
    what: str
    inputs: int
    unfamiliar: int
    alarm_p_value: float
    estimate: PrevalenceEstimate | CountedPrevalence | None
    minimum_error: MinimumError | None
    notes: tuple[str, ...]

    @property
    def alarm(self) -> bool:
        """Whether the site's inputs differ from the held-out ones."""
        return self.alarm_p_value <= ALARM

    def reweighting(self) -> Reweighting:
        """What re-weights the model's probabilities to this site, by the rule of `succession`.

        Raises `Conflict` where it would mislead: by an estimate where something else than
        prevalence changed, or there are too few inputs to tell, by a count where re-weighted
        probabilities are no better; and where labels do not exclude each other.
        """
        estimate = self.estimate
        if estimate is None:
            raise Conflict(
                "Several labels can be true at once: a site's prevalence is not estimated.",
                remedy=f"Measure the model on labelled {self.what} of the site.",
            )
        if isinstance(estimate, CountedPrevalence):
            self._must_help(estimate)
        else:
            self._must_be_trusted(estimate)
        codes = [label.code for label in self.labels]
        shares = np.array([share.value for share in estimate.prevalence])
        here = succession(estimate.examples * shares)
        return Reweighting(
            source_prevalence=dict(zip(codes, estimate.source_prevalence, strict=True)),
            prevalence=dict(zip(codes, here.tolist(), strict=True)),
            method=estimate.method,
            examples=estimate.examples,
            time=datetime.now(UTC),
        )

    def _must_help(self, counted: CountedPrevalence) -> None:
        if not counted.helps:
            raise Conflict(
                "Re-weighting would not help here: log loss "
                f"{counted.before['log_loss'].value:.3f} → {counted.after['log_loss'].value:.3f} "
                "on patients who were not counted.",
                remedy="Leave the model as it is, or train one on data of the site.",
            )

    def _must_be_trusted(self, estimate: PrevalenceEstimate) -> None:
        if estimate.examples < MIN_APPLIED:
            raise Conflict(
                f"{estimate.examples} {self.what} are too few to tell what changed at the site.",
                remedy=f"Give {MIN_APPLIED} or more.",
            )
        if not estimate.trusted:
            raise Conflict(
                "More than the labels' frequencies differs here: re-weighting would mislead.",
                remedy="Look for other devices, other patients or other processing, and measure "
                f"the model on labelled {self.what} of the site.",
            )


def needed_reference(registry: Registry, version: ModelVersion) -> ShiftReference:
    """The held-out inputs to compare a site's with. Raises `NotFound` where there are none."""
    reference = read_reference(registry, version)
    if reference is None:
        raise NotFound(
            "The model was made without a reference to compare a site with.",
            where=str(version),
            remedy="Train it anew with this release.",
        )
    return reference


def site_shift(
    model: Answering,
    spec: AnswerSpec,
    reference: ShiftReference,
    scores: Scores,
    *,
    what: str,
    method: Method = "em",
    counted: CountedPrevalence | None = None,
    notes: Sequence[str] = (),
) -> SiteShift:
    """How independent inputs of a site, whose scores these are, differ from the held-out ones.

    Prevalence is estimated by `method` unless it is `counted`.
    """
    estimate: PrevalenceEstimate | CountedPrevalence | None = counted
    if counted is None and not spec.multi_label:
        estimate = estimate_prevalence(reference, scores.features, scores.probabilities, method)
    return SiteShift(
        labels=model.labels,
        what=what,
        inputs=len(scores.logits),
        unfamiliar=int((scores.p_values <= spec.familiarity_alpha).sum()),
        alarm_p_value=estimate.alarm_p_value
        if isinstance(estimate, PrevalenceEstimate)
        else reference.p_value(scores.features),
        estimate=estimate,
        minimum_error=None if counted else _minimum_error(model.labels, spec, scores.logits),
        notes=tuple(notes),
    )


def _minimum_error(
    labels: tuple[Coding, ...], spec: AnswerSpec, logits: NDArray[np.floating]
) -> MinimumError | None:
    """For two exclusive labels and enough inputs."""
    if spec.multi_label or len(labels) != 2 or len(logits) < MIN_SCORES:
        return None
    finding = next(i for i, label in enumerate(labels) if label.code in spec.findings)
    log_odds = np.asarray(logits[:, finding] - logits[:, 1 - finding], dtype=np.float64)
    cut = minimum_error_threshold(log_odds)
    at = np.zeros((1, 2))
    at[0, finding] = cut
    return MinimumError(
        finding=labels[finding].code,
        threshold=float(spec.calibration.apply(at)[0, finding]),
        share=float((log_odds >= cut).mean()),
    )
