"""The model card: everything a person should know before they believe a model.

Source: Mitchell et al. 2019, Model Cards for Model Reporting (FAT* 2019), and the source
attributes of `hti1`.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from polyclinic import NOTICE
from polyclinic.core.evaluation import Evaluation
from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Coding, ModelIdentity
from polyclinic.registry import wording
from polyclinic.registry.history import Opening
from polyclinic.registry.hti1 import SourceAttribute, source_attributes
from polyclinic.registry.manifest import Artefact, DataUse
from polyclinic.registry.version import ModelVersion

if TYPE_CHECKING:
    from jinja2 import Environment


class Card(Frozen):
    """A model version's card, as JSON; `markdown` and `html` are the same for people.

    `evaluations` begin with the validation that the manifest holds. `test_openings` are all looks
    at the test part of the data that the model was made from.
    """

    notice: str
    model: ModelIdentity
    title: str
    kind: str
    created: datetime
    licence: str
    signer: str
    labels: tuple[Coding, ...]
    findings: tuple[Coding, ...]
    out_of_scope: str
    known_risks: str
    data: DataUse
    test_openings: tuple[Opening, ...]
    evaluations: tuple[Evaluation, ...]
    source_attributes: tuple[SourceAttribute, ...]
    recipe: str
    seed: int
    training: dict[str, float]
    versions: dict[str, str]
    artefacts: dict[str, Artefact]

    @property
    def best(self) -> Evaluation:
        """The evaluation that says most: the latest on a test part, else the validation."""
        tests = [evaluation for evaluation in self.evaluations if evaluation.part == "test"]
        return (tests or list(self.evaluations))[-1 if tests else 0]

    @property
    def gaps(self) -> int:
        """How many source attributes are gaps."""
        return sum(attribute.origin == "gap" for attribute in self.source_attributes)

    def label(self, code: str) -> str:
        """The display name of the label with this code; the code itself where it has none."""
        return next((label.display for label in self.labels if label.code == code), code)

    def markdown(self) -> str:
        """The card as CommonMark with tables."""
        return _templates().get_template("card.md.j2").render(card=self)

    def html(self) -> str:
        """The card as one page that needs nothing else: no script, no outside resource."""
        return _templates().get_template("card.html.j2").render(card=self)


def model_card(
    version: ModelVersion, evaluations: Sequence[Evaluation], openings: Sequence[Opening]
) -> Card:
    """The card of `version`.

    `evaluations` are those of `Registry.evaluations`, `openings` those of the version's data set.
    Raises `IntegrityError` when the manifest was altered.
    """
    manifest = version.manifest
    return Card(
        notice=NOTICE,
        model=version.identity,
        title=manifest.card.title,
        kind=manifest.kind,
        created=manifest.created,
        licence=manifest.licence,
        signer=version.signature.signer,
        labels=manifest.labels,
        findings=manifest.findings,
        out_of_scope=manifest.card.out_of_scope,
        known_risks=manifest.card.known_risks,
        data=manifest.data,
        test_openings=tuple(openings),
        evaluations=(manifest.validation, *evaluations),
        source_attributes=source_attributes(manifest, evaluations),
        recipe=manifest.recipe,
        seed=manifest.seed,
        training=manifest.training,
        versions=manifest.versions,
        artefacts=manifest.artefacts,
    )


@cache
def _templates() -> "Environment":
    # Imported here: a service that shows no card need not wait for it.
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("polyclinic.registry"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cell": _cell,
        "measure": wording.measure,
        "interval": wording.interval,
        "breaks": wording.breaks,
        "code_system": wording.code_system,
    }
    environment.tests["link"] = wording.is_link
    environment.globals |= {"parts": wording.PARTS}
    return environment


def _cell(value: object) -> str:
    """Text that neither ends a Markdown table's cell nor marks anything up."""
    text = " ".join(str(value).split())
    for mark in "\\`*[]<>|":
        text = text.replace(mark, "\\" + mark)
    return text
