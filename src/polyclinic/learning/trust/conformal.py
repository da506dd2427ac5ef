"""Conformal sets: the labels that cannot be ruled out, with a stated coverage.

Split conformal prediction with the score 1 - p(true label), "least ambiguous set-valued
classifiers" (Sadinle, Lei and Wasserman 2019). Serving needs NumPy alone.
"""

from math import ceil
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from polyclinic.core.errors import InvalidInput
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Fraction
from polyclinic.learning.labels import Labels, multi_label, truth

Method = Literal["marginal", "class-conditional"]


class Conformal(Frozen):
    """A fitted rule: a label is in the set where 1 - p(label) <= its threshold.

    `thresholds` has one value a label, in the labels' order; 1.0 means that the label is always in
    the set. The promise, `coverage`, holds on average over all inputs (`marginal`) or within each
    true label (`class-conditional`), for inputs exchangeable with the calibration examples. Of
    multi-label data: each label is in the set of that fraction of the inputs that truly have it.
    """

    method: Method
    coverage: Annotated[float, Field(gt=0.0, lt=1.0)]
    thresholds: tuple[Fraction, ...]

    def sets(self, probabilities: ArrayLike) -> NDArray[np.bool_]:
        """Which labels are in the set: bool (n, k) from probabilities (n, k).

        A set may be empty: no label is as likely as the true one usually is. Of multi-label data
        that is an answer: every label is ruled out.
        """
        members: NDArray[np.bool_] = 1.0 - np.asarray(probabilities) <= np.array(self.thresholds)
        return members


def fit_conformal(
    method: Method, coverage: float, probabilities: ArrayLike, y: Labels
) -> Conformal:
    """The rule that reaches `coverage`, from held-out probabilities (n, k) and labels y.

    y: (n,), or of multi-label data (n, k) bool.

    The threshold is the ceil((n + 1) * coverage)-th smallest score (Vovk, Gammerman and Shafer
    2005, section 2.2); a label with too few examples for that is always in the set. Raises
    `InvalidInput` where coverage is not between 0 and 1, or multi-label data is to be covered
    marginally: an input without a true label has nothing to cover.
    """
    if not 0.0 < coverage < 1.0:
        raise InvalidInput(f"Coverage must lie between 0 and 1, not {coverage}.", where="coverage")
    p = np.asarray(probabilities, dtype=np.float64)
    true = truth(y, p.shape[1])
    if method == "class-conditional":
        columns = zip(p.T, true.T, strict=True)
        thresholds = tuple(_quantile(1.0 - column[mine], coverage) for column, mine in columns)
    elif multi_label(y):
        raise InvalidInput(
            "Of multi-label data there is no marginal coverage.",
            where="conformal",
            remedy="Use class-conditional, which covers each label where it is true.",
        )
    else:
        thresholds = (_quantile(1.0 - p[true], coverage),) * p.shape[1]
    return Conformal(method=method, coverage=coverage, thresholds=thresholds)


def _quantile(scores: NDArray[np.float64], coverage: float) -> float:
    # A hair less before rounding up: 0.7 * 10 must not become the 8th for its last binary digit.
    rank = ceil((len(scores) + 1) * coverage - 1e-9)
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else 1.0
