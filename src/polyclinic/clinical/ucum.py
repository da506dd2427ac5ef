"""Units of measure in UCUM, and in spellings outside of it that laboratories use.

Read is what laboratories and bedsides need of UCUM: prefixes, powers, products, quotients, tokens
in brackets, annotations; the atoms' values are those of UCUM 2.1. A library was weighed: `ucumvert`
with `pint` takes 1.3 s to load, longer than a serving process takes to start; it ends in
RecursionError on a long hostile unit; and it vendors UCUM's table, under UCUM's own licence.
"""

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

#: Exponents of the base quantities: ("g", 1), ("m", -3) is a mass concentration.
Dimensions = tuple[tuple[str, int], ...]


class Unit(NamedTuple):
    """A value in base units is `factor` × value + `offset`; base units are `dimensions`."""

    factor: float
    dimensions: Dimensions
    offset: float = 0.0


_PREFIXES = {
    "T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "h": 1e2, "da": 1e1, "d": 1e-1, "c": 1e-2,
    "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15,
}  # fmt: skip
#: What an enzyme unit is in katal.
ENZYME_UNIT = 1e-6 / 60
#: Atoms that take a prefix: factor and base quantities.
_METRIC: Mapping[str, tuple[float, Mapping[str, int]]] = {
    "g": (1.0, {"g": 1}),
    "m": (1.0, {"m": 1}),
    "l": (1e-3, {"m": 3}),
    "L": (1e-3, {"m": 3}),
    "s": (1.0, {"s": 1}),
    "mol": (1.0, {"mol": 1}),
    "eq": (1.0, {"eq": 1}),
    "osm": (1.0, {"osm": 1}),
    "U": (ENZYME_UNIT, {"mol": 1, "s": -1}),
    "kat": (1.0, {"mol": 1, "s": -1}),
    "[iU]": (1.0, {"iU": 1}),
    "[IU]": (1.0, {"iU": 1}),
    "Pa": (1e3, {"g": 1, "m": -1, "s": -2}),
    "bar": (1e8, {"g": 1, "m": -1, "s": -2}),
    "m[Hg]": (133.322e6, {"g": 1, "m": -1, "s": -2}),
    "m[H2O]": (9.80665e6, {"g": 1, "m": -1, "s": -2}),
    "J": (1e3, {"g": 1, "m": 2, "s": -2}),
    "cal": (4184.0, {"g": 1, "m": 2, "s": -2}),
    "K": (1.0, {"K": 1}),
}
#: Atoms that take none.
_PLAIN: Mapping[str, tuple[float, Mapping[str, int]]] = {
    "%": (1e-2, {}),
    "[ppm]": (1e-6, {}),
    "[pH]": (1.0, {"pH": 1}),
    "min": (60.0, {"s": 1}),
    "h": (3600.0, {"s": 1}),
    "d": (86400.0, {"s": 1}),
    "wk": (604800.0, {"s": 1}),
    "mo": (2629800.0, {"s": 1}),
    "a": (31557600.0, {"s": 1}),
    "[in_i]": (0.0254, {"m": 1}),
    "[ft_i]": (0.3048, {"m": 1}),
    "[lb_av]": (453.59237, {"g": 1}),
    "[oz_av]": (28.349523125, {"g": 1}),
    "[drp]": (5e-8, {"m": 3}),
}
#: Scales whose zero is not that of their dimension: alone in a unit only.
_SCALES = {
    "Cel": Unit(1.0, (("K", 1),), 273.15),
    "[degF]": Unit(5 / 9, (("K", 1),), 273.15 - 32 * 5 / 9),
}
#: Spellings outside UCUM, in lower case without blanks.
_SPELLINGS = {
    "mmhg": "mm[Hg]", "cmh2o": "cm[H2O]",
    "bpm": "/min", "beats/min": "/min", "beats/minute": "/min", "breaths/min": "/min",
    "breaths/minute": "/min", "insp/min": "/min", "{beats}/min": "/min",
    "c": "Cel", "°c": "Cel", "degc": "Cel", "celsius": "Cel", "deg.c": "Cel", "&#176;c": "Cel",
    "f": "[degF]", "°f": "[degF]", "degf": "[degF]", "fahrenheit": "[degF]", "deg.f": "[degF]",
    "&#176;f": "[degF]",
    "lb": "[lb_av]", "lbs": "[lb_av]", "oz": "[oz_av]",
    "in": "[in_i]", "inch": "[in_i]", "inches": "[in_i]", "ft": "[ft_i]",
    "k/ul": "10*3/uL", "k/mcl": "10*3/uL", "k/cumm": "10*3/uL", "thou/ul": "10*3/uL",
    "10^3/ul": "10*3/uL", "x10^3/ul": "10*3/uL", "10e3/ul": "10*3/uL", "x10e3/ul": "10*3/uL",
    "10^9/l": "10*9/L", "x10^9/l": "10*9/L", "10e9/l": "10*9/L", "x10e9/l": "10*9/L",
    "m/ul": "10*6/uL", "m/mcl": "10*6/uL", "10^6/ul": "10*6/uL", "x10^6/ul": "10*6/uL",
    "10^12/l": "10*12/L", "x10^12/l": "10*12/L",
    "units/l": "U/L", "iu/l": "[iU]/L", "miu/l": "m[iU]/L", "uiu/ml": "u[iU]/mL",
    "mcu/ml": "u[iU]/mL", "iu/ml": "[iU]/mL", "iu": "[iU]", "units": "[iU]", "unit": "[iU]",
    "unit(s)": "[iU]",
    "sec": "s", "secs": "s", "seconds": "s", "mm/hr": "mm/h", "ml/hr": "mL/h", "hr": "h",
    "ratio": "1", "inr": "1", "ph": "[pH]", "phunits": "[pH]", "percent": "%",
    "mls": "mL", "mls/dl": "mL/dL", "cc": "mL", "gm": "g", "gram": "g", "grams": "g",
    "gm/dl": "g/dL", "meq/l": "meq/L", "mosm/kg": "mosm/kg",
    "ml/min/1.73m2": "mL/min/{1.73_m2}", "ml/min/1.73m^2": "mL/min/{1.73_m2}",
}  # fmt: skip

#: Words of prescriptions and laboratories inside a unit, tried where it is no UCUM as it stands.
_WORDS = (
    ("mcg", "ug"),
    ("mcmol", "umol"),
    ("mcL", "uL"),
    ("mcl", "uL"),
    ("Eq", "eq"),
    ("EQ", "eq"),
)

_ANNOTATION_ALONE = re.compile(r"(?:^|(?<=[./]))\{[^{}]*\}")
_ANNOTATION = re.compile(r"\{[^{}]*\}")
_COMPONENT = re.compile(
    r"10[*^](?P<ten>[+-]?\d{1,2})?|(?P<number>\d{1,6})"
    r"|(?P<atom>(?:[A-Za-z%]|\[[^\[\]]+\])+)(?P<power>[+-]?\d)?"
)
#: No unit in use is longer; a longer text is not looked at.
LONGEST = 64
#: Nor is any as small, or its reciprocal as large: such factors would overflow.
_LEAST = 1e-40
_MICRO = str.maketrans("µμ", "uu")


def unit(text: str) -> Unit | None:
    """A unit in UCUM, or in a common spelling outside of it; None where it is neither."""
    return read(text)[1]


@lru_cache(maxsize=1 << 12)
def read(text: str) -> tuple[str, Unit | None]:
    """The unit in UCUM's spelling, and what it is."""
    if len(text) > LONGEST:
        return text, None
    plain = text.strip().translate(_MICRO)
    squeezed = "".join(plain.split())
    spelling = _SPELLINGS.get(squeezed.lower())
    if spelling is not None:
        return spelling, _parsed(spelling)
    for candidate in (plain, _worded(squeezed), _worded(squeezed.lower())):
        found = _parsed(candidate)
        if found is not None:
            return candidate, found
    return text, None


def _worded(text: str) -> str:
    for word, ucum in _WORDS:
        text = text.replace(word, ucum)
    return text


def _parsed(text: str) -> Unit | None:
    """A term of UCUM (section 2.3), less its parentheses."""
    if text in _SCALES:
        return _SCALES[text]
    signs_and_components = re.split(
        r"([./])", _ANNOTATION.sub("", _ANNOTATION_ALONE.sub("1", text))
    )
    if signs_and_components[:2] == ["", "/"]:
        signs_and_components[0] = "1"
    factor, exponents = 1.0, Counter[str]()
    for index in range(0, len(signs_and_components), 2):
        found = _component(signs_and_components[index])
        if found is None:
            return None
        sign = -1 if index and signs_and_components[index - 1] == "/" else 1
        factor *= found.factor**sign
        exponents.update({base: sign * power for base, power in found.dimensions})
    if not _LEAST < factor < 1 / _LEAST or any(abs(power) > 9 for power in exponents.values()):
        return None
    return Unit(factor, dimensions(exponents))


def _component(text: str) -> Unit | None:
    """One factor of a term."""
    match = _COMPONENT.fullmatch(text)
    if match is None:
        return None
    if match["number"]:
        number = int(match["number"])
        return Unit(float(number), ()) if number else None
    if match["atom"] is None:
        return Unit(10.0 ** int(match["ten"] or 1), ())
    atom = _atom(match["atom"])
    if atom is None:
        return None
    power = int(match["power"] or 1)
    factor, bases = atom
    return Unit(factor**power, dimensions({base: power * each for base, each in bases.items()}))


def _atom(text: str) -> tuple[float, Mapping[str, int]] | None:
    """A unit atom, with a prefix where it may have one."""
    whole = _PLAIN.get(text) or _METRIC.get(text)
    if whole is not None:
        return whole
    for length in (2, 1):
        prefix, metric = _PREFIXES.get(text[:length]), _METRIC.get(text[length:])
        if prefix is not None and metric is not None:
            return prefix * metric[0], metric[1]
    return None


def dimensions(exponents: Mapping[str, int]) -> Dimensions:
    """Exponents in order, without those that are 0."""
    return tuple(sorted((base, power) for base, power in exponents.items() if power))
