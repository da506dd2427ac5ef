"""Fingerprints as FPSim2 reads them: a row of 64-bit words a molecule, by number of bits set.

A table (n, w + 2) of uint64: the molecule's row in the library, w words of bits, and how many bits
are set; rows with fewer bits come first, so that a similarity bounds which rows can reach it
(Swamidass and Baldi 2007, doi:10.1021/ci600358f).

**The folded table.** Most of a search's time is counting common bits of molecules that are nothing
alike. A table folded to few bits counts faster, and can still not lose one: where molecules with
A and B bits fold to a and b of them, they share at most `common folded bits + min(A - a, B - b)`
bits: those of the shared bits that fall together do so in both. The word after the folded bits has
A - a ones, so FPSim2's own count of common bits is that bound, and the similarity that it finds
is the most that there can be.
"""

import heapq
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import BitVectToBinaryText, ExplicitBitVect

Words = NDArray[np.uint64]

RADIUS, BITS = 2, 2048
#: RDKit's SubstructLibrary screens by pattern fingerprints of so many bits.
PATTERN_BITS = 2048
FOLDED_BITS = 256
#: A surplus of more bits counts as so many, those of a word; a query that has more is not screened.
MOST_SURPLUS = 64
_BLOCK = 50_000


def morgan_words(molecules: Iterable[Chem.Mol], radius: int = RADIUS, bits: int = BITS) -> Words:
    """Morgan fingerprints (n, bits / 64), without chirality.

    Source: Rogers and Hahn 2010, doi:10.1021/ci100050t, as RDKit's `MorganGenerator` makes them.
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits)
    return _words((generator.GetFingerprint(molecule) for molecule in molecules), bits)


def pattern_words(molecules: Iterable[Chem.Mol]) -> Words:
    """RDKit's pattern fingerprints (n, PATTERN_BITS / 64): a motif's bits are its holders', too."""
    prints = (Chem.PatternFingerprint(molecule, PATTERN_BITS) for molecule in molecules)
    return _words(prints, PATTERN_BITS)


def table(words: Words, first: int = 0) -> Words:
    """The words (n, w) of the rows from `first` on as a table (n, w + 2), not yet in order."""
    rows = np.arange(first, first + len(words), dtype=np.uint64)
    count = np.bitwise_count(words).sum(axis=1, dtype=np.uint64)
    return np.column_stack([rows, words, count])


def sort_table(source: Path, width: int, to: Path) -> Words:
    """Write the table of raw words at `source`, `width` a row, as a NumPy file in order at `to`.

    Memory is constant; rows with as many bits keep their order. The table, mapped from its file.
    """
    rows = np.memmap(source, np.uint64, "r").reshape(-1, width)
    counts = np.bincount(rows[:, -1].astype(np.int64))
    ends = np.cumsum(counts)
    free = ends - counts
    into = np.lib.format.open_memmap(to, "w+", np.uint64, rows.shape)
    for start in range(0, len(rows), _BLOCK):
        block = np.asarray(rows[start : start + _BLOCK])
        count = block[:, -1].astype(np.int64)
        order = np.argsort(count, kind="stable")
        values, first, size = np.unique(count[order], return_index=True, return_counts=True)
        for value, begin, many in zip(values, first, size, strict=True):
            into[free[value] : free[value] + many] = block[order[begin : begin + many]]
            free[value] += many
    into.flush()
    return np.asarray(into)


def choose_folds(words: Words, folded: int = FOLDED_BITS) -> tuple[int, ...]:
    """For each bit of a sample of fingerprints (n, w) its folded bit, so that few fall together.

    The commonest bit first, each goes where the fewest are.
    """
    share = np.unpackbits(_bytes(words), axis=1, bitorder="little").mean(axis=0)
    heap = [(0.0, bit) for bit in range(folded)]
    folds = [0] * len(share)
    for bit in np.argsort(-share, kind="stable").tolist():
        load, to = heapq.heappop(heap)
        folds[bit] = to
        heapq.heappush(heap, (load + float(share[bit]) + 1e-9, to))
    return tuple(folds)


def fold(rows: Words, folds: Sequence[int], into: Words | None = None) -> Words:
    """The folded table of a table's rows (n, w + 2), whose first column is the place in it."""
    width = FOLDED_BITS // 64
    if into is None:
        into = np.empty((len(rows), width + 3), np.uint64)
    to = np.asarray(folds)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        row, bit = np.nonzero(np.unpackbits(_bytes(block[:, 1:-1]), axis=1, bitorder="little"))
        folded = np.zeros((len(block), FOLDED_BITS), np.uint8)
        folded[row, to[bit]] = 1
        surplus = block[:, -1] - folded.sum(axis=1, dtype=np.uint64)
        part = into[start : start + len(block)]
        part[:, 0] = np.arange(start, start + len(block))
        part[:, 1:-2] = np.packbits(folded, axis=1, bitorder="little").view("<u8")
        part[:, -2] = _ones(surplus)
        part[:, -1] = block[:, -1]
    return into


def _ones(many: Words) -> Words:
    """Words of so many ones: 64 where there are more."""
    ones = (np.uint64(1) << np.minimum(many, np.uint64(63))) - np.uint64(1)
    return np.where(many >= MOST_SURPLUS, ~np.uint64(0), ones)


def _words(fingerprints: Iterable[ExplicitBitVect], bits: int) -> Words:
    text = b"".join(BitVectToBinaryText(fingerprint) for fingerprint in fingerprints)
    return np.frombuffer(text, "<u8").reshape(-1, bits // 64)


def _bytes(words: Words) -> NDArray[np.uint8]:
    return np.ascontiguousarray(words).view(np.uint8)
