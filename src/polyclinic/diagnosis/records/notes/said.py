"""What each sentence of a note adds to a finding."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from polyclinic.diagnosis.records.features import Floats, Rows
from polyclinic.diagnosis.records.models.linear import Doubles
from polyclinic.diagnosis.records.notes.encoder import Encoder
from polyclinic.diagnosis.records.notes.sentences import sentences


@dataclass(frozen=True)
class Said:
    """A sentence of the note `variable`, and what it adds to the log-odds of a finding."""

    variable: str
    text: str
    contribution: float


def said(
    encoder: Encoder,
    notes: Sequence[tuple[str, str, Rows]],
    x: Floats,
    log_odds: Callable[[Floats], Doubles],
) -> Iterator[Said]:
    """Every sentence of `notes` (name, text, columns of its embedding in the features (d,)).

    What one adds is what the log-odds lose where the note stands without it: exact for every model,
    and no sum over sentences, since an embedding is the mean of those that are there.
    """
    for name, text, columns in notes:
        parts, _ = sentences(text)
        if not parts:
            continue
        embeddings = encoder.embed(parts)
        changed = np.repeat(x[None], len(parts) + 1, axis=0)
        if len(parts) > 1:
            others = (embeddings.sum(axis=0) - embeddings) / (len(parts) - 1)
            changed[1:, columns] = others
        else:
            changed[1:, columns] = np.nan
        scores = log_odds(changed)
        for part, without in zip(parts, scores[1:].tolist(), strict=True):
            yield Said(name, part, float(scores[0]) - without)
