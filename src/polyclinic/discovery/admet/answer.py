"""The answer about a molecule: every endpoint, how sure, how usual, and who says so."""

from pydantic import Field

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding, Familiarity, Provenance


class EndpointAnswer(Frozen):
    """One endpoint's value, in `unit`.

    spread: the standard deviation among the networks, before bounds. percentile: the per cent of
    approved drugs with a lower value. unbounded: what the networks said, where that is not
    physically possible and `value` is the bound. note: why it is not to be leaned on.
    """

    coding: Coding
    group: str
    value: float
    unit: str
    means: str = ""
    spread: float
    percentile: float = Field(ge=0, le=100)
    unbounded: float | None = None
    note: str | None = None


class AdmetAnswer(Frozen):
    """All endpoints of a molecule, in the model's order.

    familiarity: how usual the molecule looks to the networks among approved drugs, for what they
    were trained on is not at hand. Where it is not, `abstained` says so, and the values are to be
    read as unreliable.
    """

    endpoints: tuple[EndpointAnswer, ...]
    familiarity: Familiarity
    abstained: str | None = None
    warnings: tuple[str, ...] = ()
    provenance: Provenance
