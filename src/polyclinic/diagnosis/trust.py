"""What makes a model's scores answers, fitted on the validation part; alike for every kind."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import model_validator

from polyclinic.core.errors import InvalidInput
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding, Fraction
from polyclinic.diagnosis.answers import FAMILIARITY_FILE, SHIFT_FILE
from polyclinic.learning.labels import multi_label
from polyclinic.learning.prepare.dataset import Part
from polyclinic.learning.trust.calibration import choose_calibration
from polyclinic.learning.trust.conformal import fit_conformal
from polyclinic.learning.trust.familiarity import fit_familiarity
from polyclinic.learning.trust.operating_points import choose_operating_point, parse_operating_point
from polyclinic.learning.trust.shift_alarm import fit_shift_reference


class TrustSettings(Frozen):
    """How scores become answers; everything here is fitted on the validation part.

    `operating_point` names the one that decides, before the test part is opened; `operating_points`
    are reported. `familiarity`: an input whose p-value is not higher is unfamiliar.
    """

    calibration: tuple[Literal["temperature", "platt", "isotonic"], ...] = ("temperature",)
    operating_point: str = "youden"
    operating_points: tuple[str, ...] = ("argmax", "youden", "sensitivity@0.95", "specificity@0.95")
    conformal: Literal["marginal", "class-conditional"] = "class-conditional"
    coverage: Fraction = 0.9
    familiarity: Fraction = 0.01

    @model_validator(mode="after")
    def _decides_by_a_reported_point(self) -> "TrustSettings":
        if self.operating_point not in self.operating_points:
            raise ValueError(f"operating_points must include {self.operating_point!r}")
        for name in self.operating_points:
            try:
                parse_operating_point(name)
            except InvalidInput as error:
                raise ValueError(f"{error.detail} {error.remedy or ''}") from None
        return self


def fit_answers(
    trust: TrustSettings,
    labels: Sequence[Coding],
    findings: tuple[str, ...],
    held_out: Part,
    logits: NDArray[np.floating],
    *,
    ordinal: bool,
    seed: int,
) -> dict[str, Any]:
    """The fields of an `AnswerSpec`, from the logits (m, k) of the held-out part."""
    y, truth = held_out.y, held_out.truth(len(labels))
    calibration, _ = choose_calibration(logits, y, trust.calibration, seed=seed)
    probabilities = calibration.apply(logits)
    return {
        "findings": findings,
        "multi_label": multi_label(y),
        "ordinal": ordinal,
        "calibration": calibration,
        "operating_points": tuple(
            choose_operating_point(name, label.code, probabilities[:, index], truth[:, index])
            for name in trust.operating_points
            for index, label in enumerate(labels)
            if label.code in findings
        ),
        "decides": trust.operating_point,
        "conformal": fit_conformal(trust.conformal, trust.coverage, probabilities, y),
        # Among n held-out inputs no p-value is below 1 / (n + 1).
        "familiarity_alpha": max(trust.familiarity, 1 / (len(y) + 1)),
    }


def fit_usual(
    train: Part,
    held_out: Part,
    train_features: NDArray[np.floating],
    held_out_features: NDArray[np.floating],
    held_out_probabilities: NDArray[np.float64],
) -> dict[str, bytes]:
    """The files that know what is usual: familiarity, and the reference of the shift alarm.

    Features are (n, d) of training and (m, d) of held-out inputs, probabilities (m, k).
    """
    familiarity = fit_familiarity(train_features, train.y, held_out_features)
    shift = fit_shift_reference(
        train_features, held_out_features, held_out_probabilities, held_out.y
    )
    return {
        FAMILIARITY_FILE: safetensors.numpy.save(familiarity.to_arrays()),
        SHIFT_FILE: safetensors.numpy.save(shift.to_arrays()),
    }
