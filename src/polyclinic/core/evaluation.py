"""How good a model was on one set of data: the figures of a model card."""

from datetime import datetime
from typing import Literal

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Fraction

#: A corruption breaks a model where its balanced error is more than this multiple of the clean one.
BREAKS = 1.5


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
    """Inputs of similar predicted probability: how often the finding was truly there.

    Of multi-label data `count` is of pairs of an input and a label.
    """

    probability: Fraction
    observed: Fraction
    count: int


class ConformalResult(Frozen):
    """What the conformal sets did, against the coverage that they promise.

    `coverage` is the share of true labels that are in their input's set: of multi-label data an
    input has several of these, or none.
    """

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


class CorruptionResult(Frozen):
    """The balanced error on inputs corrupted in one way, at a strength of 1 to 5."""

    kind: str
    strength: int
    balanced_error: Fraction


class Robustness(Frozen):
    """What corrupted inputs do to the deciding operating points.

    The balanced error is 1 less balanced accuracy, the mean over findings, on `examples` inputs;
    `clean` is that of the same inputs as they are. Corruptions are numbered by rising strength.
    """

    examples: int
    clean: Fraction
    corrupted: tuple[CorruptionResult, ...]

    def ratio(self, result: CorruptionResult) -> float:
        """The error as a multiple of the clean one; of none at all, one wrong input counts."""
        return result.balanced_error / max(self.clean, 1 / self.examples)

    @property
    def breaks(self) -> dict[str, int]:
        """By kind, the least strength at which the error passes `BREAKS`; 0 where none does."""
        kinds: dict[str, int] = {}
        for result in self.corrupted:
            kinds.setdefault(result.kind, 0)
            if not kinds[result.kind] and self.ratio(result) > BREAKS:
                kinds[result.kind] = result.strength
        return kinds


class Comparison(Frozen):
    """The same figures of another way to answer: a baseline, say, or a model not chosen.

    `group` says of which examples, such as those without a history; all where it is empty.
    """

    name: str
    group: str = ""
    examples: int
    metrics: dict[str, Estimate]


class Evaluation(Frozen):
    """Every figure measured on one part of one data set.

    `part` is `validation` (thresholds and calibration were chosen on it), `test` (the data set's
    own held-out part, opened by a logged command) or `external` (any other data). `label_counts`
    are of inputs of which the label is true. `metrics` has `auc`, `auprc`, `brier`, `ece` and
    `log_loss`, of multi-label data their means over the labels, each present or absent; and

    - where one label is true at a time `accuracy`, that of the likeliest label;
    - where labels are grades also `mean_absolute_error`, in grades, and `quadratic_kappa`, both of
      the likeliest label;
    - of multi-label data `hamming_accuracy`, how often a label is called rightly at a probability
      of 0.5, and `exact_match`, how often all labels of an input are.

    Of treatments recommended, `conformal` is of the set that is to hold what was ordered, and
    `comparisons` are all algorithms that were tried, and the baselines, on the same examples.

    `notes` say what a reader must know to read the figures rightly.
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
    conformal: ConformalResult | None
    abstained: Estimate
    unfamiliar: Estimate | None
    comparisons: tuple[Comparison, ...] = ()
    subgroups: tuple[SubgroupResult, ...] = ()
    robustness: Robustness | None = None
    notes: tuple[str, ...] = ()
