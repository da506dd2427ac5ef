"""How good a model was on one set of data: the figures of a model card."""

from datetime import datetime
from typing import Literal

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Fraction


class Estimate(Frozen):
    """A measured value with its 95% bootstrap confidence interval."""

    value: float
    low: float
    high: float


class OperatingPoint(Frozen):
    """A threshold on one label's calibrated probability, and the rule that chose it.

    `label` is the label's code. The label is called present where probability >= threshold.
    """

    name: str
    label: str
    threshold: Fraction


class OperatingPointResult(Frozen):
    """What an operating point does; `chosen` marks the one that the recipe named beforehand.

    `metrics` has `accuracy`, `balanced_accuracy`, `sensitivity`, `specificity`, `ppv`, `npv`, `f1`;
    one that is undefined on this data (no positive, say) is left out.
    """

    point: OperatingPoint
    chosen: bool
    metrics: dict[str, Estimate]


class ReliabilityBin(Frozen):
    """Inputs of similar predicted probability: how often the finding was truly there."""

    probability: Fraction
    observed: Fraction
    count: int


class ConformalResult(Frozen):
    """What the conformal sets did, against the coverage that they promise."""

    method: str
    promised: Fraction
    coverage: Estimate
    coverage_by_label: dict[str, Estimate]
    mean_size: Estimate
    single_label: Estimate


class SubgroupResult(Frozen):
    """The same figures within one subgroup, such as attribute `sex`, value `female`."""

    attribute: str
    value: str
    examples: int
    metrics: dict[str, Estimate]


class Evaluation(Frozen):
    """Every figure measured on one part of one data set.

    `part` is `validation` (thresholds and calibration were chosen on it), `test` (the data set's
    own held-out part, opened by a logged command) or `external` (any other data). `metrics` has
    `auc`, `auprc`, `accuracy`, `brier`, `ece` and `log_loss`; accuracy is that of the likeliest
    label. `notes` say what a reader must know to read the figures rightly.
    """

    dataset: str
    dataset_digest: str
    part: Literal["validation", "test", "external"]
    time: datetime
    examples: int
    patients: int | None
    label_counts: dict[str, int]
    metrics: dict[str, Estimate]
    reliability: tuple[ReliabilityBin, ...]
    operating_points: tuple[OperatingPointResult, ...]
    conformal: ConformalResult
    abstained: Estimate
    unfamiliar: Estimate
    subgroups: tuple[SubgroupResult, ...] = ()
    notes: tuple[str, ...] = ()
