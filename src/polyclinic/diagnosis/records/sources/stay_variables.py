"""What is known of a stay in intensive care, with what is physically possible in adults.

The ranges are in the units of `clinical.analytes`, and much wider than what is normal.
"""

from polyclinic.clinical.analytes import BY_NAME
from polyclinic.diagnosis.records.variables import AGE, SEX, Variable

_PLAUSIBLE = {
    "alb": (0.3, 9), "alp": (1, 20000), "alt": (0, 40000), "ast": (0, 60000), "be": (-50, 50),
    "bicar": (1, 80), "bili": (0, 90), "bili_dir": (0, 70), "bnd": (0, 100), "bun": (0, 350),
    "ca": (2, 25), "cai": (0.2, 5), "ck": (0, 500000), "ckmb": (0, 5000), "cl": (50, 180),
    "crea": (0.05, 40), "crp": (0, 5000), "dbp": (0, 300), "fgn": (5, 3000), "fio2": (15, 100),
    "glu": (3, 3000), "hgb": (1, 30), "hr": (0, 350), "inr_pt": (0.3, 50), "k": (0.8, 15),
    "lact": (0, 50), "lymph": (0, 100), "map": (0, 350), "mch": (8, 70), "mchc": (10, 60),
    "mcv": (40, 170), "methb": (0, 100), "mg": (0.1, 20), "na": (80, 220), "neut": (0, 100),
    "o2sat": (10, 100), "pco2": (3, 300), "ph": (6.2, 8.0), "phos": (0.05, 40), "plt": (0, 5000),
    "po2": (5, 900), "ptt": (5, 500), "resp": (0, 150), "sbp": (0, 400), "temp": (18, 46),
    "tnt": (0, 300), "urine": (0, 10000), "wbc": (0, 1500),
}  # fmt: skip

#: In the order of `clinical.icu.STATIC`, whose `male` is the index of the sex.
FIXED = (
    Variable(name=AGE, display="Age", unit="a", low=0, high=125),
    Variable(name=SEX, display="Sex", type="category", categories=("Female", "Male")),
    Variable(name="height", display="Body height", unit="cm", loinc="8302-2", low=50, high=260),
    Variable(name="weight", display="Body weight", unit="kg", loinc="29463-7", low=15, high=500),
)
#: In the order of `clinical.icu.VARIABLES`.
HOURLY = tuple(
    Variable(
        name=name,
        display=BY_NAME[name].display,
        unit=BY_NAME[name].unit,
        loinc=BY_NAME[name].loinc,
        low=low,
        high=high,
        adds_up=name == "urine",
    )
    for name, (low, high) in _PLAUSIBLE.items()
)
