"""Patients and drugs, each from a source that was opened, written before the rules were seen."""

from typing import Any

import pytest
from safety_cases import CASES, found

from polyclinic.treatment.rules import Rules

#: Contraindicated by the case's source, only warned of by ours. A051: FDA says to limit codeine
#: with a benzodiazepine, save in cough medicine. B107, B112, C064: Beers and the NHS make
#: exceptions. B127: 1 mg of digoxin is a loading dose. B128: a weekly dose cannot be told from a
#: daily one, which oncology gives. B131, B132: above the maximum, not known as toxic. C004, C007:
#: less of the one, its level followed, is done. C008: a leaflet of what is sold without
#: prescription. C072: the same ingredient twice is a warning, its dose may still be right.
WARNED = {
    *("A051", "B107", "B112", "B127", "B128", "B131", "B132"),
    *("C004", "C007", "C008", "C064", "C072"),
}
#: What else a case's kind may be found as: two of a class, of different ATC level 4, interact.
KINDS = {"duplicate": {"duplicate", "interaction"}}
#: Too much for the age is found as a dose.
OTHERWISE = {"B104"}


@pytest.mark.parametrize(
    "case", [each for each in CASES if each["dangerous"]], ids=lambda case: case["id"]
)
def test_what_is_dangerous_is_caught(case: dict[str, Any], rules: Rules) -> None:
    told = [each for each in found(case, rules) if each.action != "unknown"]
    assert told, case["why"]
    kinds = KINDS.get(case["kind"], {case["kind"]})
    assert case["id"] in OTHERWISE or kinds & {each.kind for each in told}
    if case["contraindicated"]:
        vetoed = any(each.action == "veto" for each in told)
        assert vetoed == (case["id"] not in WARNED), case["why"]


@pytest.mark.parametrize(
    "case", [each for each in CASES if not each["dangerous"]], ids=lambda case: case["id"]
)
def test_what_is_clean_is_not_vetoed(case: dict[str, Any], rules: Rules) -> None:
    vetoes = [each for each in found(case, rules) if each.action == "veto"]
    assert not vetoes, [(each.rule, each.because) for each in vetoes]


def test_every_case_names_where_it_was_read() -> None:
    assert len(CASES) >= 460
    assert all(case["source"].startswith("http") for case in CASES)
