import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.clinical import codes


@pytest.mark.parametrize(
    ("system", "code"),
    [
        (codes.ICD_10_CM, "E11.9"),
        (codes.ICD_10_CM, "S72.001A"),
        (codes.ICD_10_CM, "U07.1"),
        (codes.ICD_9_CM, "250.00"),
        (codes.ICD_9_CM, "V45.81"),
        (codes.ICD_9_CM, "E878.8"),
        (codes.ICD_9_CM, "36.05"),
        (codes.LOINC, "2160-0"),
        (codes.RXNORM, "860975"),
        (codes.ATC, "A10BA02"),
        (codes.ATC, "A10"),
        (codes.SNOMED, "44054006"),
        (codes.NDC, "00006494300"),
        (codes.ICD_10_PCS, "0DTJ4ZZ"),
    ],
)
def test_codes_of_the_known_systems_are_known(system: str, code: str) -> None:
    assert codes.known(system, code)


@pytest.mark.parametrize(
    ("system", "code"),
    [
        (codes.ICD_10_CM, "250.00"),
        (codes.ICD_9_CM, "E11.9"),
        (codes.LOINC, "2160-1"),
        (codes.LOINC, "creatinine"),
        (codes.RXNORM, "metformin"),
        (codes.ATC, "A10BA2"),
        (codes.SNOMED, "12"),
        ("urn:local", "2160-0"),
        (None, "2160-0"),
    ],
)
def test_a_code_not_of_its_system_is_not_known(system: str | None, code: str) -> None:
    assert not codes.known(system, code)


def test_a_code_has_one_spelling() -> None:
    oid = "urn:oid:2.16.840.1.113883.6.90"
    assert codes.spelled(oid, "e119") == (codes.ICD_10_CM, "E11.9")
    assert codes.spelled(codes.ICD_10_CM, "I10") == (codes.ICD_10_CM, "I10")
    assert codes.spelled("urn:local", "e119") == ("urn:local", "e119")


@pytest.mark.parametrize(
    ("stored", "procedure", "pointed"),
    [
        ("25000", False, "250.00"),
        ("4019", False, "401.9"),
        ("V4581", False, "V45.81"),
        ("E8788", False, "E878.8"),
        ("042", False, "042"),
        ("3605", True, "36.05"),
        ("401.9", False, "401.9"),
    ],
)
def test_icd_9_cm_is_given_its_point(stored: str, procedure: bool, pointed: str) -> None:
    assert codes.icd_9_cm(stored, procedure=procedure) == pointed


@given(st.sampled_from([codes.ICD_10_CM, codes.LOINC, "x", None]), st.text(max_size=12))
def test_spelling_twice_is_spelling_once(system: str | None, code: str) -> None:
    once = codes.spelled(system, code)
    assert codes.spelled(*once) == once
    assert codes.known(*once) in (True, False)
