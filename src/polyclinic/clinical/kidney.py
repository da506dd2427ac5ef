"""Kidney function: from creatinine, and by diagnosis."""

from polyclinic.clinical.codes import ICD_9_CM, ICD_10, ICD_10_CM, SNOMED

#: The least age in years that the equation is for.
ADULT = 18.0
#: The least age in years that `schwartz_2009` is for.
CHILD = 1.0
#: The rate that each diagnosis puts kidney function below, by the start of its code without points.
#: Sources: KDIGO 2012, Evaluation and management of chronic kidney disease, table 5; the tabular
#: lists of ICD-10-CM (N18, Z99.2) and ICD-9-CM (585, V45.11).
_BELOW = {
    "N183": 60.0,
    "N1831": 60.0,
    "N1832": 45.0,
    "N184": 30.0,
    "N185": 15.0,
    "N186": 15.0,
    "Z992": 15.0,
    "5853": 60.0,
    "5854": 30.0,
    "5855": 15.0,
    "5856": 15.0,
    "V4511": 15.0,
    "433144002": 60.0,
    "431857002": 30.0,
    "433146000": 15.0,
    "46177005": 15.0,
}
_WORDS = {
    "chronic kidney disease stage 3": 60.0,
    "chronic kidney disease stage 4": 30.0,
    "chronic kidney disease stage 5": 15.0,
    "end stage renal disease": 15.0,
    "end stage kidney disease": 15.0,
}
_SYSTEMS = (ICD_10, ICD_10_CM, ICD_9_CM, SNOMED)


def ckd_epi_2021(creatinine: float, age: float, *, female: bool) -> float:
    """The estimated glomerular filtration rate in mL/min/1.73 m2.

    creatinine: in serum, standardised, mg/dL, above 0. age: in years, at least `ADULT`.
    Source: Inker et al. 2021, New equations to estimate GFR without race, NEJM 385:1737-1749, the
    creatinine equation of table 2.
    """
    kappa, alpha, factor = (0.7, -0.241, 1.012) if female else (0.9, -0.302, 1.0)
    ratio = creatinine / kappa
    low, high = min(ratio, 1.0) ** alpha, max(ratio, 1.0) ** -1.200
    return float(142 * low * high * 0.9938**age * factor)


def schwartz_2009(creatinine: float, height: float) -> float:
    """The estimated glomerular filtration rate of a child, mL/min/1.73 m2.

    creatinine: in serum, by an enzymatic method, mg/dL, above 0. height: cm. For ages from `CHILD`
    to below `ADULT`. Source: Schwartz et al. 2009, New equations to estimate GFR in children with
    CKD, J Am Soc Nephrol 20:629-637, the bedside equation.
    """
    return 0.413 * height / creatinine


def rate_below(system: str | None, code: str | None, display: str) -> float | None:
    """What a diagnosis says the filtration rate is below, mL/min/1.73 m2; None where nothing."""
    if system in _SYSTEMS and code:
        found = _BELOW.get(code.replace(".", "").upper())
        if found is not None:
            return found
    words = " ".join(display.lower().replace(",", " ").replace("-", " ").replace("(", " ").split())
    return min((rate for term, rate in _WORDS.items() if term in words), default=None)
