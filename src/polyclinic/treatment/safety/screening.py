"""The two questions: what speaks against each drug for this patient, and against this list."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from polyclinic.treatment.drugs import Drug
from polyclinic.treatment.patient import Medication, PatientFacts
from polyclinic.treatment.safety.finding import SafetyFinding
from polyclinic.treatment.safety.knowledge import Knowledge, Rule
from polyclinic.treatment.safety.raised import (
    Raised,
    of_age,
    raised_by_medication,
    raised_by_state,
)

Findings = tuple[SafetyFinding, ...]


class Against(Mapping[str, Findings]):
    """By drug, what speaks against it. Findings are made when they are asked for."""

    def __init__(self, knowledge: Knowledge, raised: Iterable[Raised]) -> None:
        self._knowledge = knowledge
        self._raised: dict[str, list[Raised]] = {}
        for each in raised:
            for drug in each.drugs:
                self._raised.setdefault(drug, []).append(each)

    def __getitem__(self, drug: str) -> Findings:
        known = self._knowledge.formulary.drugs[drug]
        return tuple(_findings(known, self._raised[drug]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._raised)

    def __len__(self) -> int:
        return len(self._raised)

    def vetoed(self) -> set[str]:
        """The drugs that a rule takes out."""
        return {
            drug
            for drug, all_of_it in self._raised.items()
            if any(each.rule.action == "veto" and not each.unknown for each in all_of_it)
        }


def screen(knowledge: Knowledge, facts: PatientFacts) -> Against:
    """What this patient's facts say against each drug, were it given now.

    Of a drug that is taken, what speaks against giving it on: its own presence does not.
    """
    return Against(knowledge, _all(knowledge, facts))


def check(knowledge: Knowledge, facts: PatientFacts, medications: Sequence[Medication]) -> Findings:
    """What speaks against a medication list: each against the patient, the others, and its dose.

    What the patient takes already (`facts.medications`) is part of the list. Vetoes come first.
    """
    listed = [*medications, *(each for each in facts.medications if each not in medications)]
    by_state = Against(knowledge, raised_by_state(knowledge, facts))
    found: list[SafetyFinding] = []
    for place, medication in enumerate(listed):
        others = listed[:place]
        by_others = Against(
            knowledge,
            [each for other in others for each in _with(knowledge, other)],
        )
        for drug in medication.drugs:
            found += by_state.get(drug.name, ())
            found += by_others.get(drug.name, ())
            found += (
                finding
                for other in others
                if any(own.name == drug.name for own in other.drugs)
                for finding in _findings(drug, [_twice(drug, other)])
            )
    found += _doses(knowledge, facts, listed)
    return tuple(sorted(dict.fromkeys(found), key=lambda each: each.action != "veto"))


def together(knowledge: Knowledge, drug: Drug, other: Drug) -> Findings:
    """What speaks against a drug where another is given with it."""
    raised = _with(knowledge, Medication((other,), other.name))
    with_it = [
        each._replace(because=f"together with {other.name}")
        for each in raised
        if drug.name in each.drugs
    ]
    return tuple(_findings(drug, with_it))


def _all(knowledge: Knowledge, facts: PatientFacts) -> Iterator[Raised]:
    yield from raised_by_state(knowledge, facts)
    for medication in facts.medications:
        yield from _with(knowledge, medication)


def _with(knowledge: Knowledge, medication: Medication) -> Iterator[Raised]:
    """Interactions with a medication, and its like."""
    yield from raised_by_medication(knowledge, medication)
    own = {drug.name for drug in medication.drugs}
    for drug in medication.drugs:
        alike = knowledge.alike.get(drug.name, frozenset()) - own
        if alike:
            group = ", ".join(sorted({code[:5] for code in drug.atc}))
            yield Raised(_duplicate(group), alike, f"takes {medication.display}")


def _findings(drug: Drug, raised: Iterable[Raised]) -> Iterator[SafetyFinding]:
    """One a rule and fact, but no warning where the same fact vetoes.

    Of what is not known one a kind, and none where a rule of the kind holds anyway.
    """
    held = {(each.rule.kind, each.rule.id, each.because): each for each in raised}
    certain = {each.rule.kind for each in held.values() if not each.unknown}
    vetoed = {
        (each.rule.kind, each.because)
        for each in held.values()
        if each.rule.action == "veto" and not each.unknown
    }
    told = set()
    for each in held.values():
        rule = each.rule
        if each.unknown and (rule.kind in certain or rule.kind in told):
            continue
        if rule.action == "warning" and (rule.kind, each.because) in vetoed:
            continue
        told.add(rule.kind)
        yield SafetyFinding(
            kind=rule.kind,
            action="warning" if each.unknown else rule.action,
            drug=drug.coding,
            because=(each.because,),
            severity=rule.severity,
            mechanism=rule.mechanism,
            management=rule.management,
            rule=rule.id,
            source=rule.source,
        )


def _duplicate(group: str) -> Rule:
    return Rule(
        id=f"duplicate-{group}",
        kind="duplicate",
        action="warning",
        drugs=frozenset(),
        severity="moderate",
        mechanism=f"Of the same ATC level 4 ({group}): the same effect twice",
        management="Give one of them, unless both are meant",
        source=DUPLICATES,
        row={},
    )


#: Why two of one ATC level 4 are told of.
DUPLICATES = "https://www.whocc.no/atc/structure_and_principles/"


def _twice(drug: Drug, other: Medication) -> Raised:
    rule = replace(_duplicate(drug.name), mechanism="The same ingredient twice")
    return Raised(rule, frozenset((drug.name,)), f"takes {other.display}")


def _doses(
    knowledge: Knowledge, facts: PatientFacts, listed: Sequence[Medication]
) -> Iterator[SafetyFinding]:
    """Daily doses above a row's maximum, all medications with that one ingredient together."""
    alone: dict[Drug, list[Medication]] = {}
    for medication in listed:
        if len(medication.drugs) == 1 and _milligrams(medication) is not None:
            alone.setdefault(medication.drugs[0], []).append(medication)
    for drug, medications in alone.items():
        held = (
            each
            for rule in knowledge.rules["doses"]
            if drug.name in rule.drugs and (each := _too_much(rule, facts, medications))
        )
        yield from _findings(drug, held)


def _too_much(rule: Rule, facts: PatientFacts, medications: Iterable[Medication]) -> Raised | None:
    """What a row says of the doses, None where they are in its bounds or it is not for them.

    Where the age or weight that it asks for is not known the dose cannot be checked.
    """
    doses = [_milligrams(each) or 0.0 for each in medications if _by_route(rule, each.route)]
    if not any(doses):
        return None
    limit, bounded = float(rule.row["max_daily"]), rule.row["age_from"] or rule.row["age_below"]
    if bounded and facts.age is None:
        return Raised(rule, rule.drugs, "the dose cannot be checked: age not known", unknown=True)
    if bounded and facts.age is not None and not of_age(rule, facts.age):
        return None
    if rule.row["unit"] == "mg/kg":
        if facts.weight_kg is None:
            because = "the dose cannot be checked: weight not known"
            return Raised(rule, rule.drugs, because, unknown=True)
        limit *= facts.weight_kg
    if sum(doses) <= limit * 1.001:
        return None
    told = " + ".join(f"{dose:g}" for dose in doses)
    return Raised(rule, rule.drugs, f"{told} mg a day, at most {limit:g} mg")


_TO_MG = {"mg": 1.0, "g": 1000.0, "ug": 0.001, "mcg": 0.001}


def _milligrams(medication: Medication) -> float | None:
    """The daily dose in mg; a dose without its timing counts as once a day."""
    factor = _TO_MG.get(medication.unit or "")
    if medication.dose is None or factor is None:
        return None
    return medication.dose * (medication.per_day or 1.0) * factor


def _by_route(rule: Rule, route: str | None) -> bool:
    """Whether a rule is of this route: one of another is not meant; an unknown one may be."""
    named = rule.row["route"].lower()
    told = (route or "").lower()
    oral = ("oral", "po", "by mouth")
    if not named or not told:
        return True
    return any(word in told for word in oral) if named == "oral" else named in told
