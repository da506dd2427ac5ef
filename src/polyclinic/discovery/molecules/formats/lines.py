"""Lines of a file that may be gzipped, cannot be trusted, and may be longer than memory."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

from polyclinic.core.errors import InvalidInput
from polyclinic.discovery.molecules.limits import MOST_LINE

_GZIP = b"\x1f\x8b"


class Lines:
    """The lines of a file, without their ends; `number` is that of the line read last.

    A line of more than `MOST_LINE` bytes is cut there, `cut` is then true, and the rest of it is
    passed over without being kept.
    """

    def __init__(self, stream: BufferedIOBase, path: Path) -> None:
        self._stream = stream
        self.path = path
        self.number = 0
        self.cut = False

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.path.name}:{self.number}"

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = self._stream.readline(MOST_LINE + 1)
            self.cut = len(line) > MOST_LINE and not line.endswith(b"\n")
            rest = line
            while self.cut and rest and not rest.endswith(b"\n"):
                rest = self._stream.readline(2**20)
        except (OSError, EOFError, zlib.error) as error:
            raise InvalidInput(
                f"{self.path.name} cannot be read on after line {self.number}: {error}",
                where=f"{self.path}:{self.number + 1}",
                remedy="Was it cut off, or is it no gzip file?",
            ) from None
        if not line:
            raise StopIteration
        self.number += 1
        return line[:MOST_LINE].rstrip(b"\r\n").decode("utf-8-sig", "replace")


@contextmanager
def open_lines(path: Path) -> Iterator[Lines]:
    """The lines of a file, gzipped or not. Raises `InvalidInput` where it cannot be opened."""
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == _GZIP
            raw.seek(0)
            if zipped:
                with gzip.open(raw) as stream:
                    yield Lines(stream, path)
            else:
                yield Lines(raw, path)
    except OSError as error:
        raise InvalidInput(
            f"{path.name} cannot be opened: {error.strerror or error}", where=str(path)
        ) from None
