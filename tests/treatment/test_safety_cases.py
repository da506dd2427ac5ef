"""Patients and drugs, each from a source that was opened, written before the rules were seen."""

from typing import Any

import pytest
from safety_cases import CASES, found

from polyclinic.treatment.rules import Rules

#: Contraindicated by the case's source, and warned of by ours: what we opened said no more.
WARNED = {"A035", "A051", "A081", "A131", "A133", "A134"}


@pytest.mark.parametrize(
    "case", [each for each in CASES if each["dangerous"]], ids=lambda case: case["id"]
)
def test_what_is_dangerous_is_caught(case: dict[str, Any], rules: Rules) -> None:
    told = [each for each in found(case, rules) if "not known" not in each.because[0]]
    assert told, case["why"]
    if case["contraindicated"] and case["id"] not in WARNED:
        assert any(each.action == "veto" for each in told), case["why"]


@pytest.mark.parametrize(
    "case", [each for each in CASES if not each["dangerous"]], ids=lambda case: case["id"]
)
def test_what_is_clean_is_not_vetoed(case: dict[str, Any], rules: Rules) -> None:
    vetoes = [each for each in found(case, rules) if each.action == "veto"]
    assert not vetoes, [(each.rule, each.because) for each in vetoes]


def test_every_case_names_where_it_was_read() -> None:
    assert len(CASES) >= 180
    assert all(case["source"].startswith("http") for case in CASES)
