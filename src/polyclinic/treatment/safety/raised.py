"""Which rules a patient's facts raise against which drugs, a small generator a kind of rule."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from polyclinic.clinical.codes import ICD_10, ICD_10_CM, SNOMED
from polyclinic.treatment.patient import Coded, Medication, PatientFacts
from polyclinic.treatment.safety.knowledge import SAME_INGREDIENT, Knowledge, Rule
from polyclinic.treatment.safety.liver import liver_states

#: A woman of these ages whose pregnancy is not known may be pregnant.
FERTILE = (12.0, 55.0)
#: Values that are a condition of their own: the fact's name, a bound, its ICD-10-CM code, its name.
_HIGH = (("potassium", 5.5, "E87.5", "mmol/L"), ("qtc", 500.0, "I45.81", "ms"))
_LOW = (("potassium", 3.5, "E87.6", "mmol/L"),)


class Raised(NamedTuple):
    """A rule, the drugs that it speaks against here, and the patient's fact, in words.

    unknown: that fact is what is missing; the rule then warns, however hard it is.
    """

    rule: Rule
    drugs: frozenset[str]
    because: str
    unknown: bool = False


def raised_by_state(knowledge: Knowledge, facts: PatientFacts) -> Iterator[Raised]:
    """All but what other medications raise."""
    yield from _allergies(knowledge, facts)
    yield from _conditions(knowledge, facts)
    yield from _pregnancy(knowledge, facts)
    yield from _kidney(knowledge, facts)
    yield from _liver(knowledge, facts)
    yield from _age(knowledge, facts)


def raised_by_medication(knowledge: Knowledge, medication: Medication) -> Iterator[Raised]:
    """Interactions with a medication that is taken; its own ingredients are none."""
    own = frozenset(drug.name for drug in medication.drugs)
    for drug in medication.drugs:
        for rule, partners in knowledge.partners.get(drug.name, ()):
            if others := partners - own:
                yield Raised(rule, others, f"takes {medication.display}")


def _allergies(knowledge: Knowledge, facts: PatientFacts) -> Iterator[Raised]:
    for allergy in facts.allergies:
        names = {drug.name for drug in allergy.drugs}
        words, code = allergy.display.lower(), allergy.code
        for rule in knowledge.rules["allergies"]:
            spoken, drugs = knowledge.allergens[rule.id]
            if names & drugs or code in spoken or any(_within(term, words) for term in spoken):
                yield Raised(rule, rule.drugs, f"allergy to {allergy.display}")
        if names:
            yield Raised(SAME_INGREDIENT, frozenset(names), f"allergy to {allergy.display}")


def _within(term: str, words: str) -> bool:
    """Whether a term stands among words, as a word of its own."""
    return f" {term} " in f" {' '.join(words.replace('(', ' ').replace(')', ' ').split())} "


def _conditions(knowledge: Knowledge, facts: PatientFacts) -> Iterator[Raised]:
    for condition in (*facts.conditions, *_from_values(facts)):
        since = "" if condition.start is None else f" ({condition.start.date().isoformat()})"
        for rule in _of_condition(knowledge, condition):
            yield Raised(rule, rule.drugs, f"{condition.display}{since}")


def _of_condition(knowledge: Knowledge, condition: Coded) -> Iterable[Rule]:
    found: dict[str, Rule] = {}
    code = (condition.code or "").replace(".", "").upper()
    if condition.system in (ICD_10, ICD_10_CM):
        for length in range(1, len(code) + 1):
            found |= {rule.id: rule for rule in knowledge.by_icd10.get(code[:length], ())}
    elif condition.system == SNOMED:
        found |= {rule.id: rule for rule in knowledge.by_snomed.get(code.lower(), ())}
    found |= {rule.id: rule for rule in knowledge.by_condition.get(condition.display.lower(), ())}
    return found.values()


def _from_values(facts: PatientFacts) -> Iterator[Coded]:
    for name, bound, code, unit in _HIGH:
        value: float | None = getattr(facts, name)
        if value is not None and value > bound:
            yield Coded(ICD_10_CM, code, f"{_called(name)} {value:g} {unit}", None)
    for name, bound, code, unit in _LOW:
        value = getattr(facts, name)
        if value is not None and value < bound:
            yield Coded(ICD_10_CM, code, f"{_called(name)} {value:g} {unit}", None)


def _called(name: str) -> str:
    return "QTc" if name == "qtc" else name


def _pregnancy(knowledge: Knowledge, facts: PatientFacts) -> Iterator[Raised]:
    fertile = facts.sex == "female" and (
        facts.age is not None and FERTILE[0] <= facts.age <= FERTILE[1]
    )
    for rule in knowledge.rules["pregnancy"]:
        if rule.kind == "lactation":
            if facts.breastfeeding:
                yield Raised(rule, rule.drugs, "breastfeeding")
        elif facts.pregnant:
            yield Raised(rule, rule.drugs, "pregnant")
        elif facts.pregnant is None and fertile and rule.action == "veto":
            yield Raised(rule, rule.drugs, "whether she is pregnant is not known", unknown=True)


def _kidney(knowledge: Knowledge, facts: PatientFacts) -> Iterator[Raised]:
    for rule in knowledge.rules["kidney"]:
        if facts.egfr is None:
            if rule.action == "veto":
                yield Raised(rule, rule.drugs, "kidney function is not known", unknown=True)
        elif facts.egfr < float(rule.row["egfr_below"]):
            yield Raised(rule, rule.drugs, f"eGFR {facts.egfr:.0f} ({facts.egfr_from})")


def _liver(knowledge: Knowledge, facts: PatientFacts) -> Iterator[Raised]:
    states = liver_states(facts)
    for rule in knowledge.rules["liver"]:
        if because := states.get(rule.row["when"].lower()):
            yield Raised(rule, rule.drugs, because)


def _age(knowledge: Knowledge, facts: PatientFacts) -> Iterator[Raised]:
    if facts.age is None:
        return
    for rule in knowledge.rules["age"]:
        if of_age(rule, facts.age):
            yield Raised(rule, rule.drugs, f"aged {facts.age:.0f}")


def of_age(rule: Rule, age: float) -> bool:
    """Whether a rule's ages, from the first and below the second, hold this one."""
    low, high = rule.row["age_from"], rule.row["age_below"]
    return float(low or 0) <= age and (not high or age < float(high))
