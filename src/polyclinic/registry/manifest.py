"""What a model version is: the signed manifest."""

from datetime import datetime
from typing import Any

from pydantic import Field

from polyclinic.core.evaluation import Evaluation
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding

NAME = r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$"
FILE = r"^[a-z0-9][a-z0-9_.-]{0,63}$"


class Artefact(Frozen):
    """A file of the model: its SHA-256 digest and its size in bytes."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class DataUse(Frozen):
    """The data that a model was made from; `parts` counts examples by part and label code."""

    name: str
    digest: str
    licence: str
    source: str
    parts: dict[str, dict[str, int]]


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
    demographics: str = ""
    relevance: str = ""
    fairness_approach: str = ""
    bias_management: str = ""
    outcome_evaluations: str = ""
    monitoring: str = ""
    update_schedule: str = ""
    correction_schedule: str = ""


class Manifest(Frozen):
    """One immutable model version; its SHA-256 digest, as stored, is the version's address.

    `kind` says which department's loader reads it (`diagnosis.image`); `spec` is that department's
    own part. `recipe` is the recipe's YAML text, `versions` the packages that made the model.
    """

    format: int = 1
    name: str = Field(pattern=NAME)
    kind: str
    created: datetime
    licence: str
    labels: tuple[Coding, ...]
    artefacts: dict[str, Artefact]
    spec: dict[str, Any]
    data: DataUse
    recipe: str
    seed: int
    versions: dict[str, str]
    training: dict[str, float]
    validation: Evaluation
    card: CardText
