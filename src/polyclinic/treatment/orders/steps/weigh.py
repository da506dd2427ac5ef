"""From scores to log-odds: logistic regression whose slopes are never negative."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from polyclinic.treatment.orders.encoding import Encoded, Floats
from polyclinic.treatment.orders.models.scorers import Blend, LogOdds, Scorer

Doubles = NDArray[np.float64]

#: So much is added to the loss for each square of a standardised slope, which breaks ties alone.
RIDGE = 1e-4


def log_odds(scorer: Scorer, usual: Floats, choose: Encoded) -> LogOdds:
    """The line from a model's scores to log-odds that fits the visits of `choose` best."""
    scores = scorer.scores(choose)
    popularity = np.broadcast_to(usual, scores.shape)
    (slope, by_popularity), offset = weights([scores, popularity], choose)
    return LogOdds(scorer, usual, slope, by_popularity, offset)


def blend(members: Sequence[LogOdds], choose: Encoded) -> tuple[LogOdds, list[float]]:
    """The weighted sum of members' log-odds that fits the visits of `choose` best; the weights."""
    found, offset = weights([member.logits(choose) for member in members], choose)
    summed = Blend(members, np.array(found))
    return LogOdds(summed, members[0].usual, 1.0, 0.0, offset), found


def weights(scores: Sequence[Floats], choose: Encoded) -> tuple[list[float], float]:
    """Weights, none below 0, and the offset, of scores (n, m) each, by least log loss."""
    from scipy.optimize import minimize
    from scipy.special import expit

    columns = np.stack([each.ravel() for each in scores], axis=1).astype(np.float64)
    y = choose.ordered[choose.asked].ravel().astype(np.float64)
    mean, spread = columns.mean(axis=0), columns.std(axis=0)
    spread[spread < 1e-12] = np.inf  # what is the same for all says nothing
    z = (columns - mean) / spread

    def loss(parameters: Doubles) -> tuple[float, Doubles]:
        slopes, offset = parameters[:-1], parameters[-1]
        odds = z @ slopes + offset
        error = expit(odds) - y
        value = (np.logaddexp(0.0, odds) - y * odds).mean() + RIDGE * (slopes**2).sum()
        gradient = np.append(z.T @ error / len(y) + 2 * RIDGE * slopes, error.mean())
        return float(value), gradient

    start = np.append(np.full(z.shape[1], 0.5), np.log(y.mean() / (1 - y.mean())))
    bounds = [(0.0, None)] * z.shape[1] + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    slopes = found[:-1] / spread
    return slopes.tolist(), float(found[-1] - slopes @ mean)
