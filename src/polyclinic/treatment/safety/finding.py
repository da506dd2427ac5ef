"""What a safety rule says of a drug for a patient."""

from typing import Literal

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding

Kind = Literal[
    "interaction",
    "allergy",
    "condition",
    "pregnancy",
    "lactation",
    "kidney",
    "liver",
    "age",
    "duplicate",
    "dose",
]
Action = Literal["veto", "warning", "unknown"]


class SafetyFinding(Frozen):
    """A rule that holds: a `veto` takes the drug out, a `warning` ranks it down.

    `unknown`: what the rule hangs on was not sent, such as kidney function; it asks, and moves
    nothing.

    because: the patient's facts, in words. severity, mechanism, management: as the knowledge has
    them. rule: the row's id; source: where it was read.
    """

    kind: Kind
    action: Action
    drug: Coding
    because: tuple[str, ...]
    severity: str
    mechanism: str
    management: str
    rule: str
    source: str
