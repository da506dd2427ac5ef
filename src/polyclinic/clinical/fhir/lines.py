"""Lines of a large file, in bounded memory whatever the file holds."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from polyclinic.core.errors import InvalidInput

#: No single resource is as large; a longer line is passed over, and never held.
MAX_LINE_BYTES = 16 * 1024 * 1024
_BLOCK = 1024 * 1024


def lines(path: Path, limit: int = MAX_LINE_BYTES) -> Iterator[tuple[int, bytes | None]]:
    """Number (from 1) and bytes of every line that is not blank; None of one above `limit` bytes.

    A file whose name ends in `.gz` is unpacked on the way. Raises `InvalidInput`.
    """
    try:
        with _opened(path) as file:
            number = 0
            # Reading ends at the limit: what follows of the line is then read and thrown away.
            while line := file.readline(limit + 1):
                number += 1
                if len(line) > limit and not line.endswith(b"\n"):
                    while (rest := file.readline(_BLOCK)) and not rest.endswith(b"\n"):
                        pass
                    yield number, None
                elif not line.isspace():
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(f"The file cannot be read: {error}", where=str(path)) from None


def _opened(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.open(path, "rb"))
    return path.open("rb", buffering=_BLOCK)
