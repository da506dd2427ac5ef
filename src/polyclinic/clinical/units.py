"""Values brought to the one unit of their analyte."""

from collections import Counter
from functools import lru_cache
from typing import NamedTuple

from polyclinic.clinical.analytes import BY_LOINC, Analyte
from polyclinic.clinical.ucum import ENZYME_UNIT, LONGEST, Unit, dimensions, read, unit


class Measure(NamedTuple):
    """A value with its unit, and whether that is its code's one unit; None where it has none."""

    value: float
    unit: str | None
    canonical: bool | None


#: Units that may go without saying.
_PURE_NUMBERS = frozenset({"1", "[pH]", "{score}"})
#: Glycated haemoglobin: IFCC's mmol/mol and NGSP's per cent are no multiples of each other.
#: Source: NGSP master equation (Hoelzel et al., Clinical Chemistry 2004).
_IFCC = {("4548-4", "mmol/mol"): (0.09148, 2.152)}


def measured(loinc: str | None, value: float, text: str | None) -> Measure:
    """`value` in the one unit of the code, where its unit is known and measures that.

    Otherwise value and unit are kept as they are and `canonical` is False: the unit is missing, no
    unit, or one that measures something else. Of a pure number (a ratio, a score, pH) it may be
    missing. Where the code has no unit here, `canonical` is None, or False where `text` is no unit.
    """
    found = None if text and len(text) > LONGEST else conversion(loinc, text)
    if found is None:
        return Measure(value, text, False)
    slope, intercept, name = found
    return Measure(value * slope + intercept, name, True if loinc in BY_LOINC else None)


@lru_cache(maxsize=1 << 14)
def conversion(loinc: str | None, text: str | None) -> tuple[float, float, str | None] | None:
    """Slope and intercept from unit `text` to the one in which values of the code are kept, and it.

    None where `measured` would leave the value as it is and flag it.
    """
    analyte = BY_LOINC.get(loinc) if loinc else None
    name, source = read(text) if text else (None, None)
    if analyte is None:
        return (1.0, 0.0, name) if source or not text else None
    if not text and analyte.unit in _PURE_NUMBERS:
        return 1.0, 0.0, analyte.unit
    target = unit(analyte.unit)
    if source is None or target is None:
        return None
    found = _IFCC.get((analyte.loinc, name or "")) or straight_line(source, target, analyte)
    return None if found is None else (*found, analyte.unit)


def straight_line(
    source: Unit, target: Unit, analyte: Analyte | None = None
) -> tuple[float, float] | None:
    """Slope and intercept from `source` to `target`; None where they do not measure the same.

    The analyte's molar mass makes mass and amount convertible, its valence equivalents and amount;
    and an international unit of it is an enzyme unit, as laboratories have it.
    """
    if analyte is not None:
        source, target = _reduced(source, analyte), _reduced(target, analyte)
    if source.dimensions != target.dimensions:
        return None
    return source.factor / target.factor, (source.offset - target.offset) / target.factor


def _reduced(unit: Unit, analyte: Analyte) -> Unit:
    """The unit in fewer base quantities, by what is known of the analyte."""
    factor, exponents = unit.factor, Counter(dict(unit.dimensions))
    enzyme_units = exponents.pop("iU", 0)
    factor *= ENZYME_UNIT**enzyme_units
    exponents.update({"mol": enzyme_units, "s": -enzyme_units})
    if analyte.valence:
        equivalents = exponents.pop("eq", 0)
        factor /= analyte.valence**equivalents
        exponents["mol"] += equivalents
    if analyte.molar_mass:
        moles = exponents.pop("mol", 0)
        factor *= analyte.molar_mass**moles
        exponents["g"] += moles
    return Unit(factor, dimensions(exponents), unit.offset)
