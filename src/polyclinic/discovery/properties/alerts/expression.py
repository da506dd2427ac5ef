"""The SMARTS of one atom, taken apart: what an atom must be, and what must stand around it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rdkit import Chem

#: Queries that an atom answers by the facts that `classes.Kinds` tells apart.
_KNOWN = frozenset(
    {
        *("AtomAtomicNum", "AtomType", "AtomIsAromatic", "AtomIsAliphatic", "AtomNull"),
        *("AtomHCount", "AtomFormalCharge", "AtomExplicitDegree", "AtomTotalDegree"),
        *("AtomTotalValence", "AtomInRing", "AtomInNRings", "AtomMinRingSize"),
        *("AtomIsotope", "AtomAnd", "AtomOr"),
    }
)


@dataclass(frozen=True)
class Expression:
    """An atom's SMARTS: all of `terms`, of each any, of that all primitives."""

    terms: tuple[tuple[tuple[str, ...], ...], ...]

    @classmethod
    def of(cls, smarts: str) -> "Expression":
        """That of an atom's SMARTS, with brackets or without."""
        bare = smarts[1:-1] if smarts.startswith("[") else smarts
        return cls(
            tuple(
                tuple(tuple(_split(both, "&")) for both in _split(either, ","))
                for either in _split(bare, ";")
            )
        )

    def admits(self, answer: Callable[[str], bool]) -> bool:
        """Whether an atom may match, by its answers to plain primitives; never wrongly no.

        Of a pattern that must stand around the atom only its first atom is asked, which is the atom
        itself; of one that must not, nothing.
        """
        return all(
            any(all(_admits(each, answer) for each in both) for both in term) for term in self.terms
        )

    def around(self) -> Iterator[list[list[str]]]:
        """Choices of patterns that must stand around the atom: of each, one in full."""
        for term in self.terms:
            choices = [[text for each in both if (text := _inner(each))] for both in term]
            if all(choices):
                yield choices


def plain(primitive: str) -> Chem.Atom | None:
    """The query of a primitive that the facts of an atom answer; None of any other."""
    query = Chem.AtomFromSmarts(f"[{primitive}]")
    if query is None:
        return None
    names = {line.split()[0] for line in query.DescribeQuery().splitlines() if line.strip()}
    return query if names <= _KNOWN else None


def _admits(primitive: str, answer: Callable[[str], bool]) -> bool:
    inside = _inner(primitive)
    if inside is not None:
        first = Chem.MolFromSmarts(inside).GetAtomWithIdx(0)
        return Expression.of(first.GetSmarts()).admits(answer)
    return "$(" in primitive or answer(primitive)


def _inner(primitive: str) -> str | None:
    """The pattern that `$(...)` asks for."""
    return primitive[2:-1] if primitive.startswith("$(") else None


def _split(text: str, separator: str) -> Iterator[str]:
    """The parts of a text between separators that stand in no parenthesis or bracket."""
    depth, start = 0, 0
    for place, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if character == separator and depth == 0:
            yield text[start:place]
            start = place + 1
    yield text[start:]
