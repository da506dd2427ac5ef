"""A library from a stream of molecules: built aside, and there whole or not at all."""

import csv
import os
import shutil
import tempfile
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from re import fullmatch
from threading import Thread
from time import monotonic, sleep
from typing import BinaryIO

import numpy as np
import polars as pl
import rdkit
from rdkit import Chem

from polyclinic.core.errors import Conflict, InvalidInput
from polyclinic.discovery.molecules import Record, Rejected, Standard
from polyclinic.discovery.molecules.record import Cell
from polyclinic.discovery.search.fingerprints import (
    BITS,
    FOLDED_BITS,
    PATTERN_BITS,
    RADIUS,
    Words,
    choose_folds,
    fold,
    morgan_words,
    pattern_words,
    sort_table,
    table,
)
from polyclinic.discovery.search.manifest import (
    BINARIES,
    FILES,
    MOLECULES,
    MORGAN,
    NAME,
    OFFSETS,
    PATTERN,
    SCREEN,
    Manifest,
    describe,
    write_manifest,
)
from polyclinic.registry.signing import Keys

#: What was refused stands here, with its place and the reason.
REJECTED = "rejected.csv"
OWN_COLUMNS = ("id", "smiles", "name")
MOST_COLUMNS = 1000
_BATCH = 2000
#: Batches that are written together, as one row group.
_GROUP = 50
#: Molecules whose bits say which are common.
_SAMPLE = 100_000


@dataclass(frozen=True)
class Progress:
    """How far a build is: molecules in and refused so far, or the step that follows them."""

    step: str
    molecules: int
    rejected: int
    seconds: float


def build_library(
    records: Iterable[Record | Rejected],
    folder: Path,
    keys: Keys,
    *,
    name: str = "",
    standard: Standard = Standard(),  # noqa: B008
    radius: int = RADIUS,
    bits: int = BITS,
    processes: int = 1,
    progress: Callable[[Progress], object] = lambda _: None,
) -> Manifest:
    """Build a library in `folder`, named as it is unless `name` says otherwise.

    records: as `molecules.records` reads them from a file, once, as they come; a column that is
    called as one of the library's own (`OWN_COLUMNS`) has `_` added. standard: how they, and later
    queries, are standardised. keys: the site's, to sign the manifest. processes: how many do the
    work beside this one; with 1 this one does it. Memory does not grow with the library but for 8
    bytes a molecule.

    A build that is broken off leaves a hidden folder beside `folder` at worst, never a library.
    Raises `Conflict` where `folder` is there, `InvalidInput` where no molecule came or more than
    `MOST_COLUMNS` columns did.
    """
    name = name or folder.name
    if fullmatch(NAME, name) is None or bits % 64 or bits < FOLDED_BITS:
        raise InvalidInput(
            f"A library cannot be called {name!r} and have {bits} bits",
            remedy="Letters, digits, dot, dash; a multiple of 64 bits, 256 at least.",
        )
    if folder.exists():
        raise Conflict(f"{folder} is there already", remedy="Remove it, or choose another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    begun = monotonic()
    try:
        writer = _Writer(aside, radius, bits)

        def tell(step: str) -> None:
            progress(Progress(step, writer.molecules, writer.rejected, monotonic() - begun))

        with writer:
            for batch in _read(records, partial(_compute, standard, radius, bits), processes):
                writer.add(batch)
                tell("molecules")
        if not writer.molecules:
            raise InvalidInput("No molecule came that can be used", where=str(folder))
        folds = writer.finish(tell)
        tell("digests")
        manifest = Manifest(
            name=name,
            made=datetime.now(UTC),
            rdkit=rdkit.__version__,
            molecules=writer.molecules,
            rejected=writer.rejected,
            columns=writer.columns,
            radius=radius,
            bits=bits,
            folds=folds,
            strip_salts=standard.strip_salts,
            neutralise=standard.neutralise,
            tautomer=standard.tautomer,
            seconds=round(monotonic() - begun, 3),
            files={file: describe(aside / file) for file in FILES},
        )
        write_manifest(aside, manifest, keys)
        aside.chmod(0o755)
        os.replace(aside, folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    tell("whole")
    return manifest


@dataclass(frozen=True)
class _Row:
    """What the table of molecules has of one."""

    smiles: str
    name: str
    columns: Mapping[str, Cell]


@dataclass(frozen=True)
class _Batch:
    """Molecules, as RDKit's bytes, too, their fingerprints' words, and what was rejected."""

    rows: list[_Row]
    binaries: list[bytes]
    morgan: Words
    pattern: Words
    rejected: list[Rejected]


def _compute(
    standard: Standard, radius: int, bits: int, records: tuple[Record | Rejected, ...]
) -> _Batch:
    rows: list[_Row] = []
    molecules: list[Chem.Mol] = []
    rejected: list[Rejected] = []
    for record in records:
        if isinstance(record, Rejected):
            rejected.append(record)
            continue
        molecule = record.molecule(standard)
        if isinstance(molecule, Rejected):
            rejected.append(molecule)
        else:
            rows.append(_Row(molecule.smiles, molecule.name, record.columns))
            molecules.append(molecule.mol)
    return _Batch(
        rows,
        [molecule.ToBinary() for molecule in molecules],
        morgan_words(molecules, radius, bits),
        pattern_words(molecules),
        rejected,
    )


def _end_with(parent: int) -> None:
    """Have this process end when its parent is gone, even by `kill -9`."""

    def watch() -> None:
        while os.getppid() == parent:
            sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _read(
    records: Iterable[Record | Rejected],
    compute: Callable[[tuple[Record | Rejected, ...]], _Batch],
    processes: int,
) -> Iterator[_Batch]:
    """The molecules batch by batch, in their order; no more are in memory than keep all busy."""
    source = iter(records)
    batches = iter(lambda: tuple(islice(source, _BATCH)), ())
    if processes <= 1:
        yield from map(compute, batches)
        return
    start = partial(_end_with, os.getpid())
    with ProcessPoolExecutor(processes, get_context("spawn"), start) as pool:
        waiting: deque[Future[_Batch]] = deque()
        for batch in batches:
            waiting.append(pool.submit(compute, batch))
            if len(waiting) > 2 * processes:
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()


class _Writer:
    """Writes batches to the folder as they come, and what must be in order at the end."""

    def __init__(self, folder: Path, radius: int, bits: int) -> None:
        self.folder = folder
        self.molecules = self.rejected = 0
        self._bits = bits
        self._names: dict[str, str] = {}
        self._offsets = array("Q", [0])
        self._rows: list[_Row] = []
        self._parts: list[Path] = []

    def __enter__(self) -> None:
        self._binaries = self._open(BINARIES)
        self._morgan, self._pattern = self._open("morgan.raw"), self._open("pattern.raw")
        self._refused = (self.folder / REJECTED).open("w", newline="", encoding="utf-8")
        self._refusals = csv.writer(self._refused)
        self._refusals.writerow(("place", "reason", "text"))

    def __exit__(self, *_: object) -> None:
        for file in (self._binaries, self._morgan, self._pattern, self._refused):
            file.close()

    def _open(self, name: str) -> BinaryIO:
        return (self.folder / name).open("wb")

    def add(self, batch: _Batch) -> None:
        self.rejected += len(batch.rejected)
        self._refusals.writerows((one.place, one.reason, one.text) for one in batch.rejected)
        for binary in batch.binaries:
            self._offsets.append(self._offsets[-1] + len(binary))
        self._binaries.write(b"".join(batch.binaries))
        self._morgan.write(table(batch.morgan, self.molecules).tobytes())
        self._pattern.write(table(batch.pattern, self.molecules).tobytes())
        self.molecules += len(batch.rows)
        self._rows.extend(batch.rows)
        if len(self._rows) >= _BATCH * _GROUP:
            self._write_rows()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self._names.values())

    def _name(self, column: str) -> None:
        """Settle what a column of the source is called in the library."""
        if column in self._names:
            return
        if len(self._names) == MOST_COLUMNS:
            raise InvalidInput(f"More than {MOST_COLUMNS} columns came along", where=column)
        own = column
        while own in (*OWN_COLUMNS, *self._names.values()):
            own += "_"
        self._names[column] = own

    def _write_rows(self) -> None:
        for name in dict.fromkeys(key for row in self._rows for key in row.columns):
            self._name(name)
        first = self.molecules - len(self._rows)
        frame = pl.DataFrame(
            {
                "id": np.arange(first, self.molecules, dtype=np.uint32),
                "smiles": [row.smiles for row in self._rows],
                "name": [row.name for row in self._rows],
            }
        ).with_columns(
            pl.Series(own, [row.columns.get(name) for row in self._rows], strict=False)
            for name, own in self._names.items()
        )
        self._parts.append(self.folder / f"{len(self._parts)}.part")
        frame.write_parquet(self._parts[-1])
        self._rows.clear()

    def finish(self, tell: Callable[[str], None]) -> tuple[int, ...]:
        """Put the fingerprints in order and fold them; for each bit, its folded one."""
        if self._rows:
            self._write_rows()
        tell("table")
        parts = [pl.scan_parquet(part) for part in self._parts]
        pl.concat(parts, how="diagonal_relaxed").sink_parquet(self.folder / MOLECULES)
        for part in self._parts:
            part.unlink()
        np.save(self.folder / OFFSETS, np.frombuffer(self._offsets, np.uint64).astype(np.int64))
        tell("order")
        raw = self.folder / "pattern.raw"
        sort_table(raw, PATTERN_BITS // 64 + 2, self.folder / PATTERN)
        raw.unlink()
        raw = self.folder / "morgan.raw"
        rows = sort_table(raw, self._bits // 64 + 2, self.folder / MORGAN)
        raw.unlink()
        tell("folds")
        folds = choose_folds(rows[:: -(-len(rows) // _SAMPLE), 1:-1])
        shape = (len(rows), FOLDED_BITS // 64 + 3)
        into = np.lib.format.open_memmap(self.folder / SCREEN, "w+", np.uint64, shape)
        fold(rows, folds, into)
        into.flush()
        return folds
