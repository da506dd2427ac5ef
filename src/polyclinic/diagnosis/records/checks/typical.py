"""Between which values the median of adults in hospital lies, of what is measured everywhere.

From textbook reference intervals, widened to where the medians of wards and of intensive care lie.
They tell a whole column's unit or place apart from others, never one patient's health. By LOINC
code (`clinical.analytes`), in the units there.
"""

from polyclinic.clinical.analytes import BY_LOINC, BY_NAME
from polyclinic.diagnosis.records.variables import AGE, Variable

_MEDIAN = {
    "alb": (2, 5), "alp": (40, 200), "alt": (10, 100), "ast": (10, 150), "be": (-8, 6),
    "bicar": (18, 32), "bili": (0.2, 3), "bun": (8, 50), "ca": (7, 11), "cai": (0.9, 1.4),
    "cl": (94, 115), "crea": (0.5, 2.5), "dbp": (45, 90), "fgn": (150, 700), "fio2": (21, 70),
    "glu": (80, 220), "hgb": (7, 16), "hr": (55, 115), "inr_pt": (0.8, 2.5), "k": (3.2, 5.2),
    "lact": (0.7, 5), "map": (55, 110), "mch": (25, 35), "mchc": (29, 37), "mcv": (78, 102),
    "mg": (1.5, 2.8), "na": (130, 147), "neut": (45, 92), "o2sat": (88, 100), "pco2": (28, 60),
    "ph": (7.2, 7.5), "phos": (2, 6), "plt": (100, 400), "po2": (55, 200), "ptt": (22, 60),
    "resp": (11, 28), "sbp": (95, 160), "temp": (35.5, 38.2), "wbc": (4, 20), "height": (150, 185),
    "weight": (50, 110),
}  # fmt: skip
#: Adults alone are meant.
_AGE = (18, 90)


def typical(variable: Variable) -> tuple[float, float] | None:
    """Where a cohort's median of a variable lies, or None where that is not known."""
    if variable.name == AGE and variable.unit == "a":
        return _AGE
    found = BY_LOINC.get(variable.loinc) if variable.loinc else BY_NAME.get(variable.name)
    return None if found is None or found.unit != variable.unit else _MEDIAN.get(found.name)
