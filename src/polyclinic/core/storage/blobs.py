"""Content-addressed blobs: a folder by default, any fsspec store (S3, memory) by URL."""

import os
import re
import sys
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

from polyclinic.core.digest import sha256
from polyclinic.core.errors import IntegrityError, Unavailable

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """Bytes by their SHA-256 digest, at `ab/cdef...` below `url`.

    `url` is a path, `file://PATH`, or any URL that fsspec knows, such as `s3://BUCKET/PREFIX`. A
    blob is there whole or not at all: a folder gets it by an atomic rename, flushed to disk, and
    an object store's put is atomic already.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        local = url.removeprefix("file://")
        self._folder = None if "://" in local else Path(local)

    def put(self, data: bytes) -> str:
        """Store `data`; its digest. A blob that is there already is written anew, so repaired."""
        digest = sha256(data)
        try:
            if self._folder is not None:
                write_atomic(self._folder / digest[:2] / digest[2:], data)
            else:
                filesystem, root = self._remote
                filesystem.pipe_file(_path(root, digest), data)
        except _failures() as error:
            raise self._unavailable(error) from None
        return digest

    def get(self, digest: str) -> bytes:
        """The blob's bytes. Raises `IntegrityError` when it is missing, truncated or altered."""
        try:
            data = self._read(digest)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise IntegrityError(
                f"Blob {digest} is missing",
                where=self.url,
                remedy="Import the model's bundle again, or restore the store from its backup.",
            ) from None
        except _failures() as error:
            raise self._unavailable(error) from None
        if sha256(data) != digest:
            raise IntegrityError(
                f"Blob {digest} was truncated or altered: {len(data)} bytes of another digest",
                where=self.url,
                remedy="Import the model's bundle again, or restore the store from its backup.",
            )
        return data

    def has(self, digest: str) -> bool:
        """Whether a blob of this digest is there; its content is not checked."""
        _check(digest)
        if self._folder is not None:
            return (self._folder / digest[:2] / digest[2:]).is_file()
        filesystem, root = self._remote
        try:
            # Not `exists`, which says no as well where the store does not answer.
            filesystem.info(_path(root, digest))
        except FileNotFoundError:
            return False
        except _failures() as error:
            raise self._unavailable(error) from None
        return True

    def _read(self, digest: str) -> bytes:
        _check(digest)
        if self._folder is not None:
            return (self._folder / digest[:2] / digest[2:]).read_bytes()
        filesystem, root = self._remote
        data: bytes = filesystem.cat_file(_path(root, digest))
        return data

    @cached_property
    def _remote(self) -> tuple[Any, str]:
        # Imported here: fsspec takes 0.1 s, and a folder does without it.
        from fsspec.core import url_to_fs

        try:
            filesystem, root = url_to_fs(self.url)
        except ImportError as error:
            raise Unavailable(
                f"This blob store needs a package: {error}",
                where=self.url,
                remedy="Install polyclinic[scale].",
            ) from None
        except ValueError as error:
            raise Unavailable(
                str(error), where="setting blobs_url", remedy="Give file://PATH or s3://BUCKET."
            ) from None
        return filesystem, root

    def _unavailable(self, error: Exception) -> Unavailable:
        return Unavailable(
            f"The blob store does not answer: {error}",
            where=self.url,
            remedy="Check that it is there, may be written, and has room.",
        )


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write `data` so that, power failure or not, `path` holds all of it or what it held before.

    The folder is made where it is missing. Raises `OSError`.
    """
    made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    # The names, too, must reach the disk: the file's own, and those of the folders just made.
    for folder in (path.parent, *(new.parent for new in made)):
        _sync_folder(folder)


def _failures() -> tuple[type[Exception], ...]:
    """What a store raises when it does not answer: S3's client, once loaded, has its own."""
    s3 = sys.modules.get("botocore.exceptions")
    return (OSError, s3.BotoCoreError) if s3 else (OSError,)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _path(root: str, digest: str) -> str:
    return f"{root.rstrip('/')}/{digest[:2]}/{digest[2:]}"


def _check(digest: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise IntegrityError(f"{digest!r} is not a SHA-256 digest", remedy="Give 64 hex digits.")
