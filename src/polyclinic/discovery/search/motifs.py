"""The molecules that hold a motif: RDKit's SubstructLibrary, in a process that can be ended.

No limit on a SMARTS bounds what one match of it may take, and nothing stops RDKit within a match:
what takes too long ends with its process. The next one is ready in about a second, for it maps the
library's files and reads none.

FPSim2 first screens the pattern fingerprints (the same that SubstructLibrary screens by), then
RDKit matches what is left, chunk by chunk in the library's order.
"""

import multiprocessing
import re
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from queue import SimpleQueue
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InputTooLarge, InvalidInput, Unavailable
from polyclinic.discovery.search.manifest import BINARIES, OFFSETS, PATTERN
from polyclinic.discovery.search.matching import serve

#: A SMARTS of more characters is refused unread.
LONGEST = 2_000
#: How deep `$(...)` may stand in one another.
DEEPEST = 8
#: How much longer a process may take to tell that its time is over.
_GRACE_S = 0.25
#: How long a process may take to begin.
_START_S = 60.0


@dataclass(frozen=True)
class Holders:
    """Rows of the library that hold a motif, in its order; `searched` rows from the first on.

    `complete`: all of the library was searched, or as many were found as were asked for.
    """

    rows: NDArray[np.int64]
    searched: int
    complete: bool


class Motifs:
    """Searches of the library in `folder`, as many at a time as there are `processes`.

    threads: how many each has.
    """

    def __init__(self, folder: Path, processes: int = 1, threads: int = 1) -> None:
        self._seekers: SimpleQueue[_Seeker] = SimpleQueue()
        self._all = [_Seeker(folder, threads) for _ in range(processes)]
        for seeker in self._all:
            self._seekers.put(seeker)

    def search(self, motif: str, k: int, seconds: float) -> Holders:
        """The first `k` rows that hold the SMARTS `motif`, or those found within `seconds`.

        Raises `InvalidInput` where it is none, `InputTooLarge` where it passes a limit.
        """
        check_motif(motif)
        seeker = self._seekers.get()
        try:
            return seeker.search(motif, k, seconds)
        finally:
            self._seekers.put(seeker)

    def close(self) -> None:
        """End the processes."""
        for seeker in self._all:
            seeker.end()


def check_motif(motif: str) -> None:
    """Raise unless a SMARTS is short and not nested deeply, before anything parses it."""
    if len(motif) > LONGEST:
        raise InputTooLarge(
            f"The SMARTS has {len(motif)} characters", remedy=f"At most {LONGEST} are read."
        )
    depth = deepest = 0
    nested: list[bool] = []
    for opened in re.findall(r"\$\(|[()]", motif):
        if opened == ")":
            depth -= nested.pop() if nested else False
        else:
            nested.append(opened == "$(")
            depth += nested[-1]
            deepest = max(deepest, depth)
    if deepest > DEEPEST:
        raise InputTooLarge(
            f"The SMARTS nests $(...) {deepest} deep", remedy=f"At most {DEEPEST} are read."
        )


@dataclass
class _Seeker:
    """One process, started when it is first needed."""

    folder: Path
    threads: int
    process: SpawnProcess | None = None
    connection: Connection | None = None
    ready: bool = False

    def search(self, motif: str, k: int, seconds: float) -> Holders:
        connection = self._ready()
        connection.send((motif, k, seconds))
        end = monotonic() + seconds + _GRACE_S
        found: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        searched = 0
        while connection.poll(max(0.0, end - monotonic())):
            try:
                message = connection.recv()
            except EOFError:  # it was ended: for its time, by itself, or for its memory
                break
            match message:
                case "refused", reason:
                    raise InvalidInput(reason)
                case "found", rows, searched:
                    found.append(rows)
                case "done", complete:
                    return Holders(np.concatenate(found), searched, complete)
        self.end()
        self._begin()
        return Holders(np.concatenate(found), searched, False)

    def end(self) -> None:
        if self.process is not None and self.connection is not None:
            self.process.kill()
            self.process.join()
            self.connection.close()
        self.process = self.connection = None

    def _begin(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        files = [self.folder / name for name in (PATTERN, BINARIES, OFFSETS)]
        self.process = context.Process(
            target=serve, args=(*files, self.threads, theirs), daemon=True
        )
        self.process.start()
        theirs.close()
        self.ready = False
        return self.connection

    def _ready(self) -> Connection:
        """The way to the process, once it has begun."""
        connection = self.connection
        if connection is None or self.process is None or not self.process.is_alive():
            self.end()
            connection = self._begin()
        if not self.ready:
            with suppress(EOFError):
                self.ready = connection.poll(_START_S) and connection.recv() == "ready"
        if not self.ready:
            self.end()
            raise Unavailable("The process for substructure searches did not begin")
        return connection
