"""States of the liver that rules name, from conditions and values."""

from polyclinic.clinical.codes import ICD_10, ICD_10_CM, SNOMED
from polyclinic.treatment.patient import PatientFacts

#: The upper limit of normal ALT, U/L, that its multiples are reckoned from.
ALT_LIMIT = 40.0
#: ICD-10-CM without points. Cirrhosis of any cause; its decompensation: liver failure, ascites,
#: portal hypertension with bleeding varices, encephalopathy, hepatorenal syndrome.
_CIRRHOSIS = ("K703", "K717", "K743", "K744", "K745", "K746", "P7881")
_FAILURE = ("K72", "K704", "K711", "K7682", "K767", "I8501", "I8511", "K7031", "K7151")
_NAMES = {"cirrhosis": "cirrhosis", "hepatic failure": "failure", "liver failure": "failure"}
_SNOMED = {"19943007": "cirrhosis", "59927004": "failure", "197270009": "failure"}
#: What tells that a cirrhosis is decompensated: ascites, hepatic encephalopathy.
_DECOMPENSATED = ("R18", "K7682")
_STAGES = {
    "child-pugh b": ("cirrhosis", "child-pugh b or c"),
    "child-pugh c": ("cirrhosis", "child-pugh b or c", "child-pugh c", "severe hepatic impairment"),
}
_FAILED = ("acute liver failure", *_STAGES["child-pugh c"])
_HIGH_ALT = "alt above 3 x uln"
#: The states that a rule may name, in lower case.
LIVER_STATES = (*_FAILED, _HIGH_ALT)


def liver_states(facts: PatientFacts) -> dict[str, str]:
    """The states that hold, as rules name them in lower case, each with the fact behind it.

    Liver failure, and cirrhosis that is decompensated, count as Child-Pugh C, as severe impairment
    and as cirrhosis: no rule that is for less may miss them.
    """
    states: dict[str, str] = {}
    worse = ""

    def add(names: tuple[str, ...], because: str) -> None:
        for name in names:
            states.setdefault(name, because)

    for condition in facts.conditions:
        code, words = (condition.code or "").replace(".", ""), condition.display.lower()
        coded = condition.system in (ICD_10, ICD_10_CM)
        for stage, names in _STAGES.items():
            if stage in words:
                add(names, condition.display)
        named = {
            state for word, state in _NAMES.items() if word in words and "history" not in words
        }
        if condition.system == SNOMED and code in _SNOMED:
            named.add(_SNOMED[code])
        if (coded and code.startswith(_FAILURE)) or "failure" in named:
            add(_FAILED, condition.display)
        if (coded and code.startswith(_CIRRHOSIS)) or "cirrhosis" in named:
            add(("cirrhosis",), condition.display)
        if coded and code.startswith(_DECOMPENSATED):
            worse = condition.display
    if worse and "cirrhosis" in states:
        add(_FAILED, worse)
    if facts.alt is not None and facts.alt > 3 * ALT_LIMIT:
        add((_HIGH_ALT,), f"ALT {facts.alt:g} U/L")
    return states
