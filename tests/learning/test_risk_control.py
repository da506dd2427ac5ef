"""Sets that hold, on average, the share that they promise."""

import numpy as np
import pytest

from polyclinic.core.errors import InvalidInput
from polyclinic.learning.trust.risk_control import RiskControl, covered, fit_risk_control


def drawn(rng: np.random.Generator, patients: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patients of one to three inputs of 20 labels, whose scores are alike within a patient."""
    whose = np.repeat(np.arange(patients), rng.integers(1, 4, size=patients))
    hard = rng.normal(size=patients)[whose]
    truth = rng.random((len(whose), 20)) < 0.2
    scores = rng.normal(size=truth.shape) + 2 * truth - hard[:, None] * truth
    return scores, truth, whose


@pytest.mark.parametrize("promised", [0.7, 0.9])
def test_new_patients_are_covered_as_promised_on_average(promised: float) -> None:
    rng = np.random.default_rng(0)
    reached = []
    for _ in range(200):
        control = fit_risk_control(*drawn(rng, 100), promised)
        scores, truth, whose = drawn(rng, 100)
        held = covered(control.sets(scores), truth)
        known = np.isfinite(held)
        each = np.bincount(whose[known], held[known], minlength=100)
        count = np.bincount(whose[known], minlength=100)
        reached.append((each[count > 0] / count[count > 0]).mean())
    assert np.mean(reached) == pytest.approx(promised, abs=0.02)


def test_too_few_patients_promise_nothing() -> None:
    scores, truth, whose = drawn(np.random.default_rng(0), 5)
    with pytest.raises(InvalidInput, match="too few"):
        fit_risk_control(scores, truth, whose, 0.9)
    with pytest.raises(InvalidInput, match="true label"):
        fit_risk_control(scores, np.zeros_like(truth), whose, 0.5)


def test_an_input_without_a_true_label_has_no_coverage() -> None:
    control = RiskControl(coverage=0.9, threshold=0.0)
    held = covered(control.sets(np.array([[1.0, -1], [1, 1]])), np.array([[1, 1], [0, 0]], bool))
    assert held[0] == 0.5
    assert np.isnan(held[1])
