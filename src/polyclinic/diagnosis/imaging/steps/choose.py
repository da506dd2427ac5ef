"""Between steps 1 and 2: which network, and with which settings, where a recipe leaves it open."""

import math
from collections.abc import Callable
from time import monotonic
from typing import Any

from polyclinic.core.settings import settings
from polyclinic.diagnosis.imaging.networks import NetworkSettings
from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.diagnosis.imaging.steps.train import build, run_id, train
from polyclinic.learning.prepare.dataset import Dataset
from polyclinic.learning.train.checkpoint import Epoch
from polyclinic.learning.train.trainer import Diverged
from polyclinic.learning.train.tuning import tune

#: Told how many candidates were tried, and the lowest validation loss so far.
OnTrial = Callable[[int, float], None]


class _OutOfTime(Exception):
    """The budget of `auto` is spent."""


def choose(recipe: ImageRecipe, dataset: Dataset, on_trial: OnTrial) -> tuple[ImageRecipe, str]:
    """The recipe with the network that has the lowest validation loss, and why it was chosen.

    The candidates of `auto:` are trained in their order, with the recipe's other settings, until
    its minutes are over; one that is stopped by that is judged by its epochs so far. Checkpoints
    stay, so that the training of the best goes on where it stands, and a run that is begun again
    trains none of them anew; they are those of `tried`, and the caller's to remove.
    """
    if recipe.auto is None:
        return recipe, ""
    end = monotonic() + 60 * recipe.auto.minutes
    losses: list[float] = []
    said: list[str] = []
    for candidate, changed in zip(recipe.auto.candidates, tried(recipe), strict=True):
        loss, end_of_it = math.inf, "no epoch within the time"

        def on_epoch(epoch: Epoch) -> None:
            nonlocal loss, end_of_it
            loss = min(loss, epoch.validation_loss)
            end_of_it = f"{loss:.4f}, stopped by the time after {epoch.number} epochs"
            if monotonic() > end:
                raise _OutOfTime

        if monotonic() < end or not losses:
            try:
                done = train(changed, dataset, build(changed, dataset), on_epoch)
                # Not from `on_epoch`, which hears nothing of what a checkpoint had done already.
                loss = min(epoch.validation_loss for epoch in done.history)
                end_of_it = f"{loss:.4f}"
            except _OutOfTime:
                pass
            except Diverged:
                loss, end_of_it = math.inf, "diverged"
        losses.append(loss)
        said.append(f"{_words(candidate.model_dump())}: {end_of_it}")
        on_trial(len(losses), min(losses))
    best = recipe.auto.candidates[losses.index(min(losses))]
    why = (
        f"{_words(best.model_dump())} was chosen of {len(losses)} networks for the lowest "
        f"validation loss within {recipe.auto.minutes:g} minutes ({'; '.join(said)})."
    )
    return _with(recipe, best), why


def tried(recipe: ImageRecipe) -> list[ImageRecipe]:
    """The recipes that `choose` may train, one a candidate of `auto:`."""
    return [_with(recipe, candidate) for candidate in recipe.auto.candidates] if recipe.auto else []


def check_space(recipe: ImageRecipe) -> None:
    """Raise `InvalidInput` where the `tune:` space has a path or a value that no recipe has."""
    for path, part in recipe.tune.space.items() if recipe.tune else ():
        for value in part.ends:
            recipe.changed({path: value})


def search(recipe: ImageRecipe, dataset: Dataset, on_trial: OnTrial) -> ImageRecipe:
    """The recipe with the best settings of its `tune:` space, by validation loss."""
    if recipe.tune is None:
        return recipe

    def trial(changes: dict[str, Any], on_epoch: Callable[[Epoch], None]) -> float:
        changed = recipe.changed(changes)
        progress = train(changed, dataset, build(changed, dataset), on_epoch, resumable=False)
        return min(epoch.validation_loss for epoch in progress.history)

    best = tune(
        recipe.tune,
        trial,
        study=run_id(recipe, dataset),
        database=settings().home / "runs" / "tuning.db",
        seed=recipe.seed,
        on_trial=on_trial,
    )
    return recipe.changed(best)


def _with(recipe: ImageRecipe, model: NetworkSettings) -> ImageRecipe:
    return recipe.changed({"model": model.model_dump(), "auto": None})


def _words(settings: dict[str, Any]) -> str:
    """A network's settings in a few words, its name first."""
    name = settings.pop("name")
    return " ".join([name, *(f"{key}={value}" for key, value in settings.items())])
