"""States of the liver that rules name, from conditions and values."""

from polyclinic.clinical.codes import ICD_10, ICD_10_CM
from polyclinic.treatment.patient import PatientFacts

#: The upper limit of normal ALT, U/L, that its multiples are reckoned from.
ALT_LIMIT = 40.0
#: ICD-10-CM without points. Cirrhosis of any cause; its decompensation: liver failure, ascites,
#: portal hypertension with bleeding varices, encephalopathy, hepatorenal syndrome.
_CIRRHOSIS = ("K703", "K717", "K743", "K744", "K745", "K746", "P7881")
_FAILURE = ("K72", "K704", "K711", "K7682", "K767", "I8501", "I8511", "K7031", "K7151")
_NAMES = {"cirrhosis": "cirrhosis", "hepatic failure": "failure", "liver failure": "failure"}
_STAGES = {
    "child-pugh b": ("cirrhosis", "child-pugh b or c"),
    "child-pugh c": ("cirrhosis", "child-pugh b or c", "child-pugh c", "severe hepatic impairment"),
}


def liver_states(facts: PatientFacts) -> dict[str, str]:
    """The states that hold, as rules name them in lower case, each with the fact behind it.

    Liver failure counts as Child-Pugh C, as severe impairment and as cirrhosis: no rule that is for
    less may miss it.
    """
    states: dict[str, str] = {}

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
        if (coded and code.startswith(_FAILURE)) or "failure" in named:
            add(("acute liver failure", *_STAGES["child-pugh c"]), condition.display)
        if (coded and code.startswith(_CIRRHOSIS)) or "cirrhosis" in named:
            add(("cirrhosis",), condition.display)
    if facts.alt is not None and facts.alt > 3 * ALT_LIMIT:
        add(("alt above 3 x uln", "alt above 3 × uln"), f"ALT {facts.alt:g} U/L")
    return states
