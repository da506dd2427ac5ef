"""Whether an explanation tells what the model looks at, measured against random maps.

Insertion and deletion (Petsiuk, Das and Saenko 2018, RISE, section 4.1): places are shown, or taken
away, in the order of the map; a faithful map makes the score rise soon, or fall soon. `score` takes
pictures (n, ...) and gives (n,): for row i, the probability of what the map of row i explains.

Deleted places get the value of a `baseline` picture, in which what is explained is absent: the mean
picture of the other labels. With RISE's own, a blurred or an even picture, deletion removes nothing
where the model takes such a picture for the finding (a blurred chest X-ray is pneumonia to ours,
with probability 1), and every map looks alike.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.errors import InvalidInput
from polyclinic.core.evaluation import Estimate
from polyclinic.core.frozen import Frozen
from polyclinic.learning.evaluate.bootstrap import RESAMPLES, bootstrap
from polyclinic.learning.evaluate.metrics import mean

Floats = NDArray[np.float64]
Pictures = NDArray[np.uint8]
Score = Callable[[Pictures], Floats]

STEPS = 28
RANDOM_MAPS = 5


class Faithfulness(Frozen):
    """How faithful maps are, with 95% bootstrap intervals over pictures.

    insertion, deletion: areas under the curves. gain: insertion less deletion. over_random: gain
    less that of random maps of the same smoothness on the same pictures; 0 is chance.
    """

    pictures: int
    insertion: Estimate
    deletion: Estimate
    gain: Estimate
    over_random: Estimate


def faithfulness(
    score: Score,
    pictures: Pictures,
    maps: NDArray[np.floating],
    baseline: Pictures,
    steps: int = STEPS,
    random_maps: int = RANDOM_MAPS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Faithfulness:
    """Maps (n, h, w) of pictures (n, c, h, w), against `random_maps` random ones a picture.

    It takes 2 · steps · (1 + random_maps) passes of all pictures. Raises `InvalidInput` as
    `insertion_curve` does.
    """
    insertion = area(insertion_curve(score, pictures, maps, baseline, steps))
    deletion = area(insertion_curve(score, baseline, maps, pictures, steps))
    rng = np.random.default_rng(seed)
    chance = np.zeros(len(pictures))
    for _ in range(random_maps):
        random = random_like(maps, rng)
        chance += area(insertion_curve(score, pictures, random, baseline, steps)) / random_maps
        chance -= area(insertion_curve(score, baseline, random, pictures, steps)) / random_maps
    gain = insertion - deletion
    values = {
        "insertion": insertion,
        "deletion": deletion,
        "gain": gain,
        "over_random": gain - chance,
    }
    estimates = bootstrap(
        lambda weights: {name: mean(value, weights) for name, value in values.items()},
        np.arange(len(pictures)),
        resamples,
        seed,
    )
    return Faithfulness(pictures=len(pictures), **estimates)


def insertion_curve(
    score: Score,
    pictures: Pictures,
    maps: NDArray[np.floating],
    baseline: Pictures,
    steps: int = STEPS,
) -> Floats:
    """Scores (n, steps + 1) as places of pictures (n, c, h, w) come into `baseline`, best first.

    The first is the baseline's score, the last the pictures'. Deletion is the same with pictures
    and baseline exchanged. Places of equal value in a map (n, h, w) come row by row. Raises
    `InvalidInput` where shapes disagree or a map is not finite.
    """
    n, _, height, width = pictures.shape
    if maps.shape != (n, height, width) or baseline.shape != pictures.shape:
        raise InvalidInput(
            f"Maps {maps.shape} and baseline {baseline.shape} do not fit pictures "
            f"{pictures.shape}.",
            where="maps",
        )
    if not np.isfinite(maps).all():
        raise InvalidInput("A map has a value that is not finite.", where="maps")
    order = np.argsort(-maps.reshape(n, -1), axis=1, kind="stable")
    rank = np.argsort(order, axis=1).reshape(n, 1, height, width)
    shown = np.linspace(0, height * width, steps + 1).round()
    return np.stack([score(np.where(rank < k, pictures, baseline)) for k in shown], axis=1)


def area(curves: Floats) -> Floats:
    """The area (n,) under curves (n, steps + 1) over the fraction shown, by trapezoids."""
    return np.asarray(np.trapezoid(curves, axis=1) / (curves.shape[1] - 1))


def random_like(maps: NDArray[np.floating], rng: np.random.Generator) -> Floats:
    """Random maps (n, h, w), each as smooth as the given one: its spectrum with random phases.

    Surrogate data (Theiler et al. 1992). Noise of single pixels would be an easier opponent: a
    network sees little of it.
    """
    shape = maps.shape[1:]
    phases = np.fft.rfft2(rng.normal(size=maps.shape))
    spectrum = np.abs(np.fft.rfft2(maps)) * phases / np.maximum(np.abs(phases), 1e-12)
    return np.asarray(np.fft.irfft2(spectrum, s=shape))


def rank_correlation(maps: NDArray[np.floating], others: NDArray[np.floating]) -> Floats:
    """Spearman's rank correlation (n,) of each map (n, h, w) with the other of the same picture.

    Between a model's maps and those of the same model with random weights it should be near 0: else
    they show the picture, not the model (Adebayo et al. 2018). NaN where a map is constant.
    """
    from scipy.stats import rankdata

    ranks = [rankdata(m.reshape(len(m), -1), axis=1) for m in (maps, others)]
    first, second = (r - r.mean(axis=1, keepdims=True) for r in ranks)
    size = np.sqrt(np.square(first).sum(axis=1) * np.square(second).sum(axis=1))
    with np.errstate(invalid="ignore"):
        return np.asarray((first * second).sum(axis=1) / size)
