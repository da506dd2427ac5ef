"""A site's prevalence at work: probabilities and thresholds as they are where a label is rarer."""

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.evaluation import OperatingPoint
from polyclinic.core.prediction import Coding, Reweighting
from polyclinic.learning.trust.label_shift import reweight
from polyclinic.learning.trust.operating_points import parse_operating_point


class Site:
    """Where a model answers, as far as its probabilities are concerned."""

    def __init__(self, reweighting: Reweighting, labels: tuple[Coding, ...]) -> None:
        self.reweighting = reweighting
        self._source = np.array([reweighting.source_prevalence[label.code] for label in labels])
        self._here = np.array([reweighting.prevalence[label.code] for label in labels])

    def reweighted(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities (n, k) as they are here."""
        return reweight(probabilities, self._source, self._here)

    def threshold(self, point: OperatingPoint) -> float:
        """The operating point's threshold on probabilities as they are here.

        A point chosen for its sensitivity and specificity moves along with the probabilities, and
        so keeps both (for two labels exactly). `argmax` stays at 0.5: of two labels it calls that
        which is likelier here.
        """
        rule, _ = parse_operating_point(point.name)
        if rule == "argmax":
            return point.threshold
        source = self.reweighting.source_prevalence[point.label]
        here = self.reweighting.prevalence[point.label]
        present = point.threshold * here * (1 - source)
        absent = (1 - point.threshold) * (1 - here) * source
        return present / (present + absent) if present + absent else point.threshold
