import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.core.digest import sha256
from polyclinic.core.errors import InvalidInput
from polyclinic.diagnosis.records.inputs import Encoding
from polyclinic.diagnosis.records.record import Record, Series, parse_record, read_record
from polyclinic.diagnosis.records.variables import Variable

NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=5))
def test_numbers_are_the_values_and_nan_where_none_was_made(columns: list[tuple[float]]) -> None:
    values = {f"v{i}": column for i, column in enumerate(columns)}
    series = Series(hours=(0, 3, 4), values=values)
    wanted = [[np.nan if each is None else each for each in column] for column in columns]
    np.testing.assert_array_equal(series.numbers, wanted)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.text('abµ"\n', min_size=1), NUMBERS | st.text("xé\\", max_size=3)),
    st.lists(NUMBERS, min_size=1, max_size=5),
)
def test_the_digest_is_that_of_the_record_as_json(
    values: dict[str, float | str | None], column: list[float | None]
) -> None:
    hours = list(range(len(column)))
    series = Series(hours=hours, values={"hr": column})
    assert len(series.numbers) == 1  # what was computed of it before does not count
    record = Record(values=values, series=series, units={"hr": "/min"})
    assert record.digest == sha256(record.model_dump_json().encode())


def test_another_value_unit_or_hour_is_another_digest() -> None:
    def digest(hour: int = 1, value: float | None = 80, unit: str = "/min") -> str:
        series = {"hours": [0, hour], "values": {"hr": [70, value]}}
        return parse_record({"series": series, "units": {"hr": unit}}).digest

    assert len({digest(), digest(hour=2), digest(value=None), digest(unit="/h")}) == 4


@pytest.mark.parametrize("bounds", [{}, {"low": 0}, {"high": 9}, {"low": 0, "high": 9}])
def test_a_value_beyond_single_precision_is_missing_whatever_the_range(
    bounds: dict[str, float],
) -> None:
    encoding = Encoding(fixed=(Variable(name="a", **bounds), Variable(name="b")))
    read = read_record(parse_record({"values": {"a": 1e300, "b": 2}}), encoding)
    np.testing.assert_equal(read.fixed, [np.nan, 2])
    assert "1 values of a lie outside" in read.warnings[0]


def test_a_unit_of_a_column_that_the_model_does_not_know_is_told() -> None:
    encoding = Encoding(fixed=(Variable(name="crea", unit="mg/dL", loinc="2160-0"),))
    sent = {"values": {"crea": 1.0}, "units": {"creatinine": "umol/L"}}
    (warning,) = read_record(parse_record(sent), encoding).warnings
    assert "creatinine" in warning


def test_a_record_without_any_value_has_no_answer() -> None:
    encoding = Encoding(fixed=(Variable(name="a", low=0, high=9), Variable(name="b")))
    for values in ({"a": None}, {"a": None, "b": None}, {"a": 10}):
        with pytest.raises(InvalidInput, match="is missing"):
            read_record(parse_record({"values": values}), encoding)
    series = {"series": {"hours": [0, 1], "values": {"hr": [None, None]}}}
    hourly = Encoding(fixed=(), hourly=(Variable(name="hr"),), windows=(6,))
    with pytest.raises(InvalidInput, match="is missing"):
        read_record(parse_record(series), hourly)
