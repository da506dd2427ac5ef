"""Proteins: a sequence of residues, read with care, and in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InputTooLarge, InvalidInput

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
#: Letters of IUPAC that name no single residue of the twenty; read as not known.
AMBIGUOUS = "BJOUXZ"
SHORTEST, LONGEST = 20, 10_000
#: Of more residues than this share not known, nothing can be said.
MOST_UNKNOWN = 0.1

#: Residues of like chemistry (Murphy, Wallqvist and Levy 2000, ten letters).
GROUPS = ("LVIM", "C", "A", "G", "ST", "P", "FYW", "EDNQ", "KR", "H")
#: Which of some residues in a row count; four of them do, so that a mutation spoils few.
MASKS = ((0, 1, 2, 3), (0, 1, 3, 4), (0, 1, 2, 4), (0, 2, 3, 4), (0, 1, 3, 5), (0, 2, 4, 5))
WORDS = len(MASKS) * len(GROUPS) ** 4

#: Of more proteins at a time than these few, rows are multiplied whole, so many at once.
FEW, CHUNK = 8, 256

_RESIDUE = np.full(256, len(RESIDUES), np.uint8)
_GROUP = np.full(256, 255, np.uint8)
for _place, _letter in enumerate(RESIDUES):
    _RESIDUE[ord(_letter)] = _place
for _place, _group in enumerate(GROUPS):
    _GROUP[[ord(_letter) for _letter in _group]] = _place


def read_protein(text: str, where: str = "sequence") -> str:
    """The residues of one protein, upper case; a FASTA header and a closing * are dropped.

    Raises `InvalidInput` naming what is wrong: no residue, too few, a letter that is none, too many
    that are not known; `InputTooLarge` of more than 10,000.
    """
    if len(text) > 2 * LONGEST:
        raise InputTooLarge(
            f"The sequence has {len(text):,} letters; at most {LONGEST:,} residues are read.",
            where=where,
            remedy="Send the domain that binds.",
        )
    lines = text.strip().splitlines()
    if lines and lines[0].startswith(">"):
        lines = lines[1:]
    residues = "".join("".join(lines).split()).upper().removesuffix("*")
    if ">" in residues:
        raise InvalidInput("There is more than one sequence.", where=where, remedy="Send one.")
    for place, letter in enumerate(residues):
        if letter not in RESIDUES and letter not in AMBIGUOUS:
            raise InvalidInput(
                f"Letter {place + 1}, {letter!r}, is no residue.",
                where=where,
                remedy="Send a protein in one-letter code.",
            )
    if len(residues) > LONGEST:
        raise InputTooLarge(
            f"The sequence has {len(residues):,} residues; at most {LONGEST:,} are read.",
            where=where,
            remedy="Send the domain that binds.",
        )
    if len(residues) < SHORTEST:
        raise InvalidInput(
            f"The sequence has {len(residues)} residues; a protein has {SHORTEST} or more.",
            where=where,
        )
    unknown = sum(residues.count(letter) for letter in AMBIGUOUS)
    if unknown > MOST_UNKNOWN * len(residues):
        raise InvalidInput(
            f"{unknown} of {len(residues)} residues are not known.",
            where=where,
            remedy="Send a sequence with its residues known.",
        )
    return residues


def one_letter_numbers(sequence: str, length: int) -> NDArray[np.uint8]:
    """Residues (length,) numbered from 1, 21 where not known, 0 where there is none."""
    found = np.zeros(length, np.uint8)
    letters = _letters(sequence)[:length]
    found[: len(letters)] = _RESIDUE[letters] + 1
    return found


def composition(sequence: str) -> Singles:
    """What it is made of (121,): shares of residues, of pairs of groups, and log of its length."""
    letters = _letters(sequence)
    residues = np.bincount(_RESIDUE[letters], minlength=21)[:20] / len(letters)
    group = _GROUP[letters].astype(np.int64)
    pairs = (group[:-1] * 10 + group[1:])[(group[:-1] < 255) & (group[1:] < 255)]
    counted = np.bincount(pairs, minlength=100) / len(letters)
    return np.concatenate([residues, counted, [np.log(len(letters))]]).astype(np.float32)


@dataclass(frozen=True)
class Words:
    """Gapped words of n proteins, as rows of length 1 of a sparse matrix (n, `WORDS`).

    A word is four groups of residues at the places of a mask; a row has the square roots of their
    counts (string kernels: Leslie and Kuang 2004, JMLR 5:1435-1455).
    starts: (n + 1,) of each row in `words` and `weights`.
    """

    starts: NDArray[np.int64]
    words: NDArray[np.int32]
    weights: Singles

    @classmethod
    def of(cls, sequences: Sequence[str]) -> "Words":
        """Of sequences that `read_protein` gave."""
        rows = [_words(sequence) for sequence in sequences]
        starts = np.cumsum([0, *(len(words) for words, _ in rows)])
        words = np.concatenate([words for words, _ in rows]) if rows else np.zeros(0, np.int32)
        weights = np.concatenate([each for _, each in rows]) if rows else np.zeros(0, np.float32)
        return cls(starts, words, weights)

    def similarity(self, others: "Words") -> Floats:
        """How alike each of these (n) is to each of the others (m): cosines (n, m), from 0 to 1."""
        found = np.zeros((len(self.starts) - 1, len(others.starts) - 1))
        if len(found) > FEW:
            for start in range(0, len(found), CHUNK):
                own = self._dense(start)
                for place in range(0, found.shape[1], CHUNK):
                    theirs = others._dense(place)
                    found[start : start + CHUNK, place : place + CHUNK] = own @ theirs.T
            return np.clip(found, 0.0, 1.0)
        begins, rows, weights = others.by_word
        for row, (start, end) in enumerate(zip(self.starts[:-1], self.starts[1:], strict=True)):
            words = self.words[start:end]
            counts = begins[words + 1] - begins[words]
            # The places of all that the others have of these words, one word after another.
            ends = np.cumsum(counts)
            places = np.arange(counts.sum()) + np.repeat(begins[words] - ends + counts, counts)
            shared = np.repeat(self.weights[start:end], counts) * weights[places]
            found[row] = np.bincount(rows[places], shared, found.shape[1])
        return np.clip(found, 0.0, 1.0)

    def _dense(self, start: int) -> Singles:
        """Some rows as they are without sparseness (`CHUNK`, `WORDS`)."""
        ends = self.starts[start : start + CHUNK + 1]
        found = np.zeros((len(ends) - 1, WORDS), np.float32)
        row = np.repeat(np.arange(len(found)), np.diff(ends))
        found[row, self.words[ends[0] : ends[-1]]] = self.weights[ends[0] : ends[-1]]
        return found

    @cached_property
    def by_word(self) -> tuple[NDArray[np.int64], NDArray[np.int64], Singles]:
        """Where each word begins (`WORDS` + 1,), and of each word the rows and their weights."""
        row = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        order = np.argsort(self.words, kind="stable")
        begins = np.cumsum([0, *np.bincount(self.words, minlength=WORDS)])
        return begins, row[order], self.weights[order]


def _words(sequence: str) -> tuple[NDArray[np.int32], Singles]:
    group = _GROUP[_letters(sequence)].astype(np.int64)
    found = []
    for number, mask in enumerate(MASKS):
        n = len(group) - mask[-1]
        if n <= 0:
            continue
        places = np.stack([group[place : place + n] for place in mask])
        places = places[:, (places < 255).all(axis=0)]
        found.append(number * 10_000 + places.T @ np.array([1000, 100, 10, 1]))
    words, counts = np.unique(np.concatenate(found), return_counts=True)
    weights = np.sqrt(counts / max(1, counts.sum()))
    return words.astype(np.int32), weights.astype(np.float32)


def _letters(sequence: str) -> NDArray[np.uint8]:
    return np.frombuffer(sequence.encode("ascii"), np.uint8)
