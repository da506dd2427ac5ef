"""Calibration: make a probability of 0.8 come true eight times in ten.

Fitted on the validation part; applied in serving, in NumPy alone.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from polyclinic.core.errors import InvalidInput
from polyclinic.core.frozen import Frozen
from polyclinic.learning.labels import Labels, multi_label

Method = Literal["none", "temperature", "platt", "isotonic"]
Floats = NDArray[np.float64]

#: No calibrated probability is below this, so that no outcome costs an infinite log loss.
FLOOR = 1e-7


class Calibration(Frozen):
    """A fitted map from a model's logits to probabilities.

    `none`, `temperature` (Guo et al. 2017, section 4.2; 1 / temperature is `scale`) and `platt`
    (Platt 1999; two labels) are softmax(scale * logits), with `offset` added to the second label's
    logit. `isotonic` (Zadrozny and Elkan 2002) reads each label's probability off a rising line
    through (`log_odds`, `probabilities`), one pair of tuples a label, then divides by the sum.

    Of multi-label data each label has a calibration of its own in `by_label`. It sees its logit z
    as those of two labels, (0, z): softmax(0, z) gives the second the sigmoid of z.
    """

    method: Method = "none"
    scale: float = Field(default=1.0, allow_inf_nan=False)
    offset: float = Field(default=0.0, allow_inf_nan=False)
    log_odds: tuple[tuple[float, ...], ...] = ()
    probabilities: tuple[tuple[float, ...], ...] = ()
    by_label: tuple["Calibration", ...] = ()

    def apply(self, logits: ArrayLike) -> Floats:
        """Probabilities (n, k) from logits (n, k).

        Rows sum to 1, but of multi-label data; every value is at least about `FLOOR`. A row with a
        logit that is not finite becomes a row of NaN.
        """
        z = np.asarray(logits, dtype=np.float64)
        z = np.where(np.isfinite(z).all(axis=1, keepdims=True), z, np.nan)
        if self.by_label:
            columns = zip(self.by_label, z.T, strict=True)
            return np.column_stack([own.apply(_two(column))[:, 1] for own, column in columns])
        if self.method == "isotonic":
            lines = zip(_log_odds(z).T, self.log_odds, self.probabilities, strict=True)
            p = np.column_stack([np.interp(*line) for line in lines])
        else:
            shift = np.zeros(z.shape[1])
            shift[1:2] = self.offset
            p = _softmax(self.scale * z + shift)
        p = np.clip(p / p.sum(axis=1, keepdims=True), FLOOR, 1.0)
        return np.asarray(p / p.sum(axis=1, keepdims=True))


def fit_calibration(method: Method, logits: ArrayLike, y: Labels) -> Calibration:
    """The calibration of logits (n, k) that fits the labels y (n,), or (n, k) bool, best.

    Raises `InvalidInput` where there is no example, a logit is not finite, or `platt` is asked of
    more than two exclusive labels.
    """
    z = np.asarray(logits, dtype=np.float64)
    if len(z) == 0 or not np.isfinite(z).all():
        raise InvalidInput("Calibration needs at least one example and finite logits.")
    if multi_label(y):
        own = tuple(fit_calibration(method, *each) for each in _each(z, y))
        return Calibration(method=method, by_label=own)
    if method == "temperature":
        return Calibration(method=method, scale=_fit_scale(z, y))
    if method == "platt":
        scale, offset = _fit_platt(z, y)
        return Calibration(method=method, scale=scale, offset=offset)
    if method == "isotonic":
        lines = _fit_isotonic(z, y)
        return Calibration(
            method=method,
            log_odds=tuple(knots for knots, _ in lines),
            probabilities=tuple(values for _, values in lines),
        )
    return Calibration()


def choose_calibration(
    logits: ArrayLike,
    y: Labels,
    methods: Sequence[Method],
    folds: int = 5,
    seed: int = 0,
) -> tuple[Calibration, dict[Method, float]]:
    """The method of least cross-validated log loss, refitted on all of it, and every method's loss.

    logits: (n, k); y: (n,), or (n, k) bool, where the loss is the mean over labels and the method
    the same for all. Of methods with the same loss the first wins. Raises `InvalidInput` where no
    method is named or there are fewer examples than folds.
    """
    z = np.asarray(logits, dtype=np.float64)
    if not methods or len(z) < folds:
        raise InvalidInput(
            f"Choosing among {len(methods)} methods over {folds} folds from {len(z)} examples.",
            where="calibration",
            remedy="Name at least one method, and give at least one example a fold.",
        )
    losses = {method: _held_out_loss(method, z, y, folds, seed) for method in methods}
    best = min(losses, key=losses.__getitem__)
    return fit_calibration(best, z, y), losses


def _held_out_loss(method: Method, z: Floats, y: Labels, folds: int, seed: int) -> float:
    """The cross-validated log loss of a method."""
    if multi_label(y):
        each = [_held_out_loss(method, *label, folds, seed) for label in _each(z, y)]
        return float(np.mean(each))
    fold = _stratified_folds(y, folds, seed)
    p = np.empty_like(z)
    for held_out in (fold == f for f in range(folds)):
        p[held_out] = fit_calibration(method, z[~held_out], y[~held_out]).apply(z[held_out])
    return float(-np.log(p[np.arange(len(y)), y]).mean())


def _each(z: Floats, y: Labels) -> Iterator[tuple[Floats, NDArray[np.int64]]]:
    """Each label of multi-label data as two exclusive ones: logits (n, 2) and labels (n,)."""
    for column, present in zip(z.T, y.T, strict=True):
        yield _two(column), present.astype(np.int64)


def _two(z: Floats) -> Floats:
    """The logits (n, 2) of a label's absence and presence, from its own (n,)."""
    return np.column_stack([np.zeros_like(z), z])


def _softmax(z: Floats) -> Floats:
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def _log_odds(z: Floats) -> Floats:
    """Each label's logit less the log-sum-exp of the others'; (n, k) from (n, k)."""
    others = [np.delete(z, label, axis=1) for label in range(z.shape[1])]
    with np.errstate(invalid="ignore"):  # rows of NaN stay so, in silence
        rest = np.column_stack([np.logaddexp.reduce(other, axis=1) for other in others])
    return np.asarray(z - rest)


def _stratified_folds(y: Labels, folds: int, seed: int) -> NDArray[np.int64]:
    """A fold number for each example, dealt out label by label in random order."""
    order = np.random.default_rng(seed).permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    fold = np.empty(len(y), dtype=np.int64)
    fold[order] = np.arange(len(y)) % folds
    return fold


def _fit_scale(z: Floats, y: Labels) -> float:
    """1 / temperature of least log loss, with the temperature between 1/100 and 100."""
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(y))

    def loss(log_scale: float) -> float:
        scaled = np.exp(log_scale) * z
        return float((np.logaddexp.reduce(scaled, axis=1) - scaled[rows, y]).mean())

    limit = np.log(100.0)
    return float(np.exp(minimize_scalar(loss, bounds=(-limit, limit), method="bounded").x))


def _fit_platt(z: Floats, y: Labels) -> tuple[float, float]:
    """Slope and intercept on the margin, with the smoothed targets of Platt 1999, section 2.2."""
    from scipy.optimize import minimize
    from scipy.special import expit

    if z.shape[1] != 2:
        raise InvalidInput(
            f"Platt scaling is for two labels; here are {z.shape[1]}.",
            where="calibration",
            remedy="Use none, temperature or isotonic.",
        )
    margin = z[:, 1] - z[:, 0]
    positives = int(y.sum())
    target = np.where(y == 1, (positives + 1) / (positives + 2), 1 / (len(y) - positives + 2))

    def loss(parameters: Floats) -> tuple[float, Floats]:
        s = parameters[0] * margin + parameters[1]
        error = expit(s) - target
        gradient = np.array([(error * margin).mean(), error.mean()])
        return float((np.logaddexp(0.0, s) - target * s).mean()), gradient

    scale, offset = minimize(loss, np.array([1.0, 0.0]), jac=True).x
    return float(scale), float(offset)


def _fit_isotonic(z: Floats, y: Labels) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """The knots (log odds, probability) of each label's line.

    Probabilities stay within 1 / (n + 2) of 0 and 1 (Laplace's rule of succession): n examples
    cannot prove more. Of two labels the first is the second's mirror.
    """
    from sklearn.isotonic import IsotonicRegression

    bound = 1 / (len(y) + 2)

    def line(label: int) -> tuple[Any, Any]:
        model = IsotonicRegression(y_min=bound, y_max=1 - bound)
        model.fit(_log_odds(z)[:, label], y == label)
        return model.X_thresholds_, model.y_thresholds_

    if z.shape[1] == 2:
        x, p = line(1)
        lines = [(-x[::-1], 1 - p[::-1]), (x, p)]
    else:
        lines = [line(label) for label in range(z.shape[1])]
    return [(tuple(x.tolist()), tuple(p.tolist())) for x, p in lines]
