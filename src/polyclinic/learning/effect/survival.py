"""Censored times as plain outcomes, so that every learner of effects can learn from them."""

from typing import NamedTuple

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


def restricted_mean(time: Floats, event: NDArray[np.bool_], horizon: float) -> float:
    """The area under the Kaplan-Meier curve up to `horizon`."""
    curve = _curve(time, event, horizon)
    survival = np.cumprod(1 - curve.deaths / curve.at_risk)
    steps = np.diff(curve.times, append=horizon)
    return float(curve.times[0] + survival @ steps)


class _Curve(NamedTuple):
    """What a Kaplan-Meier curve is made of, at each distinct time (k,); what is of each patient."""

    times: Floats
    deaths: Floats
    at_risk: Floats
    place: NDArray[np.int64]
    died: NDArray[np.bool_]


def _curve(time: Floats, event: NDArray[np.bool_], horizon: float) -> _Curve:
    died = event & (time <= horizon)
    times, place = np.unique(np.minimum(time, horizon), return_inverse=True)
    deaths = np.bincount(place, weights=died, minlength=len(times)).astype(np.float64)
    seen = np.bincount(place, minlength=len(times)).astype(np.float64)
    return _Curve(times, deaths, np.cumsum(seen[::-1])[::-1], place, died)


def _jackknife(time: Floats, event: NDArray[np.bool_], horizon: float) -> Floats:
    """The pseudo-values, in one pass: without a patient the curve is that of one less at risk.

    So it is up to the patient's own time; there it has one less death, if the patient died; and
    from there on each step is that of the whole curve.
    """
    n = len(time)
    curve = _curve(time, event, horizon)
    times, deaths, at_risk = curve.times, curve.deaths, curve.at_risk
    steps = np.diff(times, append=horizon)
    one_less = np.maximum(at_risk - 1, 1)
    fewer = np.cumprod(1 - deaths / one_less)
    before = np.r_[1.0, fewer[:-1]]
    area = times[0] + np.r_[0.0, np.cumsum(fewer * steps)[:-1]]
    after = np.empty(len(times))
    after[-1] = steps[-1]
    for j in range(len(times) - 2, -1, -1):
        after[j] = steps[j] + (1 - deaths[j + 1] / at_risk[j + 1]) * after[j + 1]
    own, died = curve.place, curve.died
    at_own = 1 - (deaths[own] - died) / one_less[own]
    left_out = area[own] + before[own] * at_own * after[own]
    return np.asarray(n * restricted_mean(time, event, horizon) - (n - 1) * left_out)
