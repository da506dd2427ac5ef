"""In which way a pair is new: of a known drug and a known protein, or of one that is not known."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

#: What of a pair was in no pair of training.
Novelty = Literal["neither", "drug", "protein", "both"]
NOVELTIES: tuple[Novelty, ...] = ("neither", "drug", "protein", "both")

TOLD: dict[Novelty, str] = {
    "neither": "drug and protein were measured in training, with others",
    "drug": "no measurement of the drug was in training",
    "protein": "no measurement of the protein was in training",
    "both": "neither drug nor protein was in training",
}


class Fold(NamedTuple):
    """Rows that are learnt from, and rows that are held out."""

    learnt: Rows
    held: Rows


def novelty(new_drug: NDArray[np.bool_], new_protein: NDArray[np.bool_]) -> list[Novelty]:
    """Of each pair."""
    places = new_drug.astype(np.int64) + 2 * new_protein
    return [NOVELTIES[place] for place in places.tolist()]


def held_out(
    kind: Novelty,
    drug: Rows,
    protein: Rows,
    folds: int,
    seed: int,
    fold: Rows | None = None,
    crossings: int = 1,
) -> Iterator[Fold]:
    """Rows (n,) split so that held-out pairs are new in one way: drugs, proteins or both whole.

    Of `neither`, `fold` (n,) is the split where it is given. Of `both` each fold of drugs is
    crossed with so many folds of proteins, and the pairs in between are left out.
    """
    rng = np.random.default_rng(seed)
    of_drug = rng.permutation(int(drug.max()) + 1)[drug] % folds
    of_protein = rng.permutation(int(protein.max()) + 1)[protein] % folds
    of_pair = rng.permutation(len(drug)) % folds if fold is None else fold
    for number in range(folds):
        if kind != "both":
            place = {"neither": of_pair, "drug": of_drug, "protein": of_protein}[kind]
            yield from _fold(place != number, place == number)
            continue
        for other in range(min(crossings, folds)):
            drugs, proteins = of_drug == number, of_protein == (number + other) % folds
            yield from _fold(~drugs & ~proteins, drugs & proteins)


def _fold(learnt: NDArray[np.bool_], held: NDArray[np.bool_]) -> Iterator[Fold]:
    if learnt.any() and held.any():
        yield Fold(np.flatnonzero(learnt), np.flatnonzero(held))
