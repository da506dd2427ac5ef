"""Parquet, a batch of rows at a time."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from polyclinic.core.errors import InvalidInput
from polyclinic.discovery.molecules.formats.table import Columns
from polyclinic.discovery.molecules.molecule import Rejected
from polyclinic.discovery.molecules.record import Record, rejected

_BATCH = 10_000


def read_parquet(path: Path, columns: Columns) -> Iterator[Record | Rejected]:
    """The rows of a table, by their number from 1 on."""
    try:
        table = pl.scan_parquet(path, glob=False)
        schema = table.collect_schema()
        titles = schema.names()
        smiles, name = columns.found(titles, path.name)
        if schema.dtypes()[smiles] != pl.String:
            raise InvalidInput(
                f"The column {titles[smiles]!r} is no text.",
                where=path.name,
                remedy="Name the column that holds the SMILES.",
            )
        others = [place for place in range(len(titles)) if place not in (smiles, name)]
        number = 0
        for batch in table.collect_batches(chunk_size=_BATCH, maintain_order=True):
            for row in batch.iter_rows():
                number += 1
                place = f"{path.name}:{number}"
                if not row[smiles]:
                    yield rejected(place, "", "There is no SMILES.")
                    continue
                yield Record(
                    place,
                    row[smiles],
                    "" if name is None or row[name] is None else str(row[name]),
                    {titles[at]: row[at] for at in others},
                )
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = next(iter(str(error).splitlines()), "no reason")
        raise InvalidInput(f"{path.name} cannot be read: {reason}", where=str(path)) from None
