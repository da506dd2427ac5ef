"""`polyclinic treatment`: recommend and check, without a service."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyclinic import NOTICE
from polyclinic.cli.output import AsJson, print_json, print_table, say
from polyclinic.core.errors import InvalidInput, PolyclinicError

if TYPE_CHECKING:
    from polyclinic.treatment.answer import Recommendation, Recommended

app = typer.Typer(help="Treatments for a patient, and what speaks against them.")

PatientFile = Annotated[
    Path, typer.Argument(help="JSON: a FHIR R4 Bundle, or a patient as the service takes one.")
]


@app.command()
def recommend(
    file: PatientFile,
    model: Annotated[
        str | None, typer.Option(help="NAME, NAME@alias or NAME@version; else the site's own.")
    ] = None,
    explain: Annotated[
        bool, typer.Option(help="Tell the facts that weighed most, and patients alike.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Rank treatments for a patient by a registered model, with what the safety rules say."""
    from polyclinic.core.settings import settings
    from polyclinic.registry.starters import install_starters
    from polyclinic.registry.store import open_registry
    from polyclinic.treatment.case import parse_case
    from polyclinic.treatment.models import load_model
    from polyclinic.treatment.rules import open_rules

    case = parse_case(_read(file))
    registry = open_registry()
    install_starters(registry)
    version = registry.resolve(model or settings().treatment_model)
    (answer,) = load_model(registry, version, open_rules(settings())).predict(
        [case], explain=explain
    )
    if isinstance(answer, PolyclinicError):
        raise answer
    if as_json:
        print_json({"notice": NOTICE, "recommendation": answer})
        return
    _show(answer)


@app.command()
def check(file: PatientFile, as_json: AsJson = False) -> None:
    """What the safety rules say of a patient's medications; no model is asked."""
    from polyclinic.core.settings import settings
    from polyclinic.treatment.checking import check_list, parse_list
    from polyclinic.treatment.rules import open_rules

    found = check_list(open_rules(settings()), *parse_list(_read(file)))
    if as_json:
        print_json({"notice": NOTICE, **dict(found)})
        return
    print_table(
        f"Safety, knowledge {found.knowledge}",
        ("", "drug", "kind", "because", "what to do", "source"),
        (
            (
                each.action,
                each.drug.display,
                each.kind,
                "; ".join(each.because),
                f"{each.mechanism}. {each.management}",
                each.source,
            )
            for each in found.findings
        ),
    )
    say(f"Checked: {', '.join(drug.display for drug in found.checked) or 'nothing'}.")
    for name in found.unknown:
        say(f"{name} is not in the formulary: no rule can check it.")
    for warning in found.warnings:
        say(warning)
    say(found.limits)
    say(NOTICE)


def _read(file: Path) -> Any:
    import orjson

    try:
        return orjson.loads(file.read_bytes())
    except OSError as error:
        raise InvalidInput(f"The file cannot be read: {error.strerror}.", where=str(file)) from None
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"This is not JSON: {error}.", where=str(file)) from None


def _show(answer: "Recommendation") -> None:
    model = answer.provenance.model
    print_table(
        f"{model.name}@{model.version}, safety knowledge {answer.knowledge}",
        ("", "treatment", "probability or benefit", "in the set", "taken", "safety", "reasons"),
        [
            *(_row(str(place), each) for place, each in enumerate(answer.treatments, 1)),
            *(_row("vetoed", each) for each in answer.vetoed),
        ],
    )
    for each in answer.taken:
        if each.action != "unknown":
            say(f"Takes {each.drug.display}, {each.action}: {', '.join(each.because)}.")
    if answer.abstained:
        say(f"The model abstains: {answer.abstained}")
    for warning in answer.warnings:
        say(warning)
    say(answer.basis)
    say(NOTICE)


def _row(place: str, each: "Recommended") -> tuple[str, ...]:
    expected = each.expected
    said = "" if each.probability is None else f"{each.probability:.3f}"
    if expected is not None:
        said = f"{expected.value:.3g} ({expected.low:.3g} to {expected.high:.3g}) {expected.unit}"
    safety = "; ".join(f"{one.action}: {', '.join(one.because)}" for one in each.safety)
    reasons = "; ".join(f"{one.fact} {one.weight:+.2f}" for one in each.reasons)
    yes = {True: "yes", False: ""}
    return place, each.coding.display, said, yes[each.in_set], yes[each.current], safety, reasons
