"""The prediction contract: every answer of every department says these five things.

What is it (coded findings), how sure (calibrated probability, conformal set, abstention), have
you seen this before (familiarity), why (explanation), and who says so (provenance).
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from polyclinic.core.frozen import Frozen

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Coding(Frozen):
    """A concept in a code system, as in FHIR R4 `Coding` (datatypes, section 2.24.0.5).

    `system` is a URI, such as `http://hl7.org/fhir/sid/icd-10-cm`.
    """

    system: str
    code: str
    display: str


class Finding(Frozen):
    """One coded outcome, its calibrated probability, and whether it passes the operating point."""

    coding: Coding
    probability: Fraction
    present: bool
    operating_point: str
    threshold: Fraction


class ConformalSet(Frozen):
    """The labels that cannot be ruled out; it holds the truth with probability `coverage`.

    `method` is `marginal` (over all inputs) or `class-conditional` (within each true class). The
    promise is for inputs exchangeable with those it was calibrated on.
    Source: Vovk, Gammerman and Shafer 2005, Algorithmic Learning in a Random World, chapters 2, 4.
    """

    method: Literal["marginal", "class-conditional"]
    coverage: Fraction
    labels: tuple[Coding, ...]


class Familiarity(Frozen):
    """How usual the input is among what the model was made from.

    `p_value` is the fraction of held-out, in-distribution inputs at least as unusual as this one;
    an input at or below `alpha` is unfamiliar, which happens to that fraction of usual inputs.
    """

    p_value: Fraction
    alpha: Fraction

    @property
    def familiar(self) -> bool:
        """Whether the input is as usual as all but the fraction `alpha` of known inputs."""
        return self.p_value > self.alpha


class Explanation(Frozen):
    """A picture or text that shows what the answer rests on; `content` is base64."""

    method: str
    finding: Coding
    media_type: str
    content: str


class Reweighting(Frozen):
    """Probabilities re-weighted by Bayes' rule from one prevalence to that of the model's site.

    Both prevalences are by label code. `method` says how the site's was found from `examples`
    inputs, estimated without their labels or counted by them, and `time` when.
    Source: Saerens, Latinne and Decaestecker 2002, Neural Computation 14(1), equation 2.4.
    """

    source_prevalence: dict[str, Fraction]
    prevalence: dict[str, Fraction]
    method: Literal["em", "bbse", "counted"]
    examples: int
    time: datetime

    @property
    def words(self) -> str:
        """The prevalences in a line."""
        return ", ".join(
            f"{code} {self.source_prevalence[code]:.1%} → {here:.1%}"
            for code, here in self.prevalence.items()
        )


class ModelIdentity(Frozen):
    """Which model: its name, its version (the digest's first 12 digits), its SHA-256 digest."""

    name: str
    version: str
    digest: str


class Provenance(Frozen):
    """Who says so: the same triple stands in the answer, the audit log and the model card."""

    model: ModelIdentity
    input_digest: str
    time: datetime


class Prediction(Frozen):
    """One model's whole answer about one input.

    `findings` are ordered by falling probability; `reweighting` marks probabilities that are
    re-weighted to a site's prevalence, which conformal set and familiarity never are. Where the
    model abstains, `abstained` gives the reason, and the findings are to be read as unreliable.
    `warnings` say what a reader must know of the input: that it was enlarged, say, or which of its
    frames was read.
    """

    findings: tuple[Finding, ...]
    conformal_set: ConformalSet
    familiarity: Familiarity
    abstained: str | None
    warnings: tuple[str, ...] = ()
    reweighting: Reweighting | None = None
    explanation: Explanation | None = None
    provenance: Provenance
