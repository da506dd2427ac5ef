"""The safety rules alone, over a medication list."""

from typing import Any

from pydantic import Field, ValidationError

from polyclinic.clinical.chart import Chart
from polyclinic.core.errors import InvalidInput
from polyclinic.core.frozen import Frozen
from polyclinic.treatment import case as sent
from polyclinic.treatment.answer import Checked
from polyclinic.treatment.case import dumped, parse_case
from polyclinic.treatment.patient import Medication
from polyclinic.treatment.rules import Rules
from polyclinic.treatment.safety import check

LIMITS = (
    "The rules hold common dangers, not all of them: that nothing was found does not mean that "
    "nothing speaks against it."
)


class Listed(Frozen):
    """The medications that are to be checked, beside those that the patient takes."""

    medications: tuple[sent.Medication, ...] = Field(default=(), max_length=1000)


def parse_list(content: Any) -> tuple[Chart, tuple[sent.Medication, ...]]:
    """The patient, and the medications that stand beside.

    Raises `InvalidInput` naming the place, and what `parse_case` raises.
    """
    if not isinstance(content, dict):
        raise InvalidInput("A medication list is a JSON object.")
    listed = {name: content[name] for name in ("medications",) if name in content}
    rest = {name: value for name, value in content.items() if name != "medications"}
    if listed and not rest.keys() & {"bundle", "patient", "resourceType"}:
        rest["patient"] = {}
    try:
        medications = Listed.model_validate_json(dumped(listed)).medications
    except ValidationError as error:
        first = error.errors()[0]
        place = "/" + "/".join(str(part) for part in first["loc"])
        raise InvalidInput(first["msg"], where=place) from None
    chart = parse_case(rest).chart
    if chart is None:
        raise InvalidInput(
            "No medication was sent.", remedy="Send `medications`, a `patient` or a `bundle`."
        )
    return chart, medications


def check_list(rules: Rules, chart: Chart, medications: tuple[sent.Medication, ...]) -> Checked:
    """What the rules say of the medications together with what the patient takes."""
    facts = rules.facts(chart)
    own = [_medication(each, rules) for each in medications]
    unknown = [each.display for each in (*own, *facts.medications) if not each.drugs]
    checked = {drug: None for each in (*own, *facts.medications) for drug in each.drugs}
    return Checked(
        findings=check(rules.knowledge, facts, own),
        checked=tuple(drug.coding for drug in checked),
        unknown=tuple(dict.fromkeys(unknown)),
        warnings=(*chart.warnings, *facts.problems),
        limits=LIMITS,
        knowledge=rules.version,
    )


def _medication(told: sent.Medication, rules: Rules) -> Medication:
    system, code = told.coded
    display = told.name or code or "a medication without a name"
    return Medication(
        rules.formulary.of(system, code, (), told.name),
        display,
        told.dose,
        told.unit,
        told.per_day,
        told.route,
    )
