"""What the treatment department answers: treatments in order, and why, and what speaks against."""

from typing import Literal

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding, Familiarity, Fraction, Provenance
from polyclinic.treatment.safety.finding import SafetyFinding


class Reason(Frozen):
    """One of the patient's own facts; `weight` is what the score would lose without it.

    In log-odds of being ordered, or in the units of what is expected; below 0 it speaks against.
    """

    fact: str
    kind: str
    weight: float


class Alike(Frozen):
    """Of so many patients of the training data that are most alike, how many had the treatment.

    Alike in the conditions and treatments that are known. `ordered` is None where it is 1 to 4: so
    few are not told. `summary` describes all of them.
    """

    patients: int
    ordered: int | None
    summary: str


class Expected(Frozen):
    """What to expect of a treatment: `value`, in `unit`, and an interval of `coverage`.

    `what` says of what: a score on its scale, or a benefit over the other arms.
    """

    what: str
    value: float
    low: float
    high: float
    coverage: Fraction
    unit: str


class Recommended(Frozen):
    """One treatment. It has a `probability` of being ordered, or what is `expected` of it.

    `in_set`: the treatment set holds it. `current`: the patient takes it already. `would_change`
    tells what would take it off its place.
    """

    coding: Coding
    also: tuple[Coding, ...] = ()
    probability: Fraction | None = None
    expected: Expected | None = None
    in_set: bool
    current: bool
    safety: tuple[SafetyFinding, ...] = ()
    reasons: tuple[Reason, ...] = ()
    alike: Alike | None = None
    would_change: tuple[str, ...] = ()


class TreatmentSet(Frozen):
    """It holds what will be ordered, or the best arm, with `coverage`, as `method` says.

    `risk-controlled`: on average over patients that share of a visit's orders of treatments that
    the model knows, together with what was vetoed, which is not in it. `interval`: every arm whose
    interval reaches the best one's.
    """

    method: Literal["risk-controlled", "interval"]
    coverage: Fraction
    treatments: tuple[Coding, ...]


class Recommendation(Frozen):
    """One patient's whole answer.

    `treatments`: those of the set first, of these the ones without a safety warning first, then by
    score; `vetoed`: what the safety rules took out on the way to them, or of the set. `taken`: what
    they say of what the patient takes already, whether or not the model knows it. `basis` says what
    the model learnt from. `knowledge` is the version of the safety knowledge.
    """

    treatments: tuple[Recommended, ...]
    vetoed: tuple[Recommended, ...]
    taken: tuple[SafetyFinding, ...] = ()
    treatment_set: TreatmentSet | None
    familiarity: Familiarity | None
    abstained: str | None
    warnings: tuple[str, ...] = ()
    basis: str
    knowledge: str
    provenance: Provenance


class Checked(Frozen):
    """What the safety rules say of one medication list, the vetoes first.

    `checked`: the drugs that the list was read as; `unknown`: what no rule can speak of, for the
    formulary does not know it. `limits` says what no finding does not mean.
    """

    findings: tuple[SafetyFinding, ...]
    checked: tuple[Coding, ...]
    unknown: tuple[str, ...]
    warnings: tuple[str, ...]
    limits: str
    knowledge: str
