"""The process that matches a motif: it is given one after the other, and may be ended at any time.

It imports little, to be ready soon.
"""

import signal
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdSubstructLibrary
from rdkit.rdBase import BlockLogs

from polyclinic.discovery.search.fingerprints import Words, pattern_words, table
from polyclinic.discovery.search.kernel import substructure_screenout

#: A SMARTS of more atoms is refused.
MOST_ATOMS = 200
#: How long after its time it ends itself, should nobody be left to end it.
_ALONE_S = 2.0
#: How often it tells what it has found.
_CHUNK_S = 0.05


def serve(
    patterns: Path, binaries: Path, offsets: Path, threads: int, connection: Connection
) -> None:
    """What the process does: one search after the other, until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    quiet = BlockLogs()
    library = _Library(patterns, binaries, offsets, threads)
    connection.send("ready")
    while True:
        try:
            motif, k, seconds = connection.recv()
            if hasattr(signal, "setitimer"):  # should nobody be left to end this process
                signal.setitimer(signal.ITIMER_REAL, seconds + _ALONE_S)
            library.search(motif, k, monotonic() + seconds, connection)
            if hasattr(signal, "setitimer"):
                signal.setitimer(signal.ITIMER_REAL, 0)
        except (EOFError, BrokenPipeError):
            break
    del quiet


class _Library:
    """A library's molecules and pattern fingerprints, mapped from their files."""

    def __init__(self, patterns: Path, binaries: Path, offsets: Path, threads: int) -> None:
        self._threads = threads
        self._patterns: Words = np.asarray(np.load(patterns, mmap_mode="r"))
        self._counts = np.array(self._patterns[:, -1])
        self._binaries = np.asarray(np.memmap(binaries, np.uint8, "r"))
        self._offsets = np.load(offsets)

    def search(self, motif: str, k: int, end: float, connection: Connection) -> None:
        """Send `refused` and why; or `found`, rows and how many were searched, until `done`."""
        query = Chem.MolFromSmarts(motif)
        if query is None:
            connection.send(("refused", "The SMARTS cannot be read"))
            return
        if not 1 <= query.GetNumAtoms() <= MOST_ATOMS:
            reason = f"The SMARTS has {query.GetNumAtoms()} atoms, not 1 to {MOST_ATOMS}"
            connection.send(("refused", reason))
            return
        rows, total = self._candidates(query), len(self._counts)
        chunk, place = 256, 0
        while place < len(rows) and k > 0 and monotonic() < end:
            begun = monotonic()
            part = rows[place : place + chunk]
            held = self._matched(query, part, k)
            place, k = place + len(part), k - len(held)
            last = held[-1] + 1 if k == 0 else part[-1] + 1
            connection.send(("found", held, int(total if place == len(rows) and k else last)))
            chunk = int(np.clip(chunk * _CHUNK_S / max(monotonic() - begun, 1e-4), 16, 65536))
        if not len(rows):
            connection.send(("found", rows, total))
        connection.send(("done", k == 0 or place == len(rows)))

    def _candidates(self, query: Chem.Mol) -> NDArray[np.int64]:
        """The rows that have all bits of the motif, in the library's order."""
        row = table(pattern_words([query]))[0]
        start = int(np.searchsorted(self._counts, row[-1]))
        if start == len(self._counts):
            return np.empty(0, np.int64)
        rows = substructure_screenout(row, self._patterns, start, len(self._counts))
        return np.sort(rows).astype(np.int64)

    def _matched(self, query: Chem.Mol, rows: NDArray[np.int64], k: int) -> NDArray[np.int64]:
        """The first `k` of these rows that hold the motif."""
        holder: Any = rdSubstructLibrary.CachedMolHolder()
        for begin, end in zip(self._offsets[rows], self._offsets[rows + 1], strict=True):
            holder.AddBinary(self._binaries[begin:end].tobytes())
        library = rdSubstructLibrary.SubstructLibrary(holder)
        # Several threads find some k, not the first.
        most = k if self._threads == 1 else len(rows)
        found: Sequence[int] = library.GetMatches(query, numThreads=self._threads, maxResults=most)
        return rows[np.sort(np.asarray(found, np.int64))[:k]]
