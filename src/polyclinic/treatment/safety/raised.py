"""Which rules a patient's facts raise against which drugs, a small generator a kind of rule."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from polyclinic.clinical.codes import ICD_10, ICD_10_CM, SNOMED
from polyclinic.clinical.kidney import rate_below
from polyclinic.treatment.patient import Allergy, Coded, Medication, PatientFacts, is_local
from polyclinic.treatment.safety.knowledge import SAME_INGREDIENT, Knowledge, Rule
from polyclinic.treatment.safety.liver import liver_states

#: A woman of these ages whose pregnancy is not known may be pregnant.
FERTILE = (12.0, 55.0)
#: Values that are a condition of their own: the fact's name, a bound, its ICD-10-CM code, its name.
_HIGH = (("potassium", 5.5, "E87.5", "mmol/L"), ("qtc", 500.0, "I45.81", "ms"))
_LOW = (("potassium", 3.5, "E87.6", "mmol/L"),)
#: Below this filtration rate kidneys have failed (KDIGO 2012, G5).
_FAILURE = 15.0
_WORD = re.compile(r"[^\W_]+")
#: Words beside a condition's name that say that it is none of the patient's now.
_NOT_SO = (" no ", " not ", " without ", " family ", " history ", " suspected ", " screening ")


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
    """Interactions with a medication that is taken; its own ingredients are none.

    Of what is put on skin, eye or ear little gets further: there a rule warns at most.
    """
    own = frozenset(drug.name for drug in medication.drugs)
    local = is_local(medication.route)
    for drug in medication.drugs:
        for rule, partners in knowledge.partners.get(drug.name, ()):
            if others := partners - own:
                held = Raised(rule, others, f"takes {medication.display}")
                yield softened(held) if local else held


def softened(raised: Raised) -> Raised:
    """The same as a warning at most."""
    return raised._replace(rule=replace(raised.rule, action="warning"))


def unread_conditions(knowledge: Knowledge, facts: PatientFacts) -> Iterator[str]:
    """The conditions without a code whose words no rule knows."""
    for condition in facts.conditions:
        told = PatientFacts(facts.at, conditions=(condition,))
        if condition.code is None and not (
            _of_condition(knowledge, condition)
            or liver_states(told)
            or rate_below(None, None, condition.display)
        ):
            yield condition.display


def unread_allergies(knowledge: Knowledge, facts: PatientFacts) -> Iterator[str]:
    """The allergies, in words, that neither a drug nor a rule is known of."""
    for allergy in facts.allergies:
        if not allergy.drugs and not any(_of_allergen(knowledge, allergy)):
            yield allergy.display


def _allergies(knowledge: Knowledge, facts: PatientFacts) -> Iterator[Raised]:
    for allergy in facts.allergies:
        because = f"allergy to {allergy.display}"
        for rule in _of_allergen(knowledge, allergy):
            yield Raised(rule, rule.drugs, because)
        if allergy.drugs:
            names = frozenset(drug.name for drug in allergy.drugs)
            yield Raised(SAME_INGREDIENT, names, because)


def _of_allergen(knowledge: Knowledge, allergy: Allergy) -> Iterator[Rule]:
    names = {drug.name for drug in allergy.drugs}
    words, code = _words(allergy.display), (allergy.code or "").lower()
    for rule in knowledge.rules["allergies"]:
        spoken, drugs = knowledge.allergens[rule.id]
        if names & drugs or code in spoken or any(_words(term) in words for term in spoken):
            yield rule


@lru_cache(maxsize=1 << 12)
def _words(text: str) -> str:
    """The words of a text in lower case, each between two spaces."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


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
    words = _words(condition.display)
    if condition.code is None and not any(word in words for word in _NOT_SO):
        for term, rules in knowledge.by_condition.items():
            if _words(term) in words:
                found |= {rule.id: rule for rule in rules}
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
    old_enough = facts.age is None or FERTILE[0] <= facts.age <= FERTILE[1]
    may_be = facts.pregnant is None and facts.sex != "male" and old_enough
    for rule in knowledge.rules["pregnancy"]:
        if rule.kind == "lactation":
            if facts.breastfeeding:
                yield Raised(rule, rule.drugs, "breastfeeding")
        elif facts.pregnant:
            yield Raised(rule, rule.drugs, "pregnant")
        elif may_be and rule.action == "veto":
            yield Raised(rule, rule.drugs, "whether pregnant is not known", unknown=True)


def _kidney(knowledge: Knowledge, facts: PatientFacts) -> Iterator[Raised]:
    rate, because = _filtration(facts)
    for rule in knowledge.rules["kidney"]:
        if rate is None:
            if rule.action == "veto":
                yield Raised(rule, rule.drugs, "kidney function is not known", unknown=True)
        elif rate < float(rule.row["egfr_below"]):
            yield Raised(rule, rule.drugs, because)


def _since(condition: Coded, time: datetime | None) -> bool:
    return condition.start is not None and time is not None and condition.start > time


def _filtration(facts: PatientFacts) -> tuple[float | None, str]:
    """The filtration rate, and the fact behind it.

    Where none was measured since the diagnosis, just below what that says it is below; in kidney
    failure anyway, because dialysis makes creatinine look better.
    """
    found: list[tuple[float, str]] = []
    for condition in facts.conditions:
        below = rate_below(condition.system, condition.code, condition.display)
        if below is None or (facts.egfr is not None and facts.egfr < below):
            continue
        if facts.egfr is None or below <= _FAILURE or _since(condition, facts.egfr_time):
            found.append((below - 0.1, condition.display))
    if found:
        return min(found)
    if facts.egfr is None:
        return None, ""
    return facts.egfr, f"eGFR {facts.egfr:.0f} ({facts.egfr_from})"


def _liver(knowledge: Knowledge, facts: PatientFacts) -> Iterator[Raised]:
    states = liver_states(facts)
    for rule in knowledge.rules["liver"]:
        if because := states.get(rule.row["when"].lower()):
            yield Raised(rule, rule.drugs, because)


def _age(knowledge: Knowledge, facts: PatientFacts) -> Iterator[Raised]:
    for rule in knowledge.rules["age"]:
        if facts.age is None:
            if rule.action == "veto":
                yield Raised(rule, rule.drugs, "the age is not known", unknown=True)
        elif of_age(rule, facts.age):
            yield Raised(rule, rule.drugs, f"aged {int(facts.age)}")


def of_age(rule: Rule, age: float) -> bool:
    """Whether a rule's ages, from the first and below the second, hold this one."""
    low, high = rule.row["age_from"], rule.row["age_below"]
    return float(low or 0) <= age and (not high or age < float(high))
