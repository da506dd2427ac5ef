"""What turns scores of treatments into answers."""

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Fraction
from polyclinic.learning.trust.calibration import Calibration
from polyclinic.learning.trust.risk_control import RiskControl
from polyclinic.treatment.orders.encoding import Vocabulary
from polyclinic.treatment.orders.models.settings import ModelSettings

KIND = "treatment.orders"
FAMILIARITY_FILE = "familiarity.safetensors"


class OrdersSpec(Frozen):
    """The department's own part of a manifest.

    calibration: of all pairs of a visit and a treatment alike. sets: on log-odds. cut: the log-odds
    from which a treatment counts as recommended in figures of sets. facts: with fewer pieces of
    evidence the model abstains. knowledge: the version of the safety knowledge at training.
    """

    vocabulary: Vocabulary
    model: ModelSettings
    calibration: Calibration
    sets: RiskControl
    cut: float
    familiarity_alpha: Fraction
    facts: int
    simulated: bool
    knowledge: str

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrated probabilities (n, m) of log-odds (n, m)."""
        flat = self.calibration.apply(two_sided(logits.ravel()))[:, 1]
        return np.asarray(flat.reshape(logits.shape))


def two_sided(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Log-odds (n,) as logits of absence and presence (n, 2)."""
    return np.column_stack([np.zeros(len(logits)), np.asarray(logits, np.float64)])
