"""A library that was built, open for searches."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from itertools import islice, repeat
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rdkit import Chem

from polyclinic.core.errors import InputTooLarge, InvalidInput, PolyclinicError
from polyclinic.discovery.molecules import Standard, parse
from polyclinic.discovery.molecules.molecule import SHOWN
from polyclinic.discovery.search.answer import (
    MOST_HITS,
    Found,
    Hit,
    LibraryCard,
    SearchAnswer,
    SearchRequest,
)
from polyclinic.discovery.search.build import OWN_COLUMNS
from polyclinic.discovery.search.fingerprints import fold, morgan_words, table
from polyclinic.discovery.search.manifest import MOLECULES, MORGAN, SCREEN, read_manifest
from polyclinic.discovery.search.motifs import Holders, Motifs
from polyclinic.discovery.search.similar import Neighbours, Similarities
from polyclinic.registry.signing import Keys


class Library:
    """Molecules, and searches among them. Open it with `with`, or `close` it.

    Its files' digests and the signature over them are checked when it opens; fingerprints are then
    mapped, not read, so that processes which open the same library share them. SMILES and names
    are in memory, and of other columns those that were asked for.

    folder: what `build_library` made. keys: whose libraries are opened. threads: how many
    queries for similar molecules are answered at a time, and how many threads a search for a motif
    has. processes: how many such searches run at a time.
    Raises `NotFound` where there is none, `IntegrityError` where it is not as it was built.
    """

    def __init__(self, folder: Path, keys: Keys, *, threads: int = 1, processes: int = 1) -> None:
        self.manifest = manifest = read_manifest(folder, keys)
        self.standard = Standard(
            strip_salts=manifest.strip_salts,
            neutralise=manifest.neutralise,
            tautomer=manifest.tautomer,
        )
        self._file = folder / MOLECULES
        self._table = pl.read_parquet(self._file, columns=list(OWN_COLUMNS))
        rows, folded = (
            np.asarray(np.load(folder / file, mmap_mode="r")) for file in (MORGAN, SCREEN)
        )
        self._similarities = Similarities(rows, folded)
        self._motifs = Motifs(folder, processes, threads)
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self.manifest.molecules

    def close(self) -> None:
        """End the processes that look for motifs."""
        self._pool.shutdown(cancel_futures=True)
        self._motifs.close()

    @cached_property
    def card(self) -> LibraryCard:
        """What the library is."""
        own = self.manifest
        return LibraryCard(
            name=own.name,
            digest=own.digest,
            molecules=own.molecules,
            rejected=own.rejected,
            columns=own.columns,
            radius=own.radius,
            bits=own.bits,
        )

    def similar(
        self, molecules: Sequence[Chem.Mol], k: int = 100, least: float = 0.0
    ) -> list[Neighbours]:
        """The `k` molecules most similar to each query, of a similarity of `least` or more.

        Exact: Tanimoto similarity of Morgan fingerprints. molecules: within the limits of `parse`,
        and standardised as the library is (`standard`).
        Raises `InvalidInput` where `k` or `least` cannot be.
        """
        _check(k)
        if not 0.0 <= least <= 1.0:
            raise InvalidInput(f"A similarity of {least} cannot be asked for", where="least")
        if not molecules:
            return []
        words = morgan_words(molecules, self.manifest.radius, self.manifest.bits)
        queries = table(words)
        folded = fold(queries, self.manifest.folds)
        search = partial(self._similarities.search, k=k, least=least)
        run = map if self._threads == 1 else self._pool.map
        return list(run(search, queries, folded))

    def substructure(self, motif: str, k: int = 100, seconds: float = 10.0) -> Holders:
        """The first `k` molecules that hold the SMARTS `motif`, found within `seconds`.

        As RDKit's SubstructLibrary matches: with chirality where the SMARTS has some.
        Raises `InvalidInput` where it is none, or passes a limit.
        """
        _check(k)
        return self._motifs.search(motif, k, seconds)

    def table(self, rows: NDArray[np.integer], columns: Sequence[str] = ()) -> pl.DataFrame:
        """Those rows' id, smiles and name, and the columns asked for, in that order.

        Raises `InvalidInput` naming a column that the library has not.
        """
        if unknown := [name for name in columns if name not in self.manifest.columns]:
            raise InvalidInput(
                f"The library has no column {unknown[0]!r}",
                where="columns",
                remedy=f"It has: {', '.join(self.manifest.columns) or 'none'}.",
            )
        if missing := [name for name in columns if name not in self._table.columns]:
            more = pl.read_parquet(self._file, columns=list(dict.fromkeys(missing)))
            self._table = self._table.hstack(more)
        wanted = dict.fromkeys((*OWN_COLUMNS, *columns))
        return pl.DataFrame([self._table.get_column(name)[rows] for name in wanted])

    def search(self, request: SearchRequest) -> SearchAnswer:
        """The answer to a request. A query that cannot be answered fails alone."""
        self.table(np.empty(0, np.int64), request.columns)
        found = self._similar(request) if request.kind == "similar" else self._holders(request)
        return SearchAnswer(library=self.card, found=tuple(found))

    def _similar(self, request: SearchRequest) -> list[Found]:
        molecules: dict[int, Chem.Mol] = {}
        answers: dict[int, Found] = {}
        for place, query in enumerate(request.queries):
            try:
                molecules[place] = parse(query, standard=self.standard).mol
            except PolyclinicError as error:
                answers[place] = Found(query=query[:SHOWN], problem=error.detail)
        neighbours = self.similar(list(molecules.values()), request.k, request.least)
        # All rows at once: a table is slow to be asked often.
        hits = self._hits(
            np.concatenate([np.empty(0, np.int64), *(one.rows for one in neighbours)]),
            request.columns,
            [similarity for one in neighbours for similarity in one.similarities.tolist()],
        )
        for place, one in zip(molecules, neighbours, strict=True):
            answers[place] = Found(
                query=request.queries[place][:SHOWN],
                hits=tuple(islice(hits, len(one.rows))),
                searched=len(self),
            )
        return [answers[place] for place in range(len(request.queries))]

    def _holders(self, request: SearchRequest) -> list[Found]:
        end = monotonic() + request.seconds
        answers: list[Found] = []
        for place, query in enumerate(request.queries):
            left = max(end - monotonic(), 0.0) / (len(request.queries) - place)
            try:
                held = self.substructure(query, request.k, left)
            except PolyclinicError as error:
                answers.append(Found(query=query[:SHOWN], problem=error.detail))
                continue
            answers.append(
                Found(
                    query=query[:SHOWN],
                    hits=tuple(self._hits(held.rows, request.columns)),
                    searched=held.searched,
                    problem=None
                    if held.complete
                    else f"The time was over: {held.searched} of {len(self)} molecules searched.",
                )
            )
        return answers

    def _hits(
        self,
        rows: NDArray[np.int64],
        columns: Sequence[str],
        similarities: Sequence[float] | None = None,
    ) -> Iterator[Hit]:
        frame = self.table(rows, columns)
        names = frame.columns[len(OWN_COLUMNS) :]
        alike = similarities if similarities is not None else repeat(None, len(rows))
        for (row, smiles, name, *came), similarity in zip(frame.iter_rows(), alike, strict=True):
            properties = dict(zip(names, came, strict=True))
            yield Hit(
                id=row, smiles=smiles, name=name, similarity=similarity, properties=properties
            )


def _check(k: int) -> None:
    if not 1 <= k <= MOST_HITS:
        raise InputTooLarge(f"{k} hits cannot be asked for", where="k", remedy=f"1 to {MOST_HITS}.")
