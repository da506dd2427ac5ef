"""Shift at a site: what its pictures, without labels, say of prevalence and of all else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import Conflict, InvalidInput, NotFound, PolyclinicError
from polyclinic.core.prediction import Coding, Reweighting
from polyclinic.core.settings import settings
from polyclinic.diagnosis.evaluation import read_reference
from polyclinic.diagnosis.imaging.classifier import ImageClassifier, ImageScores
from polyclinic.diagnosis.imaging.gate import admit
from polyclinic.diagnosis.imaging.reader import open_picture
from polyclinic.learning.trust.label_shift import (
    ALARM,
    Method,
    PrevalenceEstimate,
    estimate_prevalence,
)
from polyclinic.learning.trust.minimum_error import MIN_SCORES, minimum_error_threshold
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

BATCH = 256
#: With fewer pictures the test for anything but prevalence has hardly any power.
MIN_APPLIED = 100


@dataclass(frozen=True)
class MinimumError:
    """Where the scores of a site part into two groups (`minimum_error_threshold`).

    threshold: on the finding's probability, as the model was calibrated. share: of the pictures, at
    or above it.
    """

    finding: str
    threshold: float
    share: float


@dataclass(frozen=True)
class SiteShift:
    """What was found at a site.

    estimate: None for labels that do not exclude each other, of which no prevalence is estimated.
    minimum_error: for two labels, what the shape of the site's scores alone suggests.
    alarm_p_value: whether the pictures differ at all from the held-out ones. refused: why each
    picture that the model does not read was left out.
    """

    labels: tuple[Coding, ...]
    pictures: int
    unfamiliar: int
    alarm_p_value: float
    estimate: PrevalenceEstimate | None
    minimum_error: MinimumError | None
    refused: dict[str, str]

    @property
    def alarm(self) -> bool:
        """Whether the site's pictures differ from the held-out ones."""
        return self.alarm_p_value <= ALARM

    def reweighting(self) -> Reweighting:
        """What re-weights the model's probabilities to this site.

        Each label is counted once more than was estimated (Laplace's rule of succession): what a
        few pictures do not show is rare there, not impossible. Raises `Conflict` where something
        else than prevalence changed, for then the estimate is wrong, or there are too few pictures
        to tell, and where labels do not exclude each other.
        """
        estimate = self.estimate
        if estimate is None:
            raise Conflict(
                "Several labels can be true at once: a site's prevalence is not estimated.",
                remedy="Measure the model on labelled pictures of the site.",
            )
        if estimate.examples < MIN_APPLIED:
            raise Conflict(
                f"{estimate.examples} pictures are too few to tell what changed at the site.",
                remedy=f"Give {MIN_APPLIED} or more.",
            )
        if not estimate.trusted:
            raise Conflict(
                "More than the labels' frequencies differs here: re-weighting would mislead.",
                remedy="Look for another scanner, other patients or other processing, and measure "
                "the model on labelled pictures of the site.",
            )
        codes = [label.code for label in self.labels]
        counted = estimate.examples + len(codes)
        return Reweighting(
            source_prevalence=dict(zip(codes, estimate.source_prevalence, strict=True)),
            prevalence={
                code: (estimate.examples * share.value + 1) / counted
                for code, share in zip(codes, estimate.prevalence, strict=True)
            },
            method=estimate.method,
            examples=estimate.examples,
            time=datetime.now(UTC),
        )


def site_shift(
    registry: Registry, version: ModelVersion, paths: Sequence[Path], method: Method = "em"
) -> SiteShift:
    """How the pictures of a site, files or folders of them, differ from the model's held-out ones.

    A picture that the model does not read is left out, and named. Raises `InvalidInput` where fewer
    than two are left, `NotFound` where the version has no reference to compare with.
    """
    model = ImageClassifier.load(registry, version)
    reference = read_reference(registry, version)
    if reference is None:
        raise NotFound(
            "The model was made without a reference to compare a site with.",
            where=str(version),
            remedy="Train it anew with this release.",
        )
    refused: dict[str, str] = {}
    some_scores: list[ImageScores] = []
    files = _files(paths)
    while some := list(islice(files, BATCH)):
        pictures = list(_read(model, some, refused))
        if pictures:
            some_scores.append(model.score(np.stack(pictures)))
    found = sum(len(scores.logits) for scores in some_scores)
    if found < 2:
        raise InvalidInput(
            f"{found} pictures can be read, {len(refused)} cannot; two are needed at the least.",
            where=", ".join(map(str, paths)),
        )
    seen, probabilities, logits, p_values = (
        np.concatenate([getattr(scores, name) for scores in some_scores])
        for name in ("features", "probabilities", "logits", "p_values")
    )
    estimate = None
    if not model.spec.multi_label:
        estimate = estimate_prevalence(reference, seen, probabilities, method)
    return SiteShift(
        labels=model.labels,
        pictures=found,
        unfamiliar=int((p_values <= model.spec.familiarity_alpha).sum()),
        alarm_p_value=estimate.alarm_p_value if estimate else reference.p_value(seen),
        estimate=estimate,
        minimum_error=_minimum_error(model, logits),
        refused=refused,
    )


def _minimum_error(model: ImageClassifier, logits: NDArray[np.floating]) -> MinimumError | None:
    """For two exclusive labels and enough pictures."""
    spec = model.spec
    if spec.multi_label or len(model.labels) != 2 or len(logits) < MIN_SCORES:
        return None
    finding = next(i for i, label in enumerate(model.labels) if label.code in spec.findings)
    log_odds = np.asarray(logits[:, finding] - logits[:, 1 - finding], dtype=np.float64)
    cut = minimum_error_threshold(log_odds)
    at = np.zeros((1, 2))
    at[0, finding] = cut
    return MinimumError(
        finding=model.labels[finding].code,
        threshold=float(spec.calibration.apply(at)[0, finding]),
        share=float((log_odds >= cut).mean()),
    )


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """Every file, and every file in a folder that is not hidden."""
    for path in paths:
        if not path.exists():
            raise NotFound("There is no such picture or folder.", where=str(path))
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in inside if file.is_file() and not file.name.startswith("."))


def _read(
    model: ImageClassifier, files: Sequence[Path], refused: dict[str, str]
) -> Iterator[NDArray[np.uint8]]:
    for file in files:
        try:
            picture = open_picture(file.read_bytes(), settings().max_pixels)
            admit(picture, model.spec.size, model.spec.accepts)
            yield picture.fitted(model.spec.channels, model.spec.size)
        except PolyclinicError as error:
            refused[str(file)] = error.detail
