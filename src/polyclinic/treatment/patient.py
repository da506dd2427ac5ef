"""What of a patient the safety rules ask for, as it was known at the decision."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import polars as pl

from polyclinic.clinical.codes import ICD_9_CM, ICD_10, ICD_10_CM, LOINC, SNOMED
from polyclinic.clinical.kidney import ADULT, CHILD, ckd_epi_2021, schwartz_2009
from polyclinic.clinical.timeline import Timeline
from polyclinic.treatment.drugs import Drug, Formulary

#: A medication of which no end is known counts as taken for so long after it was last ordered,
#: reckoned back from the last that is known of the patient.
TAKEN = timedelta(days=365)
#: A value is used for so long after it was measured.
RECENT = timedelta(days=365)
#: A pregnancy is over so long after it was last told of.
PREGNANCY = timedelta(days=300)

_WEIGHT, _HEIGHT, _CREATININE = "29463-7", "8302-2", "2160-0"
#: Measured or reported filtration rates, mL/min/1.73 m2; of these the latest counts.
_EGFR = ("98979-8", "98980-6", "62238-1", "33914-3", "48642-3", "48643-1", "77147-7", "88293-6")
_ALT, _BILIRUBIN, _POTASSIUM, _QTC = "1742-6", "1975-2", "2823-3", "8634-8"
#: What can be, in the unit of each, both ends included.
POSSIBLE = {
    _WEIGHT: ("weight", 0.3, 700.0, "kg"),
    _HEIGHT: ("height", 20.0, 280.0, "cm"),
    _CREATININE: ("creatinine", 0.05, 60.0, "mg/dL"),
    **dict.fromkeys(_EGFR, ("eGFR", 0.0, 250.0, "mL/min/1.73 m2")),
    _ALT: ("ALT", 0.0, 60000.0, "U/L"),
    _BILIRUBIN: ("bilirubin", 0.0, 100.0, "mg/dL"),
    _POTASSIUM: ("potassium", 0.8, 15.0, "mmol/L"),
    _QTC: ("QTc", 200.0, 900.0, "ms"),
}
_PREGNANCY_STATUS, _BREASTFEEDING_STATUS = "82810-3", "63895-7"
_PREGNANT_CODES = {"77386006", "72892002", "47200007"}
_NO_ALLERGY = {"716186003", "409137002", "428607008"}
_SAID = {
    **dict.fromkeys(("pregnant", "77386006", "la15173-0"), True),
    **dict.fromkeys(("not pregnant", "60001007", "la26683-5"), False),
}
_FEEDS = {"yes": True, "373066001": True, "no": False, "373067005": False}
_LOCAL = {"topical", "tp", "cutaneous", "ophthalmic", "otic", "eye", "eyes", "ear", "ears"}
_OF_A_DAY = ("MedicationAdministration/",)


def is_local(route: str | None) -> bool:
    """Whether a route is on skin, eye or ear, from where little gets further."""
    return not _LOCAL.isdisjoint(re.findall(r"[^\W_]+", (route or "").lower()))


@dataclass(frozen=True)
class Coded:
    """A condition, and since when."""

    system: str | None
    code: str | None
    display: str
    start: datetime | None


@dataclass(frozen=True)
class Medication:
    """What is taken. drugs: its ingredients, none where the formulary does not know it.

    dose: at once, in `unit`; per_day: how often a day at most.
    """

    drugs: tuple[Drug, ...]
    display: str
    dose: float | None = None
    unit: str | None = None
    per_day: float | None = None
    route: str | None = None
    start: datetime | None = None


@dataclass(frozen=True)
class Allergy:
    """What is not borne: drugs, or a class or substance that only its words and code name."""

    drugs: tuple[Drug, ...]
    display: str
    system: str | None = None
    code: str | None = None


@dataclass(frozen=True)
class Measured:
    """A value, and when it was measured."""

    value: float
    time: datetime | None


@dataclass(frozen=True)
class PatientFacts:
    """What the rules ask for; None, or nothing, where it is not known.

    age: years. egfr: mL/min/1.73 m2, reported, or by CKD-EPI 2021 from the latest creatinine, which
    `egfr_from` tells, measured at `egfr_time`; of a child by height. alt: U/L; bilirubin: mg/dL;
    potassium: mmol/L; qtc: ms. problems: what of the input could not be used, in words.
    """

    at: datetime
    age: float | None = None
    sex: Literal["female", "male", "other"] | None = None
    weight_kg: float | None = None
    height_cm: float | None = None
    pregnant: bool | None = None
    breastfeeding: bool | None = None
    conditions: tuple[Coded, ...] = ()
    allergies: tuple[Allergy, ...] = ()
    medications: tuple[Medication, ...] = ()
    egfr: float | None = None
    egfr_from: str = ""
    egfr_time: datetime | None = None
    alt: float | None = None
    bilirubin: float | None = None
    potassium: float | None = None
    qtc: float | None = None
    problems: tuple[str, ...] = ()


def patient_facts(
    timeline: Timeline, patient: str, at: datetime, formulary: Formulary
) -> PatientFacts:
    """The facts of one patient, known at `at`.

    A value that cannot be is not used, and told in `problems`; so are entries that are dated later.
    """
    events = timeline.events.filter(pl.col("patient") == patient)
    known = events.filter(pl.col("known") <= at)
    problems = list(_later(events, at))
    rows = known.to_dicts()
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        kinds.setdefault(row["kind"], []).append(row)
    person = timeline.patients.filter(pl.col("patient") == patient).to_dicts()[0]
    age = _age(person["latest_birth"], at, problems)
    sex = person["sex"]
    values = _values(kinds.get("observation", ()), at, problems)
    conditions = tuple(_conditions(kinds.get("condition", ()), at))
    pregnant = _pregnant(kinds.get("observation", ()), conditions, at, problems)
    if pregnant and sex == "male":
        problems.append("A pregnancy of a man is not used.")
        pregnant = None
    filtration = _egfr(values, age, sex)
    allergies = tuple(_allergies(kinds.get("allergy", ()), at, formulary, problems))
    medications = tuple(_medications(kinds.get("medication", ()), rows, at, formulary, problems))
    if any(each.system == ICD_9_CM for each in conditions):
        problems.append("Conditions in ICD-9 are read by few rules: send ICD-10 or SNOMED CT.")
    return PatientFacts(
        at=at,
        age=age,
        sex=sex,
        weight_kg=_value(values, _WEIGHT),
        height_cm=_value(values, _HEIGHT),
        pregnant=pregnant,
        breastfeeding=_breastfeeding(kinds.get("observation", ()), conditions, at),
        conditions=conditions,
        allergies=allergies,
        medications=medications,
        egfr=filtration.rate,
        egfr_from=filtration.source,
        egfr_time=filtration.time,
        alt=_value(values, _ALT),
        bilirubin=_value(values, _BILIRUBIN),
        potassium=_value(values, _POTASSIUM),
        qtc=_value(values, _QTC),
        problems=tuple(problems),
    )


def _later(events: pl.DataFrame, at: datetime) -> Iterator[str]:
    later = events.filter(pl.col("start") > at)
    if len(later):
        yield (
            f"{len(later):,} entries are dated after the decision and were not used, such as "
            f"{later['source'][0] or later['kind'][0]}."
        )


def _age(born: Any, at: datetime, problems: list[str]) -> float | None:
    if born is None:
        return None
    age = (at.date() - born).days / 365.25
    if not 0 <= age <= 130:
        problems.append(f"The date of birth gives an age of {age:.0f} years and is not used.")
        return None
    return float(age)


def _values(
    rows: Iterable[Mapping[str, Any]], at: datetime, problems: list[str]
) -> dict[str, Measured]:
    """The latest possible value of each code that is asked for, in its own unit.

    Older than `RECENT` it is not used: kidneys, livers and children change.
    """
    found: dict[str, Measured] = {}
    for row in rows:
        possible = POSSIBLE.get(row["code"]) if row["system"] == LOINC else None
        if possible is None or row["value"] is None:
            continue
        name, low, high, unit = possible
        if row["canonical"] is False:
            problems.append(f"A {name} in {row['unit'] or 'no unit'} is not used.")
        elif not low <= row["value"] <= high:
            problems.append(f"A {name} of {row['value']:g} {unit} cannot be, and is not used.")
        else:
            before = found.get(row["code"])
            time = row["start"] or row["known"]
            if before is None or before.time is None or time is None or time >= before.time:
                found[row["code"]] = Measured(row["value"], time)
    for code, measured in tuple(found.items()):
        if measured.time is not None and at - measured.time > RECENT:
            problems.append(
                f"The last {POSSIBLE[code][0]} is of {measured.time.date().isoformat()}, and is "
                "not used."
            )
            del found[code]
    return found


def _value(values: Mapping[str, Measured], code: str) -> float | None:
    found = values.get(code)
    return None if found is None else found.value


class _Filtration(NamedTuple):
    """A filtration rate, what it comes from, in words, and when that was measured."""

    rate: float | None
    source: str
    time: datetime | None


def _egfr(values: Mapping[str, Measured], age: float | None, sex: str | None) -> _Filtration:
    """The latest reported rate, or that of a later creatinine."""
    reported = [values[code] for code in _EGFR if code in values]
    latest = max(reported, key=lambda each: (each.time is not None, each.time), default=None)
    creatinine = values.get(_CREATININE)
    rate = None if creatinine is None else _rate(creatinine.value, age, sex, values.get(_HEIGHT))
    if latest is not None and not (rate and creatinine and _after(creatinine, latest)):
        return _Filtration(latest.value, _on("reported", latest.time), latest.time)
    if rate is None or creatinine is None:
        return _Filtration(None, "", None)
    source = f"creatinine {creatinine.value:g} mg/dL"
    return _Filtration(rate, _on(source, creatinine.time), creatinine.time)


def _rate(
    creatinine: float, age: float | None, sex: str | None, height: Measured | None
) -> float | None:
    """By CKD-EPI 2021, of an unknown sex the higher; of a child by height."""
    if age is None:
        return None
    if age < ADULT:
        child = height is not None and age >= CHILD
        return schwartz_2009(creatinine, height.value) if child and height else None
    sexes = (sex == "female",) if sex in ("female", "male") else (True, False)
    return max(ckd_epi_2021(creatinine, age, female=female) for female in sexes)


def _after(one: Measured, other: Measured) -> bool:
    return one.time is not None and other.time is not None and one.time > other.time


def _on(what: str, time: datetime | None) -> str:
    return what if time is None else f"{what}, {time.date().isoformat()}"


def _conditions(rows: Iterable[Mapping[str, Any]], at: datetime) -> Iterator[Coded]:
    seen = set()
    for row in rows:
        if row["end"] is not None and row["end"] <= at:
            continue
        for system, code in _codes(row):
            display = row["display"] or code or ""
            if (key := (system, code, display.lower())) not in seen:
                seen.add(key)
                yield Coded(system, code, display, row["start"])


def _codes(row: Mapping[str, Any]) -> Iterator[tuple[str | None, str | None]]:
    """The code of an event, and its other codes; where it has none, once nothing."""
    yield row["system"], row["code"]
    for other in row["also"] or ():
        system, _, code = other.rpartition("|")
        yield system, code


def _pregnant(
    observations: Iterable[Mapping[str, Any]],
    conditions: Iterable[Coded],
    at: datetime,
    problems: list[str],
) -> bool | None:
    told, when = _said(observations, _PREGNANCY_STATUS, _SAID, at)
    for condition in conditions:
        start = condition.start
        if not _means_pregnancy(condition) or (start is not None and at - start > PREGNANCY):
            continue
        if told is False and start is not None and when is not None and start < when:
            continue  # it is over: that she is not pregnant was said later
        if told is False:
            problems.append(f"“Not pregnant” stands beside {condition.display}; she counts as so.")
        return True
    return told


def _means_pregnancy(condition: Coded) -> bool:
    code = (condition.code or "").replace(".", "")
    if condition.system in (ICD_10, ICD_10_CM):
        # O80 to O92 are of birth and after; Z33.2 is its termination.
        obstetric = code[:1] == "O" and not "O80" <= code[:3] <= "O92"
        return obstetric or code[:3] in ("Z34", "Z3A") or code in ("Z33", "Z331")
    if condition.code is None:
        return condition.display.strip().lower() in ("pregnant", "pregnancy")
    return condition.system == SNOMED and code in _PREGNANT_CODES


def _breastfeeding(
    observations: Iterable[Mapping[str, Any]], conditions: Iterable[Coded], at: datetime
) -> bool | None:
    told, _ = _said(observations, _BREASTFEEDING_STATUS, _FEEDS, at)
    lactating = any((c.code or "").replace(".", "") == "Z391" for c in conditions)
    return told if told is not None else True if lactating else None


def _said(
    observations: Iterable[Mapping[str, Any]],
    loinc: str,
    meaning: Mapping[str, bool],
    at: datetime,
) -> tuple[bool | None, datetime | None]:
    """What the latest answer to a question says, if it is recent, and when it was given."""
    told = [row for row in observations if row["system"] == LOINC and row["code"] == loinc]
    for row in reversed(told):
        answer = meaning.get((row["text"] or "").strip().lower())
        time = row["start"] or row["known"]
        if answer is not None and time is not None and at - time <= PREGNANCY:
            return answer, time
    return None, None


def _allergies(
    rows: Iterable[Mapping[str, Any]], at: datetime, formulary: Formulary, problems: list[str]
) -> Iterator[Allergy]:
    standing = [row for row in rows if row["end"] is None or row["end"] > at]
    none = [row for row in standing if _no_allergy(row)]
    for row in standing:
        if _no_allergy(row):
            continue
        display = row["display"] or row["code"] or ""
        drugs = formulary.of(row["system"], row["code"], row["also"] or (), display)
        yield Allergy(drugs, display, row["system"], row["code"])
    if none and len(none) < len(standing):
        problems.append("“No known allergy” stands beside allergies; the allergies count.")


def _no_allergy(row: Mapping[str, Any]) -> bool:
    words = (row["display"] or "").lower()
    return row["code"] in _NO_ALLERGY or words.startswith(("no known", "nka", "nkda", "no allerg"))


def _medications(
    rows: Iterable[Mapping[str, Any]],
    events: Iterable[Mapping[str, Any]],
    at: datetime,
    formulary: Formulary,
    problems: list[str],
) -> Iterator[Medication]:
    """What is taken: of the orders of the same ingredients those of the latest day.

    An earlier one counts as replaced, unless its end is known and lies ahead. Where no end is known
    an order counts for `TAKEN`, what was given once for a day: all of that day as one.
    """
    times = [row["start"] for row in events if row["start"] is not None and row["start"] <= at]
    last = max(times, default=at)
    orders: dict[tuple[str, ...], list[_Order]] = {}
    for row in rows:
        start = row["start"] or row["known"]
        given = str(row["source"] or "").startswith(_OF_A_DAY)
        long_ago = last - start > (timedelta(days=1) if given else TAKEN)
        if (row["end"] is not None and row["end"] <= at and not given) or long_ago:
            continue
        display = row["display"] or row["code"] or ""
        amount = row["value"]
        if amount is not None and amount < 0:
            problems.append(f"A dose of {amount:g} of {display} cannot be, and is not used.")
            amount = None
        drugs = formulary.of(row["system"], row["code"], row["also"] or (), display)
        if wrong := formulary.conflict(row["system"], row["code"], row["also"] or (), display):
            problems.append(wrong)
        where = "on" if is_local(row["route"]) else "in"
        key = (where, *(sorted(drug.name for drug in drugs) or (display.lower(),)))
        dose = (amount, row["unit"], row["per_day"], row["route"])
        lasts = row["end"] is not None and row["end"] > at
        own = _Order(Medication(drugs, display, *dose, start), start, given, lasts)
        orders.setdefault(key, []).append(own)
    for medication in (each for own in orders.values() for each in _current(own)):
        if not medication.drugs:
            problems.append(f"{medication.display} is not in the formulary: no rule can check it.")
        yield medication


class _Order(NamedTuple):
    """An order or what was given, on its way; lasts: its end is known and lies ahead."""

    medication: Medication
    start: datetime
    given: bool
    lasts: bool


def _current(orders: list[_Order]) -> Iterator[Medication]:
    """Of the orders of one drug those that count, and what was given as one a day."""
    day = max(each.start for each in orders).date()
    counting = [each for each in orders if each.lasts or each.start.date() == day]
    given = [each.medication for each in counting if each.given]
    ordered = [each.medication for each in counting if not each.given]
    if given:
        units = {each.unit for each in given}
        doses = [each.dose for each in given if each.dose is not None]
        whole = sum(doses) if len(doses) == len(given) and len(units) == 1 else None
        ordered.append(replace(given[-1], dose=whole, per_day=None if whole is None else 1.0))
    # The same order, written twice, is one.
    yield from {replace(each, start=None): each for each in ordered}.values()
