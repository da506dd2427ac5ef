import gzip
import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from polyclinic.core.errors import IntegrityError, NotFound, Unavailable
from polyclinic.learning.prepare.catalogue import (
    Download,
    DownloadEntry,
    Member,
    WheelEntry,
    catalogue,
    find,
)
from polyclinic.learning.prepare.fetch import fetch

CONTENT = b"smiles\nCCO\n" * 200_000
TEXTS = {"kind": "table", "title": "made", "licence": "CC0-1.0", "source": "made here"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a web server on this machine that has CONTENT as `made.csv`."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "made.csv").write_bytes(CONTENT)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def entry(url: str, content: bytes = CONTENT, algorithm: str = "sha256") -> DownloadEntry:
    checksum = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
    return DownloadEntry(name="made", files=(Download(url=url, checksum=checksum),), **TEXTS)


def test_the_catalogue_has_medical_pictures_tables_and_molecules() -> None:
    entries = catalogue()
    assert {e.kind for e in entries.values()} == {"images", "table", "molecules", "encoder"}
    assert {"breast-cancer", "digits", "actg175", "moses", "chembl-approved-drugs"} <= set(entries)
    assert sum(name.endswith("mnist") for name in entries) == 12
    assert all(e.licence and e.source for e in entries.values())
    assert find("dermamnist").licence == "CC BY-NC 4.0"


def test_an_unknown_name_is_not_found() -> None:
    with pytest.raises(NotFound, match="mnist-1998"):
        find("mnist-1998")


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_download_is_checked_kept_and_not_fetched_again(
    site: str, tmp_path: Path, algorithm: str
) -> None:
    steps: list[tuple[str, int, int | None]] = []
    made = entry(f"{site}/made.csv?download=1", algorithm=algorithm)
    (path,) = fetch(made, tmp_path, lambda *step: steps.append(step))
    assert path == tmp_path / "data" / "made" / "made.csv"
    assert path.read_bytes() == CONTENT
    assert steps[-1] == ("made.csv", len(CONTENT), len(CONTENT))
    steps.clear()
    fetch(made, tmp_path, lambda *step: steps.append(step))
    assert steps == []


def test_a_file_that_was_changed_is_fetched_again(site: str, tmp_path: Path) -> None:
    made = entry(f"{site}/made.csv")
    (path,) = fetch(made, tmp_path)
    path.write_bytes(b"spoilt")
    fetch(made, tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_wrong_digest_keeps_nothing(site: str, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"made\.csv is not the file"):
        fetch(entry(f"{site}/made.csv", content=b"other"), tmp_path)
    assert list((tmp_path / "data" / "made").iterdir()) == []


def test_a_source_that_does_not_answer_says_what_to_do(site: str, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="404") as caught:
        fetch(entry(f"{site}/missing.csv"), tmp_path)
    assert str(tmp_path / "data" / "made" / "missing.csv") in (caught.value.remedy or "")
    with pytest.raises(Unavailable, match="does not answer"):
        fetch(entry("http://127.0.0.1:1/made.csv"), tmp_path)


def test_a_file_put_there_by_hand_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "made"
    folder.mkdir(parents=True)
    (folder / "made.csv").write_bytes(CONTENT)
    assert fetch(entry("http://127.0.0.1:1/made.csv"), tmp_path) == [folder / "made.csv"]


def test_digits_come_out_of_a_wheel_that_pip_downloads(tmp_path: Path) -> None:
    digits = find("digits")
    try:
        (path,) = fetch(digits, tmp_path)
    except Unavailable as error:
        pytest.skip(f"pip does not reach its package index: {error.detail}")
    assert len(gzip.decompress(path.read_bytes()).splitlines()) == 1797
    assert isinstance(digits, WheelEntry)
    spoilt = digits.model_copy(
        update={
            "name": "spoilt",
            "files": (Member(member=digits.files[0].member, checksum="sha256:" + "0" * 64),),
        }
    )
    with pytest.raises(IntegrityError):
        fetch(spoilt, tmp_path)


def test_a_package_that_pip_cannot_find_is_unavailable(tmp_path: Path) -> None:
    absent = WheelEntry(
        name="absent",
        wheel="scikit-learn==0.0.0",
        files=(Member(member="a.csv", checksum="sha256:" + "0" * 64),),
        **TEXTS,
    )
    with pytest.raises(Unavailable, match=r"scikit-learn==0\.0\.0"):
        fetch(absent, tmp_path)


def test_the_catalogue_is_read_without_heavy_imports() -> None:
    code = (
        "import sys\n"
        "from polyclinic.learning.prepare.catalogue import catalogue\n"
        "catalogue()\n"
        "print([m for m in ('numpy', 'sklearn', 'aiohttp') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
