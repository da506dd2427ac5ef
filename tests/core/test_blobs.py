"""Blobs: whole, verified, or refused by name; in a folder and in other stores."""

import hashlib
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyclinic.core.errors import IntegrityError, Unavailable
from polyclinic.core.storage.blobs import Blobs, write_atomic


@pytest.fixture(params=["path", "file", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    urls = {
        "path": str(tmp_path / "b"),
        "file": f"file://{tmp_path / 'b'}",
        "memory": f"memory://{uuid.uuid4().hex}",
    }
    return Blobs(urls[request.param])


def test_bytes_come_back_by_their_digest(blobs: Blobs) -> None:
    for data in (b"", b"some bytes", bytes(range(256)) * 1000):
        digest = blobs.put(data)
        assert digest == hashlib.sha256(data).hexdigest()
        assert blobs.has(digest)
        assert blobs.get(digest) == data
        assert blobs.put(data) == digest


def test_a_missing_blob_is_named(blobs: Blobs) -> None:
    digest = hashlib.sha256(b"never stored").hexdigest()
    assert not blobs.has(digest)
    with pytest.raises(IntegrityError, match=f"{digest} is missing"):
        blobs.get(digest)


@pytest.mark.parametrize("text", ["", "../../etc/passwd", "ab", "A" * 64])
def test_what_is_no_digest_reaches_no_file(blobs: Blobs, text: str) -> None:
    with pytest.raises(IntegrityError, match="not a SHA-256 digest"):
        blobs.get(text)
    with pytest.raises(IntegrityError, match="not a SHA-256 digest"):
        blobs.has(text)


@given(data=st.binary(min_size=1, max_size=200), flip=st.integers(0, 1599), cut=st.booleans())
def test_any_altered_byte_or_length_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, flip: int, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("blobs")
    blobs = Blobs(str(folder))
    digest = blobs.put(data)
    damaged = bytearray(data)
    if cut:
        del damaged[flip % len(data) :]
    else:
        damaged[flip // 8 % len(data)] ^= 1 << flip % 8
    (folder / digest[:2] / digest[2:]).write_bytes(damaged)
    with pytest.raises(IntegrityError, match=f"{digest} was truncated or altered"):
        blobs.get(digest)
    blobs.put(data)
    assert blobs.get(digest) == data


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_atomic(path, b"old")
    with pytest.raises(TypeError):
        write_atomic(path, "text, so the write fails")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert [file.name for file in path.parent.iterdir()] == ["file"]


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="blob store"):
        Blobs(str(tmp_path / "file")).put(b"data")


def test_an_unknown_store_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="nonsense"):
        Blobs("nonsense://place").put(b"data")
