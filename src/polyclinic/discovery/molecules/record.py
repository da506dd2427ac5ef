"""One molecule as a file has it, not understood yet: it travels cheaply to another process."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from polyclinic.core.errors import InvalidInput
from polyclinic.discovery.molecules.molecule import SHOWN, Molecule, Rejected
from polyclinic.discovery.molecules.parse import parse, parse_block
from polyclinic.discovery.molecules.standardise import Standard

#: A cell of a table, or a field of an SDF, which is text.
Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Record:
    """A SMILES or a mol block, its name, and what stands beside it in the file, by column.

    place: as `library.smi:17`. block: whether `text` is a mol block.
    """

    place: str
    text: str
    name: str = ""
    columns: Mapping[str, Cell] = field(default_factory=dict)
    block: bool = False

    def molecule(self, standard: Standard) -> Molecule | Rejected:
        """The standardised molecule, or why there is none."""
        try:
            return (parse_block if self.block else parse)(self.text, self.name, standard)
        except InvalidInput as error:
            return rejected(self.place, self.text, error.detail)


def rejected(place: str, text: str, reason: str) -> Rejected:
    """A rejection that shows how the text begins, in one line."""
    return Rejected(place, " ".join(text[: 4 * SHOWN].split())[:SHOWN], reason)
