import gzip
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from fhir_examples import STAY, bundle, condition, encounter, event, everything, export, observation
from hypothesis import given, settings
from hypothesis import strategies as st

from polyclinic.clinical.fhir import read_bundle, read_ndjson, stream_ndjson
from polyclinic.clinical.fhir.lines import MAX_LINE_BYTES, lines
from polyclinic.clinical.report import Report
from polyclinic.clinical.timeline import Timeline
from polyclinic.core.errors import InvalidInput, NotFound, PolyclinicError

NOW = datetime(2024, 3, 10, tzinfo=UTC)


def test_an_export_and_a_bundle_of_the_same_resources_are_the_same_timeline(tmp_path: Path) -> None:
    exported = read_ndjson(export(tmp_path, *everything()), received=NOW)
    bundled = read_bundle(bundle(*everything()), received=NOW)
    columns = [column for column in bundled.timeline.events.columns if column != "also"]
    by_source = [one.timeline.events.select(columns).sort("source") for one in (exported, bundled)]
    assert by_source[0].equals(by_source[1])
    assert exported.timeline.patients.equals(bundled.timeline.patients)
    assert exported.report.read == bundled.report.read


def test_files_stand_in_any_order_and_may_be_packed(tmp_path: Path) -> None:
    first, second = tmp_path / "a.ndjson.gz", tmp_path / "b.ndjson"
    first.write_bytes(gzip.compress(orjson.dumps(condition(**STAY))))
    second.write_bytes(b"\n".join(orjson.dumps(one) for one in everything()[:2]))
    reading = read_ndjson(tmp_path)
    known = event(reading, "Condition/c1")["known"]
    assert known == datetime(2024, 3, 9, 12, tzinfo=UTC), "the end of an encounter read later"
    assert not reading.report.counts
    assert read_ndjson([second, first]).timeline.events.equals(reading.timeline.events)


def test_a_bad_line_fails_alone_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "all.ndjson"
    good = [orjson.dumps(one) for one in everything()]
    bad = [b"{", b"[]", b"null", b"\xff", b'{"resourceType": "Observation"}', b"  ", b"\x00"]
    rows = [line for pair in zip(good, bad, strict=False) for line in pair] + good[len(bad) :]
    path.write_bytes(b"\n".join(rows))
    reading = read_ndjson(path, received=NOW)
    assert len(reading.timeline.events) == len(everything()) - 1
    named = [(one.check, one.where) for one in reading.report.issues]
    assert named == [
        ("not_json", "all.ndjson, line 2"),
        ("unreadable_resource", "all.ndjson, line 4"),
        ("unreadable_resource", "all.ndjson, line 6"),
        ("not_json", "all.ndjson, line 8"),
        ("unreadable_resource", "all.ndjson, line 10"),
        ("not_json", "all.ndjson, line 14"),
    ]


def test_a_line_beyond_all_measure_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_bytes(b"short\n" + b"long" * 100 + b"\nshorter\n" + b"l" * 100)
    assert list(lines(path, limit=50)) == [
        (1, b"short\n"),
        (2, None),
        (3, b"shorter\n"),
        (4, None),
    ]


@given(
    st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=8),
    st.integers(1, 40),
)
def test_every_line_is_seen_once_whatever_its_length(
    tmp_path_factory: pytest.TempPathFactory, rows: list[bytes], limit: int
) -> None:
    path = tmp_path_factory.mktemp("lines") / "x.ndjson"
    path.write_bytes(b"\n".join(rows))
    found = dict(lines(path, limit=limit))
    for number, row in enumerate(rows, 1):
        if len(row) > limit:
            assert found[number] is None
        elif row.strip():
            kept = found[number]
            assert kept is not None
            assert kept.removesuffix(b"\n") == row


SCRIPT = """
import resource, sys
from pathlib import Path
from polyclinic.clinical.fhir import read_ndjson
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
reading = read_ndjson(Path(sys.argv[1]))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(after - before, len(reading.timeline.events), dict(reading.report.counts))
"""


def test_a_resource_of_200_megabytes_takes_no_memory_and_loses_nothing_else(
    tmp_path: Path,
) -> None:
    path = tmp_path / "huge.ndjson"
    with path.open("wb") as file:
        for one in everything()[:2]:
            file.write(orjson.dumps(one) + b"\n")
        file.write(b'{"resourceType":"Observation","note":"')
        for _ in range(200):
            file.write(b"x" * 2**20)
        file.write(b'"}\n' + orjson.dumps(observation()) + b"\n")
    run = [sys.executable, "-c", SCRIPT, str(path)]
    output = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    taken, rest = output.split(maxsplit=1)
    assert rest.strip() == "2 {'too_large': 1}"
    assert int(taken) * 1024 < 8 * MAX_LINE_BYTES, "of the 200 MB a few times the limit at most"


def test_a_stream_gives_parts_that_together_are_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [observation(id=f"o{number}", valueInteger=number) for number in range(25)]
    export(tmp_path, *everything()[:2], *many)
    monkeypatch.setattr("polyclinic.clinical.fhir.ndjson._CHUNK", 10)
    report = Report()
    parts = list(stream_ndjson(tmp_path, report))
    assert [len(part.events) for part in parts] == [10, 10, 6]
    whole = read_ndjson(tmp_path)
    assert Timeline.joined(parts).events.equals(whole.timeline.events)
    assert report.read == whole.report.read


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_ndjson(tmp_path / "nowhere")
    with pytest.raises(NotFound):
        read_ndjson(tmp_path)
    torn = tmp_path / "torn.ndjson.gz"
    torn.write_bytes(gzip.compress(orjson.dumps(encounter()) * 100)[:-20])
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_ndjson(torn)
    prose = tmp_path / "prose.ndjson"
    prose.write_text("Dear colleague,\nthank you.\n")
    with pytest.raises(InvalidInput, match="No line"):
        read_ndjson(prose)


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_arbitrary_bytes_raise_nothing_but_typed_errors(
    tmp_path_factory: pytest.TempPathFactory, rows: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "x.ndjson"
    path.write_bytes(b"\n".join(rows))
    with pytest.raises(PolyclinicError):
        read_ndjson(path)
