"""Which columns of a table are the SMILES and the name."""

from collections.abc import Sequence
from dataclasses import dataclass

from polyclinic.core.errors import InvalidInput

_NAMES = ("name", "id", "title", "compound_id", "molecule_id", "chembl_id", "mol_id", "zinc_id")
_SHOWN = 12


@dataclass(frozen=True)
class Columns:
    """The columns asked for; where they are None, they are found by their names.

    smiles: else the column `smiles` in any case, or the only one with that in its name. name: else
    the first of `name`, `id`, `title` and the like; without one, molecules have no names.
    """

    smiles: str | None = None
    name: str | None = None

    def found(self, titles: Sequence[str], where: str) -> tuple[int, int | None]:
        """The places of both. Raises `InvalidInput` naming the columns that there are."""
        by_name = {title.strip().lower(): place for place, title in reversed([*enumerate(titles)])}
        if self.smiles is not None:
            smiles = _asked(self.smiles, titles, where)
        else:
            alike = [place for title, place in by_name.items() if "smiles" in title]
            place = by_name.get("smiles", alike[0] if len(alike) == 1 else None)
            if place is None:
                raise _missing("Which column holds the SMILES is not clear", titles, where)
            smiles = place
        if self.name is not None:
            return smiles, _asked(self.name, titles, where)
        return smiles, next((by_name[name] for name in _NAMES if name in by_name), None)


def _asked(column: str, titles: Sequence[str], where: str) -> int:
    if column not in titles:
        raise _missing(f"There is no column {column!r}", titles, where)
    return list(titles).index(column)


def _missing(what: str, titles: Sequence[str], where: str) -> InvalidInput:
    shown = ", ".join(title[: _SHOWN * 4] for title in titles[:_SHOWN])
    more = f" and {len(titles) - _SHOWN} more" if len(titles) > _SHOWN else ""
    return InvalidInput(
        f"{what}.", where=where, remedy=f"Name one of: {shown}{more}." if shown else None
    )
