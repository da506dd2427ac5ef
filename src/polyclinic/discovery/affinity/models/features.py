"""What trees see of a pair: the molecule, the protein, and what is known of those like them.

After SimBoost (He et al. 2017, J Cheminform 9:24). A pair never sees what was measured of itself:
a drug is no neighbour of itself, nor a protein, and means leave the pair out.
"""

import numpy as np
from numpy.typing import NDArray

from polyclinic.discovery.affinity.models.known import Asked, Known

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Flags = NDArray[np.bool_]

#: Similarity to this power weighs neighbours; so many are told one by one.
SHARPNESS, NEAREST = 4, 3
#: Pairs at a time.
CHUNK = 4096


def features(
    known: Known, asked: Asked, hide_drug: Flags, hide_protein: Flags, *, trained: bool
) -> Singles:
    """Features (n, d) of pairs. hide_drug, hide_protein: (n,), as if nothing was measured of it.

    trained: the pairs are the known ones, so that each is left out of its own means.
    """
    parts = []
    for start in range(0, len(asked.drug), CHUNK):
        rows = slice(start, start + CHUNK)
        told = _neighbours(known, asked, rows, hide_drug[rows], hide_protein[rows], trained)
        structure = asked.library.drug_x[asked.drug[rows]]
        sequence = asked.library.protein_x[asked.protein[rows]]
        parts.append(np.concatenate([told.astype(np.float32), structure, sequence], axis=1))
    return np.concatenate(parts)


def width(known: Known) -> int:
    """How many features a pair has."""
    told = 2 + 2 * (2 + 2 * NEAREST) + 5
    return told + int(known.library.drug_x.shape[1] + known.library.protein_x.shape[1])


def _neighbours(
    known: Known, asked: Asked, rows: slice, hide_drug: Flags, hide_protein: Flags, trained: bool
) -> Floats:
    drug, protein = asked.drug[rows], asked.protein[rows]
    n = np.arange(len(drug))
    d, t = asked.known_drug[drug], asked.known_protein[protein]
    like_drug, like_protein = asked.drug_like[drug].copy(), asked.protein_like[protein].copy()
    for like, place in ((like_drug, d), (like_protein, t)):
        own = np.flatnonzero(place >= 0)
        like[own, place[own]] = 0.0
    near_drug, near_protein = like_drug**SHARPNESS, like_protein**SHARPNESS
    sums, counts = known.sums, known.counts
    values = sums / np.maximum(counts, 1)
    d_known, t_known = (d >= 0) & ~hide_drug, (t >= 0) & ~hide_protein
    both = (d >= 0) & (t >= 0) if trained else np.zeros(len(drug), np.bool_)
    own_sum, own_count = np.where(both, sums[d, t], 0.0), np.where(both, counts[d, t], 0.0)
    found = []
    for seen, place, axis in ((d_known, d, 1), (t_known, t, 0)):
        total = sums.sum(axis=axis)[place] - own_sum
        times = counts.sum(axis=axis)[place] - own_count
        found.append(np.where(seen & (times > 0), total / np.maximum(times, 1), np.nan))
    # Drugs alike with this protein, and proteins alike with this drug.
    for seen, like, near, table, many in (
        (t_known, like_drug, near_drug, values.T[t], counts.T[t]),
        (d_known, like_protein, near_protein, values[d], counts[d]),
    ):
        there = (many > 0) & seen[:, None]
        weight = near * there
        total = weight.sum(axis=1)
        mixed = (weight * table).sum(axis=1) / np.where(total > 0, total, np.nan)
        found += [mixed, np.where(there, like, 0.0).max(axis=1)]
        ranked = np.argsort(-np.where(there, like, -1.0), axis=1)[:, :NEAREST]
        for place in ranked.T:
            found += [np.where(there[n, place], table[n, place], np.nan), like[n, place]]
    # Drugs alike with proteins alike, and what those are like on average.
    weight = np.einsum("nq,nq->n", near_drug @ (counts > 0), near_protein)
    total = np.einsum("nq,nq->n", near_drug @ np.where(counts > 0, values, 0.0), near_protein)
    found.append(total / np.where(weight > 0, weight, np.nan))
    for near, axis in ((near_drug, 1), (near_protein, 0)):
        means = sums.sum(axis=axis) / np.maximum(counts.sum(axis=axis), 1)
        found.append((near @ means) / np.maximum(near.sum(axis=1), 1e-12))
        found.append(near.max(axis=1))
    return np.column_stack(found)
