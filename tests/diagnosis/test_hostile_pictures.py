import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hostile import PICTURE, bearable_files, deflated_bomb, hostile_files, jpeg_2000
from pictures import encode
from polyclinic.core.errors import InputTooLarge, InvalidInput, PolyclinicError, UnsupportedInput
from polyclinic.diagnosis.imaging.reader import open_picture

LIMIT = 10**7


@pytest.fixture(scope="module")
def hostile() -> dict[str, bytes]:
    return dict(hostile_files())


@pytest.fixture(scope="module")
def bearable() -> dict[str, bytes]:
    return dict(bearable_files())


@pytest.fixture(scope="module")
def costs(
    hostile: dict[str, bytes], bearable: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What each file costs, in a process that has read a DICOM file before."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("peak memory is measured through Linux's /proc")
    folder = tmp_path_factory.mktemp("hostile")
    for name, data in (hostile | bearable).items():
        (folder / name).write_bytes(data)
    warm = tmp_path_factory.mktemp("warm") / "warm"
    warm.write_bytes(jpeg_2000())
    script = Path(__file__).parent / "measure_reader.py"
    command = [sys.executable, str(script), str(folder), str(warm)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    shutil.rmtree(folder)
    first, *rest = (json.loads(line) for line in ran.stdout.splitlines())
    return {"process": first, **{each["file"]: each for each in rest}}


def test_no_file_costs_64_mib_or_holds_the_reader_up(
    costs: dict[str, Any], hostile: dict[str, bytes], bearable: dict[str, bytes]
) -> None:
    # The aim is one second; a busy machine must not fail the test, a file that hangs must.
    dear = [
        costs[name]
        for name in (*hostile, *bearable)
        if costs[name]["seconds"] > 15 or costs[name]["mib"] > 64
    ]
    assert dear == []


def test_hostile_files_are_refused_and_bearable_ones_read(
    costs: dict[str, Any], hostile: dict[str, bytes], bearable: dict[str, bytes]
) -> None:
    assert [name for name in hostile if costs[name]["error"] is None] == []
    assert [name for name in hostile if costs[name]["error"][0] != "4"] == []
    assert [name for name in bearable if costs[name]["error"] is not None] == []


def test_a_process_that_reads_dicom_stays_small(costs: dict[str, Any]) -> None:
    assert costs["process"]["dicom_mib"] < 64


def test_pydicom_is_not_loaded_before_a_dicom_arrives(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(encode(PICTURE))
    program = (
        "import sys; from pathlib import Path;"
        "from polyclinic.diagnosis.imaging.classifier import open_picture;"
        f"open_picture(Path({str(tmp_path / 'picture')!r}).read_bytes(), 10**6);"
        "assert 'pydicom' not in sys.modules and 'gdcm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("empty", InvalidInput),
        ("pdf", UnsupportedInput),
        ("png-30000", InputTooLarge),
        ("tiff-huge", InputTooLarge),
        ("dicom-huge", InputTooLarge),
        ("dicom-deflated", InputTooLarge),
        ("dicom-without-pixels", UnsupportedInput),
        ("dicom-unknown-syntax", UnsupportedInput),
        ("truncated-dicom", InvalidInput),
    ],
)
def test_the_refusal_says_what_is_wrong(
    hostile: dict[str, bytes], name: str, error: type[PolyclinicError]
) -> None:
    with pytest.raises(error) as refused:
        open_picture(hostile[name], LIMIT)
    assert type(refused.value) is error


def test_the_deflated_bomb_is_small_and_a_small_deflated_file_is_read() -> None:
    assert len(deflated_bomb()) < 3 * 2**20
    honest = deflated_bomb(2**24)  # a file with more pixels than its header says, but not many
    assert open_picture(honest, LIMIT).image.size == PICTURE.shape


def test_only_the_first_of_many_pages_is_read_and_that_is_said(
    bearable: dict[str, bytes],
) -> None:
    picture = open_picture(bearable["tiff-pages"], LIMIT)
    assert (np.asarray(picture.image) == PICTURE).all()
    assert "first" in picture.notes[0]
