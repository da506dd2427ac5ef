"""Steps 2 and 3: build the recipe's network and minimise its loss, once for every member."""

from collections.abc import Callable
from importlib.metadata import version as package_version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from polyclinic.core.digest import sha256
from polyclinic.core.settings import settings
from polyclinic.diagnosis.imaging.augment import augment
from polyclinic.diagnosis.imaging.networks import Network, Scale, build_network, to_unit
from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.learning.build.initialise import initialise
from polyclinic.learning.prepare.dataset import Dataset
from polyclinic.learning.train.checkpoint import Epoch, Progress
from polyclinic.learning.train.classification import Classification
from polyclinic.learning.train.trainer import train as minimise

#: What of a recipe decides the weights; the rest can change without training anew.
DECISIVE = {"seed", "data", "model", "init", "augment", "train", "tune"}


def build(recipe: ImageRecipe, dataset: Dataset) -> Network:
    """Step 2: the recipe's network, initialised as it says."""
    channels, size = dataset.train.x.shape[1:3]
    network = build_network(
        recipe.network, channels, size, len(dataset.labels), _scale(dataset.train.x)
    )
    initialise(network, recipe.init, recipe.seed)
    return network


def train(
    recipe: ImageRecipe,
    dataset: Dataset,
    network: Network,
    on_epoch: Callable[[Epoch], None],
    *,
    resumable: bool = True,
) -> Progress:
    """Step 3: minimise the loss; `network` is left with the best weights by validation loss.

    Where it is `resumable`, checkpoints rest in `run_folder`, for whoever trains the same recipe on
    the same data again; the folder is the caller's to remove.
    """
    objective = Classification(
        dataset.train,
        dataset.validation,
        len(dataset.labels),
        recipe.train,
        to_unit,
        lambda pictures, generator: augment(pictures, recipe.augment, generator),
    )
    trained = minimise(
        network,
        objective,
        recipe.train,
        seed=recipe.seed,
        run=run_id(recipe, dataset),
        checkpoint=run_folder(recipe, dataset) / "checkpoint.safetensors" if resumable else None,
        on_epoch=on_epoch,
    )
    return trained.progress


def run_id(recipe: ImageRecipe, dataset: Dataset) -> str:
    """What identifies a run: the digest of all that decides its weights."""
    decisive = recipe.model_dump_json(include=DECISIVE)
    parts = (decisive, dataset.digest(), package_version("polyclinic"))
    return sha256("\n".join(parts).encode())[:16]


def run_folder(recipe: ImageRecipe, dataset: Dataset) -> Path:
    """Where a run keeps its checkpoint."""
    return settings().home / "runs" / f"{recipe.name}-{run_id(recipe, dataset)}"


def _scale(x: NDArray[np.uint8], rows: int = 256) -> Scale:
    """Mean and deviation of pictures in [0, 1], from counts: a large set is never copied whole."""
    batches = (x[start : start + rows].ravel() for start in range(0, len(x), rows))
    shares = sum(np.bincount(batch, minlength=256) for batch in batches) / x.size
    values = np.arange(256) / 255
    mean = float(shares @ values)
    return Scale(mean, float(np.sqrt(shares @ np.square(values - mean))))
