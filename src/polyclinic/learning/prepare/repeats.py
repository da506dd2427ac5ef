"""Inputs that stand more than once in a data set, found by their digests in one pass."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from polyclinic.learning.prepare.dataset import Dataset, Part


@dataclass(frozen=True)
class Repeat:
    """One input's places (part, row), the parts they are in, and its distinct sets of labels."""

    places: tuple[tuple[str, int], ...]
    parts: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]


def repeats(dataset: Dataset) -> list[Repeat]:
    """Every input that is, byte for byte, there more than once."""
    truth = {name: part.truth(len(dataset.labels)) for name, part in dataset.parts.items()}
    places: dict[bytes, list[tuple[str, int]]] = defaultdict(list)
    for name, part in dataset.parts.items():
        for row, x in enumerate(part.x):
            digest = hashlib.blake2b(np.ascontiguousarray(x).tobytes(), digest_size=16).digest()
            places[digest].append((name, row))
    return [
        Repeat(
            places=tuple(found),
            parts=tuple(dict.fromkeys(name for name, _ in found)),
            labels=tuple(
                sorted({tuple(np.flatnonzero(truth[name][row]).tolist()) for name, row in found})
            ),
        )
        for found in places.values()
        if len(found) > 1
    ]


def without_leaks(dataset: Dataset) -> Dataset:
    """The data set less each input that stands in a later part too (train, validation, test).

    The later part keeps it, so that what models are judged by stays as it was published.
    """
    leaked: dict[str, list[int]] = defaultdict(list)
    for repeat in repeats(dataset):
        for name, row in repeat.places:
            if name != repeat.parts[-1]:
                leaked[name].append(row)

    def rest(name: str, part: Part) -> Part:
        return part.take(np.setdiff1d(np.arange(len(part)), np.array(leaked[name], dtype=np.int64)))

    return replace(
        dataset,
        train=rest("train", dataset.train),
        validation=rest("validation", dataset.validation),
    )
