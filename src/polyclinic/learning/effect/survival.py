"""Censored times as plain outcomes, so that every learner of effects can learn from them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def pseudo_times(
    time: Floats, event: NDArray[np.bool_], arm: NDArray[np.int64], horizon: float
) -> Floats:
    """Each patient's part in the mean time free of the event up to `horizon` (n,).

    time: until the event, or until the patient was last seen, in the unit of horizon. Pseudo-values
    n θ - (n - 1) θ₋ᵢ of the restricted mean within the patient's arm, whose censoring must not
    depend on the patient. Their mean in an arm is the area under its Kaplan-Meier curve, to within
    rounding. Source: Andersen and Perme 2010, Statistical Methods in Medical Research 19:71-99.
    """
    values = np.empty(len(time))
    for each in np.unique(arm):
        rows = np.flatnonzero(arm == each)
        values[rows] = _jackknife(time[rows], event[rows], horizon)
    return values


def restricted_mean(
    time: Floats, event: NDArray[np.bool_], horizon: float, weights: Floats | None = None
) -> Any:
    """The area under the Kaplan-Meier curve up to `horizon`.

    weights: (b, n) how often each patient counts, for b areas (b,); without it one number.
    """
    w = np.ones((1, len(time))) if weights is None else weights
    order = np.argsort(time, kind="stable")
    t, died = np.minimum(time[order], horizon), event[order] & (time[order] <= horizon)
    own = w[:, order]
    at_risk = np.cumsum(own[:, ::-1], axis=1)[:, ::-1]
    # Of equal times all are at risk together.
    first = np.searchsorted(time[order], time[order], side="left")
    at_risk = at_risk[:, first]
    last = np.searchsorted(time[order], time[order], side="right") - 1
    deaths = np.cumsum(own * died, axis=1)
    before = np.where(first > 0, deaths[:, first - 1], 0)
    hazard = np.divide(deaths[:, last] - before, at_risk, out=np.zeros_like(own), where=at_risk > 0)
    once = np.arange(len(t)) == first
    survival = np.cumprod(np.where(once, 1 - hazard, 1.0), axis=1)
    steps = np.diff(np.r_[t, horizon])
    area = t[0] + (survival * steps).sum(axis=1)
    return area if weights is not None else float(area[0])


def _jackknife(time: Floats, event: NDArray[np.bool_], horizon: float) -> Floats:
    n = len(time)
    whole = restricted_mean(time, event, horizon)
    left_out = np.empty(n)
    for start in range(0, n, 512):
        rows = np.arange(start, min(start + 512, n))
        weights = np.ones((len(rows), n))
        weights[np.arange(len(rows)), rows] = 0
        left_out[rows] = restricted_mean(time, event, horizon, weights)
    return np.asarray(n * whole - (n - 1) * left_out)
