"""What a search is asked, and what it answers."""

from typing import Annotated, Literal

from pydantic import Field

from polyclinic.core.frozen import Frozen
from polyclinic.core.prediction import Fraction
from polyclinic.discovery.molecules.record import Cell

#: So many queries are answered together.
MOST_QUERIES = 256
#: So many hits of one query are told.
MOST_HITS = 10_000


class SearchRequest(Frozen):
    """Molecules to look for in a library.

    `similar`: each query is a SMILES; at most `k` hits of a Tanimoto similarity of `least` or more,
    the most similar first. `substructure`: each is a SMARTS; the first `k` that hold it, as they
    stand in the library. `columns`: which of the library's columns come along. `seconds` is how
    long a substructure search may take altogether; what was not searched by then is told.
    """

    library: str = Field(min_length=1, max_length=64)
    kind: Literal["similar", "substructure"]
    queries: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_QUERIES)]
    k: int = Field(default=100, ge=1, le=MOST_HITS)
    least: Fraction = 0.0
    columns: tuple[str, ...] = ()
    seconds: float = Field(default=10.0, gt=0.0, le=600.0)


class Hit(Frozen):
    """A molecule that was found.

    `id` is its row in the library, from 0; `similarity` is None where a motif was looked for.
    """

    id: int
    smiles: str
    name: str
    similarity: Fraction | None = None
    properties: dict[str, Cell] = Field(default_factory=dict)


class Found(Frozen):
    """The answer to one query; `query` is how it begins.

    `problem` says why a query failed; the others of its request are answered all the same.
    `searched` is how many of the library's molecules the answer speaks for: fewer than all where
    `k` hits were there before, or the time was over, which `problem` then says.
    """

    query: str
    hits: tuple[Hit, ...] = ()
    searched: int = 0
    problem: str | None = None


class LibraryCard(Frozen):
    """What a library is: its molecules, columns, fingerprints, and the digest that names it."""

    name: str
    digest: str
    molecules: int
    rejected: int
    columns: tuple[str, ...]
    radius: int
    bits: int


class SearchAnswer(Frozen):
    """One answer a query, in their order, and of which library."""

    library: LibraryCard
    found: tuple[Found, ...]
