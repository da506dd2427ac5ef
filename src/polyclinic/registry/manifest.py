"""What a model version is: the signed manifest."""

from typing import Annotated, Any

from pydantic import AwareDatetime, Field, ValidationError
from pydantic_core import from_json

from polyclinic.core.errors import IntegrityError
from polyclinic.core.evaluation import Evaluation
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding

NAME = r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$"
FILE = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
FORMAT = 1

Count = Annotated[int, Field(ge=0)]


class Artefact(Frozen):
    """A file of the model: its SHA-256 digest and its size in bytes."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class DataUse(Frozen):
    """The data that a model was made from.

    `parts` counts examples by part and label code, `examples` by part alone: of several labels none
    may be true of one.
    `part_digests` tell a part wherever it turns up again: the test part of one file may be that
    of another.
    """

    name: str
    digest: str
    licence: str
    source: str
    parts: dict[str, dict[str, Count]]
    examples: dict[str, Count] = Field(default_factory=dict)
    part_digests: dict[str, str] = Field(default_factory=dict)


class CardText(Frozen):
    """What only the model's makers can say; the rest of the card is generated.

    The fields are source attributes of a predictive decision support intervention
    (45 CFR 170.315(b)(11)(iv)(B), the ONC HTI-1 final rule); one left empty is printed as a gap.
    """

    title: str
    developer: str = ""
    funding: str = ""
    intended_use: str = ""
    intended_population: str = ""
    intended_users: str = ""
    decision_role: str = ""
    out_of_scope: str = ""
    known_risks: str = ""
    inclusion_criteria: str = ""
    demographic_inputs: str = ""
    demographics: str = ""
    relevance: str = ""
    fairness_approach: str = ""
    bias_management: str = ""
    external_party: str = ""
    outcome_evaluations: str = ""
    monitoring: str = ""
    fairness_monitoring: str = ""
    update_schedule: str = ""
    correction_schedule: str = ""


class Manifest(Frozen):
    """One immutable model version; its SHA-256 digest, as stored, is the version's address.

    `kind` says which department's loader reads it (`diagnosis.image`); `spec` is that department's
    own part. `recipe` is the recipe's YAML text, `versions` the packages that made the model.
    """

    format: int = FORMAT
    name: str = Field(pattern=NAME)
    kind: str
    created: AwareDatetime
    licence: str
    labels: tuple[Coding, ...]
    artefacts: dict[Annotated[str, Field(pattern=FILE)], Artefact]
    spec: dict[str, Any]
    data: DataUse
    recipe: str
    seed: int
    versions: dict[str, str]
    training: dict[str, float]
    validation: Evaluation
    card: CardText

    @property
    def findings(self) -> tuple[Coding, ...]:
        """The labels that are called present or absent: those with an operating point."""
        called = {result.point.label for result in self.validation.operating_points}
        return tuple(label for label in self.labels if label.code in called)

    def document(self) -> bytes:
        """The manifest as it is signed, stored and sent: JSON, in the order of its fields."""
        return self.model_dump_json().encode()


def read_manifest(document: bytes) -> Manifest:
    """The manifest in `document`.

    Raises `IntegrityError` for a format that this Polyclinic does not know, or naming the field
    that is not as it must be.
    """
    try:
        content = from_json(document, allow_inf_nan=False)
    except ValueError as error:
        raise IntegrityError(f"The manifest is not JSON: {error}", where="manifest") from None
    check_format(content, "manifest")
    try:
        # Read from the bytes again: JSON has no dates or tuples, so they are only accepted there.
        return Manifest.model_validate_json(document)
    except ValidationError as error:
        raise IntegrityError(
            "The manifest is not as it must be: " + first_problem(error), where="manifest"
        ) from None


def check_format(content: Any, what: str) -> None:
    """Raise `IntegrityError` unless the JSON value `content` says that its format is known."""
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise IntegrityError(
            f"The {what} has the unknown format version {found!r}; {FORMAT} is known",
            where=what,
            remedy="Use a Polyclinic as new as the one that made it.",
        )


def first_problem(error: ValidationError) -> str:
    """The place and the reason of the first thing that pydantic refused."""
    problem = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}"
