"""Operating points: the probability from which on a finding is called present."""

import re
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.core.evaluation import OperatingPoint

Rule = Literal["argmax", "youden", "sensitivity", "specificity"]

_WITH_TARGET = re.compile(r"(sensitivity|specificity)@(0?\.\d+|1(?:\.0+)?)")


def parse_operating_point(name: str) -> tuple[Rule, float]:
    """The rule that `name` names, and its target (0.5 for `argmax`, 0 where there is none).

    Names are `argmax`, `youden`, `sensitivity@S` and `specificity@S`, with 0 < S <= 1. Raises
    `InvalidInput` for any other.
    """
    if name == "argmax":
        return "argmax", 0.5
    if name == "youden":
        return "youden", 0.0
    match = _WITH_TARGET.fullmatch(name)
    if match is None or float(match[2]) == 0.0:
        raise InvalidInput(
            f"There is no operating point {name!r}.",
            where="operating point",
            remedy="Use argmax, youden, sensitivity@S or specificity@S, such as sensitivity@0.95.",
        )
    return ("sensitivity" if match[1] == "sensitivity" else "specificity"), float(match[2])


def choose_operating_point(
    name: str, label_code: str, probability: ArrayLike, present: NDArray[np.bool_]
) -> OperatingPoint:
    """The threshold for one label against the rest, from held-out data.

    probability: (n,) calibrated; present: (n,) whether the label is true. Thresholds lie half-way
    between neighbouring probabilities seen.

    - `argmax`: 0.5, which with two labels calls the likelier one.
    - `youden`: the greatest sensitivity + specificity (Youden 1950); of equals the lowest, since a
      missed finding costs more than a second look.
    - `sensitivity@S`: the highest threshold that reaches S; one always does.
    - `specificity@S`: the lowest threshold that reaches S; where examples without the label have
      probability 1, none may, and the threshold is 1.

    Raises `InvalidInput` for an unknown name, or where a rule but `argmax` lacks an example with or
    without the label.
    """
    rule, target = parse_operating_point(name)
    if rule == "argmax":
        return OperatingPoint(name=name, label=label_code, threshold=target)
    if present.all() or not present.any():
        raise InvalidInput(
            f"{name} needs examples with and without label {label_code}.",
            where="operating point",
            remedy="Give the validation part examples of both.",
        )
    thresholds, sensitivity, specificity = _curve(np.asarray(probability, np.float64), present)
    if rule == "youden":
        # Rounded, so that equal sums compare equal in spite of their last binary digit.
        chosen = int(np.argmax(np.round(sensitivity + specificity, 12)))
    elif rule == "sensitivity":
        chosen = int(np.flatnonzero(sensitivity >= target)[-1])
    else:
        reached = np.flatnonzero(specificity >= target)
        chosen = int(reached[0]) if reached.size else -1
    return OperatingPoint(name=name, label=label_code, threshold=float(thresholds[chosen]))


def _curve(
    p: NDArray[np.float64], present: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Rising thresholds, and the sensitivity and specificity of calling p >= threshold."""
    seen = np.unique(np.concatenate([[0.0], p, [1.0]]))
    thresholds = np.concatenate([[0.0], (seen[1:] + seen[:-1]) / 2, [1.0]])
    with_label, without = np.sort(p[present]), np.sort(p[~present])
    missed = np.searchsorted(with_label, thresholds, side="left")
    cleared = np.searchsorted(without, thresholds, side="left")
    return thresholds, (len(with_label) - missed) / len(with_label), cleared / len(without)
