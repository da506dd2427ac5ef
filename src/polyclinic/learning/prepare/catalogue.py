"""The catalogue of open data: what there is, under which licence, and where it comes from."""

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import yaml
from pydantic import Field, TypeAdapter

from polyclinic.core.errors import NotFound
from polyclinic.core.frozen import Frozen


class Checked(Frozen):
    """A file known by its digest: `md5:` or `sha256:`, as its source published it."""

    checksum: str = Field(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")

    def is_at(self, path: Path) -> bool:
        """Whether the file is there, with the right digest."""
        if not path.is_file():
            return False
        algorithm, _, digest = self.checksum.partition(":")
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, algorithm).hexdigest() == digest


class Member(Checked):
    """A file inside a wheel."""

    member: str

    @property
    def name(self) -> str:
        """Its name once fetched."""
        return PurePosixPath(self.member).name


class Download(Checked):
    """A file at an address."""

    url: str = Field(pattern=r"^https?://")

    @property
    def name(self) -> str:
        """Its name once fetched."""
        return PurePosixPath(urlsplit(self.url).path).name


class Entry(Frozen):
    """One data set; `source` is what to cite."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    kind: str
    title: str
    licence: str
    source: str

    def folder(self, home: Path) -> Path:
        """Where its files are kept."""
        return home / "data" / self.name


class WheelEntry(Entry):
    """A data set inside a package of the Python package index, such as `lifelines==0.30.3`."""

    wheel: str = Field(pattern=r"^[a-z0-9-]+==[0-9.]+$")
    files: tuple[Member, ...]


class DownloadEntry(Entry):
    """A data set at published addresses."""

    files: tuple[Download, ...]


AnyEntry = WheelEntry | DownloadEntry


@cache
def catalogue() -> dict[str, AnyEntry]:
    """Every entry by name."""
    text = files(__package__).joinpath("catalogue.yaml").read_text(encoding="utf-8")
    entries = TypeAdapter(list[AnyEntry]).validate_python(yaml.safe_load(text))
    return {entry.name: entry for entry in entries}


def find(name: str) -> AnyEntry:
    """The entry of that name. Raises `NotFound` where there is none."""
    try:
        return catalogue()[name]
    except KeyError:
        raise NotFound(
            f"The catalogue has no data set {name!r}.",
            remedy="`polyclinic data list` shows what there is.",
        ) from None
