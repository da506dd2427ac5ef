"""Which of the patient's own facts weighed most: each is forgotten in turn, and scored anew."""

from collections.abc import Mapping, Sequence

import numpy as np

from polyclinic.treatment.answer import Reason
from polyclinic.treatment.orders.encoding import Encoded, Fact, Floats, Vocabulary
from polyclinic.treatment.orders.models.scorers import LogOdds

#: So many reasons are told of a treatment.
TOLD = 5
#: A fact that moves the log-odds by less says nothing.
LEAST = 0.01


def without_each(encoded: Encoded, facts: Sequence[Fact], vocabulary: Vocabulary) -> Encoded:
    """The one visit that is asked about, once for each fact that is forgotten, in every visit."""
    r, count = len(encoded.x), len(facts)
    x = np.tile(encoded.x, (count, 1))
    ordered = np.tile(encoded.ordered, (count, 1))
    for number, fact in enumerate(facts):
        rows = slice(number * r, (number + 1) * r)
        x[rows, list(fact.columns)] = 0
        if fact.kind == "history":
            ordered[rows, fact.index] = False
    shift = r * np.arange(count)
    before = np.where(encoded.before >= 0, encoded.before + shift[:, None], -1)
    return Encoded(x, ordered, encoded.asked[0] + shift, before)


def weigh(
    model: LogOdds, encoded: Encoded, vocabulary: Vocabulary, words: Mapping[str, str]
) -> tuple[list[Fact], Floats]:
    """The facts of the one visit that is asked about, and what each adds to log-odds (f, m).

    words: as in `Vocabulary.facts`.
    """
    facts = list(vocabulary.facts(encoded.x[encoded.asked[0]], words))
    if not facts:
        return [], np.zeros((0, vocabulary.m), np.float32)
    whole = model.logits(encoded)
    return facts, whole - model.logits(without_each(encoded, facts, vocabulary))


def reasons(facts: Sequence[Fact], weights: Floats, place: int) -> tuple[Reason, ...]:
    """The weightiest facts for or against the treatment at `place`."""
    own = weights[:, place]
    order = np.argsort(-np.abs(own), kind="stable")[:TOLD]
    return tuple(
        Reason(fact=facts[i].display, kind=facts[i].kind, weight=round(float(own[i]), 4))
        for i in order.tolist()
        if abs(own[i]) >= LEAST
    )


def would_change(
    facts: Sequence[Fact], weights: Floats, place: int, logit: float, threshold: float
) -> tuple[str, ...]:
    """The facts without which the treatment would leave the treatment set, or enter it."""
    inside = logit >= threshold
    left = logit - weights[:, place]
    changed = np.flatnonzero((left >= threshold) != inside)
    order = changed[np.argsort(-np.abs(weights[changed, place]), kind="stable")][:3]
    word = "leave" if inside else "enter"
    return tuple(
        f"Without “{facts[i].display}” it would {word} the treatment set." for i in order.tolist()
    )
