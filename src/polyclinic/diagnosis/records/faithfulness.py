"""Whether evidence tells what a model rests on, measured against evidence drawn by lot."""

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.evaluation import Estimate
from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.features import Floats, Rows
from polyclinic.diagnosis.records.records import one_each
from polyclinic.learning.evaluate.bootstrap import bootstrap
from polyclinic.learning.evaluate.metrics import mean
from polyclinic.learning.prepare.dataset import Part

#: Of so many patients, whom the model holds likeliest to have a finding, up to so many pieces are
#: deleted one after another, and as many by lot, so many times.
PATIENTS, PIECES, DRAWS = 100, 10, 5

Doubles = NDArray[np.float64]


def faithfulness(
    model: RecordClassifier, part: Part, resamples: int, seed: int = 0
) -> dict[str, Estimate]:
    """By name, with intervals over patients, what the log-odds of the likeliest finding lose.

    `deletion_of_evidence` where what speaks most for it becomes unknown, a piece at a time, on the
    average of the first 1 to `PIECES`; `deletion_at_random` where as many known pieces do that are
    drawn by lot; `evidence_over_random` the difference, 0 where evidence says nothing. Source:
    deletion, Petsiuk, Das and Saenko 2018, section 4.1, with unknown values as what is put there.
    """
    some = one_each(part)
    probabilities = model.score(some.x).probabilities
    findings = [i for i, label in enumerate(model.labels) if label.code in model.spec.findings]
    likeliest = np.array(findings)[probabilities[:, findings].argmax(axis=1)]
    top = probabilities[np.arange(len(some)), likeliest]
    rows = np.sort(np.argsort(-top, kind="stable")[:PATIENTS])
    rng = np.random.default_rng(seed)
    groups = [group.columns for group in model.spec.encoding.groups]
    lost = np.array([_lost(model, some.x[row], int(likeliest[row]), groups, rng) for row in rows])
    values = {
        "deletion_of_evidence": lost[:, 0],
        "deletion_at_random": lost[:, 1],
        "evidence_over_random": lost[:, 0] - lost[:, 1],
    }
    return bootstrap(
        lambda weights: {name: mean(value, weights) for name, value in values.items()},
        np.arange(len(rows)),
        resamples,
    )


def _lost(
    model: RecordClassifier,
    features: Floats,
    label: int,
    groups: list[Rows],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """What the log-odds lose by the evidence's order, and by lot."""
    known = np.array([np.isfinite(features[group]).any() for group in groups])
    contributions = model.contributions(features[None], label)[0]
    ranked = np.argsort(-np.where(known, contributions, -np.inf), kind="stable")[: known.sum()]
    orders = [ranked, *(rng.permutation(ranked) for _ in range(DRAWS))]
    changed = [features]
    for order in orders:
        deleted = features.copy()
        for i in order[:PIECES]:
            deleted = deleted.copy()
            deleted[groups[i]] = np.nan
            changed.append(deleted)
    log_odds = model.log_odds(np.stack(changed), label)
    if len(log_odds) == 1:
        return 0.0, 0.0
    losses = (log_odds[0] - log_odds[1:]).reshape(len(orders), -1).mean(axis=1)
    return float(losses[0]), float(losses[1:].mean())
