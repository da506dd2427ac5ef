import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.clinical.analytes import ANALYTES, BY_LOINC, BY_NAME, Analyte
from polyclinic.clinical.codes import LOINC, known
from polyclinic.clinical.ucum import Unit, unit
from polyclinic.clinical.units import Measure, measured, straight_line


def convert(
    value: float, source: Unit, target: Unit, analyte: Analyte | None = None
) -> float | None:
    line = straight_line(source, target, analyte)
    return None if line is None else value * line[0] + line[1]


def loinc(name: str) -> str:
    return BY_NAME[name].loinc


# Expected values: the conversion factors of the AMA Manual of Style, 11th edition, table 17.5-1.
@pytest.mark.parametrize(
    ("name", "value", "text", "expected"),
    [
        ("glu", 5.551, "mmol/L", 100),
        ("crea", 88.4, "umol/L", 1.0),
        ("crea", 88.4, "µmol/l", 1.0),
        ("bili", 17.104, "umol/L", 1.0),
        ("bun", 3.57, "mmol/L", 10.0),
        ("ca", 2.495, "mmol/L", 10.0),
        ("ca", 4.99, "mEq/L", 10.0),
        ("mg", 0.4114, "mmol/L", 1.0),
        ("phos", 0.323, "mmol/L", 1.0),
        ("uric_acid", 59.485, "umol/L", 1.0),
        ("cholesterol", 2.586, "mmol/L", 100.0),
        ("triglycerides", 1.129, "mmol/L", 100.0),
        ("iron", 17.91, "umol/L", 100.0),
        ("free_t4", 12.87, "pmol/L", 1.0),
        ("hgb", 140, "g/L", 14.0),
        ("hgb", 6.206, "mmol/L", 10.0),
        ("lact", 9.01, "mg/dL", 1.0),
        ("na", 140, "mEq/L", 140),
        ("temp", 98.6, "[degF]", 37.0),
        ("temp", 98.6, "°F", 37.0),
        ("weight", 150, "[lb_av]", 68.0389),
        ("weight", 150, "lbs", 68.0389),
        ("height", 70, "[in_i]", 177.8),
        ("wbc", 7200, "/uL", 7.2),
        ("wbc", 7.2, "10*9/L", 7.2),
        ("plt", 210, "K/uL", 210),
        ("pco2", 5.333, "kPa", 40.0),
        ("alt", 0.5, "ukat/L", 30.0),
        ("alt", 30, "IU/L", 30.0),
        ("tsh", 2.5, "uIU/mL", 2.5),
        ("tsh", 2.5, "mU/L", 2.5),
        ("tnt", 14, "ng/L", 0.014),
        ("crp", 6.1, "mg/dL", 61.0),
        ("hba1c", 53, "mmol/mol", 7.0),
        ("fio2", 0.4, "1", 40),
        ("hct", 0.42, "L/L", 42),
        ("inr_pt", 1.2, None, 1.2),
        ("inr_pt", 1.2, "{INR}", 1.2),
        ("ph", 7.4, "[pH]", 7.4),
        ("gcs", 15, "", 15),
    ],
)
def test_values_are_brought_to_the_unit_of_their_analyte(
    name: str, value: float, text: str | None, expected: float
) -> None:
    found = measured(loinc(name), value, text)
    assert found.value == pytest.approx(expected, rel=2e-3)
    assert (found.unit, found.canonical) == (BY_NAME[name].unit, True)


@pytest.mark.parametrize("text", [None, "", "furlongs", "kg", "/min", "mg/", "{a}{", "m" * 10_000])
def test_a_value_without_its_unit_is_kept_and_flagged(text: str | None) -> None:
    assert measured(loinc("crea"), 1.5, text) == Measure(1.5, text, False)


def test_of_a_code_without_a_unit_here_only_a_text_that_is_no_unit_is_flagged() -> None:
    assert measured("99999-9", 3.0, "mg/dL") == Measure(3.0, "mg/dL", None)
    assert measured(None, 3.0, "10^3/uL") == Measure(3.0, "10*3/uL", None)
    assert measured(None, 3.0, None) == Measure(3.0, None, None)
    assert measured(None, 3.0, "tablet") == Measure(3.0, "tablet", False)


# The factors are those that ucumvert 0.3.2 gives, which reads UCUM's own table.
@pytest.mark.parametrize(
    ("source", "target", "factor"),
    [
        ("ug/kg/min", "mg/kg/h", 0.06),
        ("mm[Hg]", "kPa", 0.133322),
        ("cm[H2O]", "mm[Hg]", 0.735560),
        ("mL/min", "L/d", 1.44),
        ("kg/m2", "g/cm2", 0.1),
        ("ng/mL", "pg/dL", 1e5),
        ("wk", "d", 7),
        ("a", "mo", 12),
        ("cal", "J", 4.184),
        ("10*3/uL", "10*9/L", 1),
        ("[drp]", "uL", 50),
        ("%", "[ppm]", 1e4),
        ("mL/min/{1.73_m2}", "mL/min", 1),
        ("/{HPF}", "1", 1),
        ("mmol/L", "mol/m3", 1),
        ("g.m/s2", "kg.m.s-2", 1e-3),
    ],
)
def test_units_of_the_same_thing_convert(source: str, target: str, factor: float) -> None:
    first, second = unit(source), unit(target)
    assert first
    assert second
    assert convert(1.0, first, second) == pytest.approx(factor, rel=1e-5)


@pytest.mark.parametrize(("source", "target"), [("mg/dL", "mmol/L"), ("kg", "cm"), ("U/L", "g/L")])
def test_units_of_different_things_do_not(source: str, target: str) -> None:
    first, second = unit(source), unit(target)
    assert first
    assert second
    assert convert(1.0, first, second) is None


UNITS = ("mg/dL", "g/L", "ug/mL", "mmol/L", "umol/L", "meq/L", "kg/m3")
MEASURABLE = [one for one in ANALYTES if one.molar_mass and one.valence]


@given(
    st.floats(-1e6, 1e6),
    st.sampled_from(UNITS),
    st.sampled_from(UNITS),
    st.sampled_from(MEASURABLE),
)
def test_there_and_back_is_the_same(
    value: float, source: str, target: str, analyte: Analyte
) -> None:
    first, second = unit(source), unit(target)
    assert first
    assert second
    there = convert(value, first, second, analyte)
    assert there is not None
    back = convert(there, second, first, analyte)
    assert back == pytest.approx(value, rel=1e-9, abs=1e-9)


@given(st.floats(-80, 200))
def test_temperatures_there_and_back(value: float) -> None:
    celsius, fahrenheit = unit("Cel"), unit("[degF]")
    assert celsius
    assert fahrenheit
    there = convert(value, celsius, fahrenheit)
    assert there == pytest.approx(value * 1.8 + 32, abs=1e-9)


ATOMS = st.sampled_from(
    ["mg", "dL", "10*3", "{x}", "/", ".", "m", "2", "-1", "[", "]", "%", "k", "*"]
)


@given(st.one_of(st.text(max_size=80), st.lists(ATOMS, max_size=30).map("".join)))
def test_any_text_is_a_finite_unit_or_none(text: str) -> None:
    found = unit(text)
    assert found is None or (math.isfinite(found.factor) and found.factor > 0)
    for name in ("ca", "hgb", "alt"):
        assert math.isfinite(measured(loinc(name), 1.0, text).value)


def test_every_analyte_has_a_unit_and_codes_with_right_check_digits() -> None:
    assert all(unit(analyte.unit) for analyte in ANALYTES)
    assert [code for code in BY_LOINC if not known(LOINC, code)] == []
    assert len(BY_LOINC) == sum(1 + len(analyte.also) for analyte in ANALYTES)
    assert len(BY_NAME) == len(ANALYTES)
