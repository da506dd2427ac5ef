"""From the words of a listing to coded labels."""

import re
from collections.abc import Sequence

from polyclinic.core.errors import InvalidInput
from polyclinic.core.prediction import Coding

#: The code system of labels that have no other than their name.
UNNAMED = "urn:polyclinic:label"


def label_indices(
    named: Sequence[Sequence[str]], labels: tuple[Coding, ...] | None, where: str
) -> tuple[tuple[Coding, ...], list[tuple[int, ...]]]:
    """The labels, and for the words that name each picture's labels the rising indices of these.

    A word is a label's code or display, whatever its case. Without `labels` the words themselves
    are, in their order (as numbers where they are), with a code made of letters and digits.
    Raises `InvalidInput` naming the words that are no label, or several in one.
    """
    words = sorted({word for each in named for word in each})
    several = [word for word in words if "|" in word]
    if several:
        raise InvalidInput(
            f"A picture has several labels: {several[0]}.",
            where=where,
            remedy="Say `multi_label: true` in the recipe's data.",
        )
    if labels is None:
        labels = tuple(
            Coding(system=UNNAMED, code=slug(word), display=word)
            for word in sorted(words, key=_order)
        )
    index_of = {
        name.casefold(): index
        for index, label in enumerate(labels)
        for name in (label.display, label.code)
    }
    unknown = [word for word in words if word.casefold() not in index_of]
    if unknown:
        raise InvalidInput(
            f"These are no labels: {', '.join(unknown[:10])}. The labels are "
            f"{', '.join(label.code for label in labels)}.",
            where=where,
            remedy="Name each class by the code or the display of a label of the recipe.",
        )
    if len({label.code for label in labels}) < max(len(labels), 2):
        raise InvalidInput(
            f"At least two distinct labels are needed: {', '.join(words[:10])}.",
            where=where,
        )
    return labels, [tuple(sorted({index_of[word.casefold()] for word in each})) for each in named]


def slug(word: str) -> str:
    """The word as a code: lower case, letters and digits joined by hyphens."""
    return re.sub(r"[\W_]+", "-", word.strip().lower()).strip("-") or "-"


def _order(word: str) -> tuple[int, int, str]:
    return (0, int(word), "") if re.fullmatch(r"\d{1,9}", word) else (1, 0, word)
