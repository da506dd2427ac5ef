"""Code systems as URIs, one spelling of each code, and whether a code can be one of its system.

The terminologies themselves are not here (most may not be redistributed): a code is known where its
system is one of these and its form that of the system. Sources: FHIR R4, section 4.3 (URIs);
LOINC Users' Guide, appendix C (check digit).
"""

import re
from functools import lru_cache

ICD_9_CM = "http://hl7.org/fhir/sid/icd-9-cm"
ICD_10 = "http://hl7.org/fhir/sid/icd-10"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
ICD_10_PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
LOINC = "http://loinc.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC = "http://www.whocc.no/atc"
SNOMED = "http://snomed.info/sct"
NDC = "http://hl7.org/fhir/sid/ndc"
CPT = "http://www.ama-assn.org/go/cpt"
ENCOUNTER_CLASS = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

#: Systems in order of preference: the first of these among a concept's codes is the event's own.
_FORMS = {
    LOINC: r"(\d{1,7})-\d",
    ICD_10_CM: r"[A-Z]\d[\dA-Z](\.[\dA-Z]{1,4})?",
    ICD_10: r"[A-Z]\d\d(\.[\d-]{1,2})?",
    RXNORM: r"[1-9]\d{0,7}",
    ATC: r"[A-DGHJLMNPRSV](\d\d([A-Z]([A-Z](\d\d)?)?)?)?",
    ICD_9_CM: r"(\d{3}|V\d\d)(\.\d{1,2})?|E\d{3}(\.\d)?|\d\d\.\d{1,2}",
    ICD_10_PCS: r"[\dA-HJ-NP-Z]{7}",
    SNOMED: r"[1-9]\d{5,17}",
    CPT: r"\d{4}[\dA-Z]",
    NDC: r"\d{4,5}-\d{3,4}-\d{1,2}|\d{10,11}",
    ENCOUNTER_CLASS: r"[A-Z]+",
}
_PATTERNS = {system: re.compile(form) for system, form in _FORMS.items()}
PREFERENCE = {system: rank for rank, system in enumerate(_FORMS)}

_OTHER_NAMES = {
    "urn:oid:2.16.840.1.113883.6.103": ICD_9_CM,
    "urn:oid:2.16.840.1.113883.6.104": ICD_9_CM,
    "http://terminology.hl7.org/CodeSystem/icd9": ICD_9_CM,
    "http://terminology.hl7.org/CodeSystem/icd9cm": ICD_9_CM,
    "urn:oid:2.16.840.1.113883.6.3": ICD_10,
    "urn:oid:2.16.840.1.113883.6.90": ICD_10_CM,
    "http://hl7.org/fhir/sid/icd-10-us": ICD_10_CM,
    "urn:oid:2.16.840.1.113883.6.4": ICD_10_PCS,
    "http://hl7.org/fhir/sid/icd-10-pcs": ICD_10_PCS,
    "urn:oid:2.16.840.1.113883.6.1": LOINC,
    "https://loinc.org": LOINC,
    "urn:oid:2.16.840.1.113883.6.88": RXNORM,
    "urn:oid:2.16.840.1.113883.6.73": ATC,
    "urn:oid:2.16.840.1.113883.6.96": SNOMED,
    "https://snomed.info/sct": SNOMED,
    "urn:oid:2.16.840.1.113883.6.69": NDC,
    "urn:oid:2.16.840.1.113883.6.12": CPT,
    "urn:oid:2.16.840.1.113883.5.4": ENCOUNTER_CLASS,
}

#: Where the point of a code goes that is stored without one, as billing tables do.
_POINTED = {ICD_10_CM: 3, ICD_10: 3}


@lru_cache(maxsize=1 << 16)
def spelled(system: str | None, code: str) -> tuple[str | None, str]:
    """System and code in the one spelling used here: the system's URI, upper case, with its point.

    `urn:oid:2.16.840.1.113883.6.90` and `e119` become ICD-10-CM's URI and `E11.9`.
    """
    if system is None:
        return None, code
    system = _OTHER_NAMES.get(system, system)
    place = _POINTED.get(system)
    if place is None:
        return system, code
    code = code.upper()
    return system, code if "." in code or len(code) <= place else f"{code[:place]}.{code[place:]}"


@lru_cache(maxsize=1 << 16)
def known(system: str | None, code: str) -> bool:
    """Whether the system is one of these, and the code has its form."""
    pattern = None if system is None else _PATTERNS.get(system)
    if pattern is None or not code.isascii() or not pattern.fullmatch(code):
        return False
    return system != LOINC or code[-1] == _loinc_check_digit(code[:-2])


def icd_9_cm(code: str, *, procedure: bool = False) -> str:
    """A code stored without its point: `25000` is `250.00`, `E8788` `E878.8`, `3605` `36.05`."""
    place = 2 if procedure else 4 if code.startswith("E") else 3
    return code if "." in code or len(code) <= place else f"{code[:place]}.{code[place:]}"


def _loinc_check_digit(number: str) -> str:
    """Modulus 10: every second digit from the right is doubled."""
    digits = [int(digit) for digit in reversed(number)]
    doubled = [2 * digit for digit in digits[::2]]
    return str(-sum(digits[1::2] + [digit // 10 + digit % 10 for digit in doubled]) % 10)
