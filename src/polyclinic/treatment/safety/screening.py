"""The two questions: what speaks against each drug for this patient, and against this list."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from polyclinic.clinical.ucum import read
from polyclinic.treatment.drugs import Drug
from polyclinic.treatment.patient import Medication, PatientFacts, is_local
from polyclinic.treatment.safety.finding import SafetyFinding
from polyclinic.treatment.safety.knowledge import Knowledge, Rule
from polyclinic.treatment.safety.raised import (
    Raised,
    of_age,
    raised_by_medication,
    raised_by_state,
    softened,
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

    What the patient takes already (`facts.medications`) is part of the list. Vetoes come first,
    what is not known comes last.
    """
    listed = [*medications, *(each for each in facts.medications if each not in medications)]
    by_state = Against(knowledge, raised_by_state(knowledge, facts))
    found: list[SafetyFinding] = []
    # Orders of the same drugs say the same of others; that they are several is told by itself.
    distinct = list(
        {(each.drugs, is_local(each.route)): each for each in reversed(listed)}.values()
    )
    raised = [list(_with(knowledge, each)) for each in distinct]
    for place, medication in enumerate(distinct):
        names = {drug.name for drug in medication.drugs}
        beside = [
            each for own in raised[:place] for each in own if not names.isdisjoint(each.drugs)
        ]
        if is_local(medication.route):
            beside = [softened(each) for each in beside]
        by_others = Against(knowledge, beside)
        for drug in medication.drugs:
            found += by_state.get(drug.name, ())
            found += by_others.get(drug.name, ())
    found += _twice(listed)
    found += _doses(knowledge, facts, listed)
    return tuple(sorted(dict.fromkeys(found), key=lambda each: _ORDER[each.action]))


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
        for group, drugs in knowledge.alike.get(drug.name, {}).items():
            if alike := drugs - own:
                yield Raised(_duplicate(group), alike, f"takes {medication.display}")


def _findings(drug: Drug, raised: Iterable[Raised]) -> Iterator[SafetyFinding]:
    """One a rule and fact, but no warning where the same fact vetoes.

    Of two that interact the most severe is told, and not that they are alike as well. Of what is
    not known one a kind, and none where a rule of the kind holds anyway.
    """
    held = {(each.rule.kind, each.rule.id, each.because): each for each in raised}
    certain = {each.rule.kind for each in held.values() if not each.unknown}
    vetoed = {
        (each.rule.kind, each.because)
        for each in held.values()
        if each.rule.action == "veto" and not each.unknown
    }
    interacting = {each.because for each in held.values() if each.rule.kind == "interaction"}
    told, paired = set(), set()
    for each in sorted(held.values(), key=_weight):
        rule = each.rule
        if rule.kind == "duplicate" and each.because in interacting:
            continue
        if rule.kind == "interaction":
            if each.because in paired:
                continue
            paired.add(each.because)
        if each.unknown and (rule.kind in certain or rule.kind in told):
            continue
        if rule.action == "warning" and (rule.kind, each.because) in vetoed:
            continue
        told.add(rule.kind)
        yield SafetyFinding(
            kind=rule.kind,
            action="unknown" if each.unknown else rule.action,
            drug=drug.coding,
            because=(each.because,),
            severity="unknown" if each.unknown else rule.severity,
            mechanism=rule.mechanism,
            management=ASK if each.unknown else rule.management,
            rule=rule.id,
            source=rule.source,
        )


_ORDER = {"veto": 0, "warning": 1, "unknown": 2}
_SEVERITIES = {"contraindicated": 0, "major": 1, "moderate": 2, "minor": 3}
#: Of more doses of an ingredient than that only the sum is told.
SEVERAL = 4
#: What to do where a rule cannot be looked at.
ASK = "Find it out, and ask again"


def _weight(raised: Raised) -> tuple[bool, int]:
    """Vetoes first, then by severity; what is of another name is taken as major."""
    return raised.rule.action != "veto", _SEVERITIES.get(raised.rule.severity, 1)


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


def _twice(listed: Iterable[Medication]) -> Iterator[SafetyFinding]:
    """That an ingredient is there more than once, once for each."""
    orders: dict[Drug, list[str]] = {}
    for medication in listed:
        for drug in medication.drugs:
            orders.setdefault(drug, []).append(medication.display)
    for drug, displays in orders.items():
        if len(displays) > 1:
            first, *others = displays
            because = f"takes {first}" + (
                "" if len(others) == 1 else f", in {len(displays)} orders"
            )
            rule = replace(_duplicate(drug.name), mechanism="The same ingredient twice")
            yield from _findings(drug, [Raised(rule, frozenset((drug.name,)), because)])


def _doses(
    knowledge: Knowledge, facts: PatientFacts, listed: Sequence[Medication]
) -> Iterator[SafetyFinding]:
    """Daily doses above a row's maximum, all medications with that one ingredient together."""
    alone: dict[Drug, list[Medication]] = {}
    for medication in listed:
        if len(medication.drugs) == 1 and medication.dose is not None:
            alone.setdefault(medication.drugs[0], []).append(medication)
    for drug, medications in alone.items():
        held = (
            each
            for rule in knowledge.rules["doses"]
            if drug.name in rule.drugs and (each := _too_much(rule, facts, medications))
        )
        yield from _findings(drug, held)


def _too_much(rule: Rule, facts: PatientFacts, medications: Iterable[Medication]) -> Raised | None:
    """What a row says of the doses; None where they are within it, or it is not for the patient."""
    own = [each for each in medications if _by_route(rule, each.route)]
    limit = _limit(rule, facts)
    if limit is None or not any(each.dose for each in own):
        return None
    doses = [_milligrams(each) for each in own]
    if None in doses:
        strange = own[doses.index(None)]
        limit = f"{strange.dose:g} {strange.unit or 'without a unit'}"
    if isinstance(limit, str):
        return Raised(rule, rule.drugs, f"the dose cannot be checked: {limit}", unknown=True)
    known = [dose for dose in doses if dose is not None]
    if sum(known) <= limit * 1.001:
        return None
    told = " + ".join(f"{dose:g}" for dose in known)
    if len(known) > SEVERAL:
        told = f"{len(known)} doses, {sum(known):g}"
    return Raised(rule, rule.drugs, f"{told} mg a day, at most {limit:g} mg")


def _limit(rule: Rule, facts: PatientFacts) -> float | str | None:
    """A row's maximum in mg a day, or what is not known of it; None where it is of another age."""
    if rule.row["age_from"] or rule.row["age_below"]:
        if facts.age is None:
            return "age not known"
        if not of_age(rule, facts.age):
            return None
    limit = float(rule.row["max_daily"])
    if rule.row["unit"] != "mg/kg":
        return limit
    return "weight not known" if facts.weight_kg is None else limit * facts.weight_kg


def _milligrams(medication: Medication) -> float | None:
    """The daily dose in mg; a dose without its timing counts as once a day."""
    unit, _ = read(medication.unit or "")
    factor = _TO_MG.get(unit or "") or _TO_MG.get((medication.unit or "").strip().lower())
    if medication.dose is None or factor is None:
        return None
    return medication.dose * (medication.per_day or 1.0) * factor


#: UCUM units of mass, and how they are written out.
_TO_MG = {
    **dict.fromkeys(("mg", "milligram", "milligrams"), 1.0),
    **dict.fromkeys(("g", "gram", "grams"), 1000.0),
    **dict.fromkeys(("ug", "mcg", "microgram", "micrograms"), 0.001),
    **dict.fromkeys(("ng", "nanogram", "nanograms"), 1e-6),
}


def _by_route(rule: Rule, route: str | None) -> bool:
    """Whether a rule is of this route: one of another is not meant; an unknown one may be."""
    named = rule.row["route"].lower()
    told = (route or "").lower()
    oral = ("oral", "po", "by mouth")
    if not named or not told:
        return True
    return any(word in told for word in oral) if named == "oral" else named in told
