"""CodeableConcepts and Quantities as an event holds them."""

from typing import NamedTuple

from polyclinic.clinical.analytes import BY_LOINC
from polyclinic.clinical.codes import LOINC, PREFERENCE, spelled
from polyclinic.clinical.fhir.fields import Json, Unreadable, entities, entity, number, string
from polyclinic.clinical.units import Measure, measured

_LAST = len(PREFERENCE)
#: No code and no URI of a system is longer; the caches of what is known of them stay small.
_LONGEST = 256


class Concept(NamedTuple):
    """The code that stands for a concept, and the others, each `system|code`."""

    system: str | None
    code: str | None
    display: str | None
    also: tuple[str, ...]


def concept(parent: Json, name: str) -> Concept | None:
    """The CodeableConcept of that name, if it is there and says something."""
    found = entity(parent, name)
    return None if found is None else _chosen(found)


def coding(parent: Json, name: str) -> Concept | None:
    """The Coding of that name, if it is there and says something."""
    found = entity(parent, name)
    return None if found is None else _chosen({"coding": [found]})


def _chosen(concept: Json) -> Concept | None:
    """The code of the best known system; an analyte's code is the one that stands for it here."""
    best, rank, codes = None, _LAST + 1, []
    display = string(concept, "text")
    for each in entities(concept, "coding"):
        code = string(each, "code")
        if code is None:
            continue
        system = string(each, "system")
        if not code.isprintable() or len(code) > _LONGEST or len(system or "") > _LONGEST:
            raise Unreadable("is no code", "coding")
        system, code = spelled(system, code)
        codes.append((system, code))
        its_rank = PREFERENCE.get(system, _LAST) if system else _LAST
        if its_rank < rank:
            best, rank = (system, code), its_rank
            display = string(each, "display") or display
    if best is None:
        return None if display is None else Concept(None, None, display, ())
    if best[0] == LOINC and best[1] in BY_LOINC:
        best = (LOINC, BY_LOINC[best[1]].loinc)
    also = tuple(f"{system or ''}|{code}" for system, code in codes if (system, code) != best)
    return Concept(*best, display, also)


def words(concept: Concept | None) -> str | None:
    """What a concept is called, as the answer of an observation, say."""
    return None if concept is None else concept.display or concept.code


def quantity(
    parent: Json, name: str, loinc: str | None = None
) -> tuple[Measure, str | None] | None:
    """The Quantity of that name in the unit of its analyte, and its comparator ("<", say)."""
    found = entity(parent, name)
    value = None if found is None else number(found, "value")
    if found is None or value is None:
        return None
    # A code is a unit where UCUM is its system; others state it in `unit`, for people to read.
    unit = string(found, "code") or string(found, "unit")
    measure = measured(loinc, value, unit)
    if measure.canonical is False and "unit" in found:
        measure = measured(loinc, value, string(found, "unit"))
    return measure, string(found, "comparator")
