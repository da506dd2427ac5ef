"""Networks over hourly values: built, trained once for every member, and exported to ONNX."""

import shutil
from collections.abc import Callable
from importlib.metadata import version as package_version

import numpy as np
from torch import Tensor

from polyclinic.core.digest import sha256
from polyclinic.core.settings import settings
from polyclinic.diagnosis.records.inputs import Encoding
from polyclinic.diagnosis.records.models.network import NETWORK_FILE, OUTPUT
from polyclinic.diagnosis.records.models.settings import NetworkSettings
from polyclinic.diagnosis.records.networks import SeriesNetwork, build_network
from polyclinic.diagnosis.records.networks.series import Mean
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.steps.trained import Trained, weights
from polyclinic.learning.build.initialise import initialise
from polyclinic.learning.prepare.dataset import Dataset
from polyclinic.learning.serve.onnx_export import export_onnx
from polyclinic.learning.train.checkpoint import Epoch, Progress
from polyclinic.learning.train.classification import Classification
from polyclinic.learning.train.trainer import train as minimise

#: What of a recipe decides the weights; the rest can change without training anew.
DECISIVE = {"seed", "data", "features", "model", "init", "train", "after_onset"}


def train_network(
    recipe: RecordRecipe,
    model: NetworkSettings,
    dataset: Dataset,
    encoding: Encoding,
    on_epoch: Callable[[Epoch], None],
) -> Trained:
    """The members' networks, each with its best weights by validation loss, as one ONNX model.

    A run that was stopped goes on where its checkpoint stands; one that is done leaves none.
    """
    networks, runs = [], []
    for number in range(model.members):
        member = recipe.model_copy(update={"seed": recipe.seed + number})
        network, progress = _member(member, model, dataset, encoding, on_epoch)
        networks.append(network)
        runs.append(progress)
    best = [epoch for progress in runs if (epoch := progress.best)]
    examples = dataset.train.x[:: max(1, len(dataset.train) // 8)]
    files = {NETWORK_FILE: export_onnx(Mean(list(networks)), examples, [OUTPUT])}
    figures = {
        "members": model.members,
        "epochs": sum(len(progress.history) for progress in runs),
        "validation_loss": float(np.mean([epoch.validation_loss for epoch in best])),
        "parameters": sum(each.numel() for each in networks[0].parameters()),
    }
    return Trained(files, figures)


def _member(
    recipe: RecordRecipe,
    model: NetworkSettings,
    dataset: Dataset,
    encoding: Encoding,
    on_epoch: Callable[[Epoch], None],
) -> tuple[SeriesNetwork, Progress]:
    network = build_network(model, encoding, dataset.train.x, len(dataset.labels))
    initialise(network, recipe.init, recipe.seed)
    objective = Classification(
        dataset.train,
        dataset.validation,
        len(dataset.labels),
        recipe.train,
        _as_it_is,
        counts=(weights(recipe, dataset.train), weights(recipe, dataset.validation)),
    )
    run = _run_id(recipe, dataset)
    folder = settings().home / "runs" / f"{recipe.name}-{run}"
    trained = minimise(
        network,
        objective,
        recipe.train,
        seed=recipe.seed,
        run=run,
        checkpoint=folder / "checkpoint.safetensors",
        on_epoch=on_epoch,
    )
    shutil.rmtree(folder)
    return network.eval(), trained.progress


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _run_id(recipe: RecordRecipe, dataset: Dataset) -> str:
    """What identifies a run: the digest of all that decides its weights."""
    decisive = recipe.model_dump_json(include=DECISIVE)
    parts = (decisive, dataset.digest(), package_version("polyclinic"))
    return sha256("\n".join(parts).encode())[:16]
