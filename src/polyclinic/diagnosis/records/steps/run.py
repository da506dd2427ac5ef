"""The walk through the five steps."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.steps.choose import check_space, choose, search
from polyclinic.diagnosis.records.steps.prepare import make_features, prepare
from polyclinic.diagnosis.records.steps.register import register
from polyclinic.diagnosis.records.steps.train import train
from polyclinic.diagnosis.records.steps.trust import fit_trust
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

if TYPE_CHECKING:  # torch is for networks alone
    from polyclinic.learning.train.checkpoint import Epoch


class Listener(Protocol):
    """What a person watching a run hears of."""

    def step(self, name: str) -> None:
        """A step begins."""

    def epoch(self, epoch: "Epoch") -> None:
        """An epoch of a network's training is done."""

    def trial(self, number: int, loss: float) -> None:
        """So many candidates or trials are done; the lowest loss so far."""


def run(
    recipe: RecordRecipe, data: Path | None, folder: Path, registry: Registry, listen: Listener
) -> ModelVersion:
    """Carry a recipe through the five steps and register the model version that comes of it.

    `data`, or else the recipe's own path, relative to its `folder`, is the data. The test part's
    labels stay unread but for the quality gate's counts: `evaluation.evaluate_file` opens it.
    """
    check_space(recipe)
    listen.step("prepare")
    checked, why = prepare(recipe, data, folder), ""
    if recipe.auto is not None:
        listen.step("choose")
        recipe, why = choose(recipe, checked, listen.trial)
    if recipe.tune is not None:
        listen.step("tune")
        recipe = search(recipe, checked, listen.trial)
    prepared = make_features(recipe, checked.records, checked.parts)
    listen.step("train")
    trained = train(recipe, prepared, listen.epoch)
    listen.step("evaluate")
    model = fit_trust(recipe, prepared, trained)
    model = replace(model, files={**model.files, **checked.encoder})
    listen.step("serve")
    notes = (*((why,) if why else ()), *checked.notes)
    return register(recipe, prepared, trained, model, registry, notes)
