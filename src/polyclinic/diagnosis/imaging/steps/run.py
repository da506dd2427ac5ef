"""The walk through the five steps."""

import shutil
from pathlib import Path
from typing import Protocol

from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.diagnosis.imaging.steps.choose import check_space, choose, search, tried
from polyclinic.diagnosis.imaging.steps.prepare import prepare
from polyclinic.diagnosis.imaging.steps.register import register
from polyclinic.diagnosis.imaging.steps.train import build, run_folder, train
from polyclinic.diagnosis.imaging.steps.trust import fit_trust
from polyclinic.learning.build.initialise import pinned
from polyclinic.learning.build.weights import must_be_writable, save_weights
from polyclinic.learning.train.checkpoint import Epoch
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion


class Listener(Protocol):
    """What a person watching a run hears of."""

    def step(self, name: str) -> None:
        """A step begins."""

    def read(self, done: int, files: int) -> None:
        """So many of so many picture files are read."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch of training is done."""

    def trial(self, number: int, loss: float) -> None:
        """So many candidates or trials are done; the lowest validation loss so far."""


def run(
    recipe: ImageRecipe,
    data: Path | None,
    folder: Path,
    registry: Registry,
    listen: Listener,
    weights: Path | None = None,
) -> ModelVersion:
    """Carry a recipe through the five steps and register the model version that comes of it.

    `data`, or else the recipe's own path, relative to its `folder`, is the data. A run that was
    stopped goes on where it stopped. The test part's labels stay unread but for the quality gate's
    counts: `evaluation.evaluate_file` opens it. Into `weights` go those of the first member, for
    another recipe to start from; a place where no file can be written is refused at once.
    """
    check_space(recipe)
    if weights is not None:
        must_be_writable(weights)
    recipe = recipe.model_copy(update={"init": pinned(recipe.init, folder)})
    listen.step("prepare")
    prepared = prepare(recipe, data, folder, listen.read)
    dataset = prepared.dataset
    why, candidates = "", tried(recipe)
    if recipe.auto is not None:
        listen.step("choose")
        recipe, why = choose(recipe, dataset, listen.trial)
    if recipe.tune is not None:
        listen.step("tune")
        recipe = search(recipe, dataset, listen.trial)
    members = [recipe.changed({"seed": recipe.seed + i}) for i in range(recipe.serve.members)]
    networks, progress = [], []
    for number, member in enumerate(members, start=1):
        which = f" {number} of {len(members)}" if len(members) > 1 else ""
        listen.step("build" + which)
        network = build(member, dataset)
        listen.step("train" + which)
        progress.append(train(member, dataset, network, listen.epoch))
        networks.append(network.eval())
    if weights is not None:
        save_weights(networks[0], weights)
    listen.step("evaluate")
    model = fit_trust(recipe, dataset, networks)
    listen.step("serve")
    version = register(recipe, prepared, progress, model, registry, (why,) if why else ())
    for trained in (*candidates, *members):
        shutil.rmtree(run_folder(trained, dataset), ignore_errors=True)
    return version
