"""The five steps for pictures: prepare, build, train, evaluate, serve."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from platform import python_version
from typing import Any, Protocol

import numpy as np
import safetensors.numpy
import yaml

from polyclinic.core.digest import sha256
from polyclinic.core.errors import InvalidInput
from polyclinic.core.prediction import ModelIdentity
from polyclinic.core.settings import settings
from polyclinic.diagnosis.imaging.augment import augment
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.evaluation import evaluate as measure
from polyclinic.diagnosis.imaging.networks import (
    Network,
    Scale,
    Served,
    build_network,
    to_unit,
)
from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.diagnosis.imaging.spec import FAMILIARITY_FILE, KIND, NETWORK_FILE, ImageSpec
from polyclinic.learning.build.initialise import initialise, pinned
from polyclinic.learning.prepare.dataset import Dataset
from polyclinic.learning.prepare.quality import check_quality
from polyclinic.learning.prepare.repeats import without_leaks
from polyclinic.learning.serve.onnx_export import export_onnx
from polyclinic.learning.serve.onnx_network import OnnxNetwork
from polyclinic.learning.train.checkpoint import Epoch
from polyclinic.learning.train.classification import Classification
from polyclinic.learning.train.trainer import Trained
from polyclinic.learning.train.trainer import train as minimise
from polyclinic.learning.train.tuning import tune
from polyclinic.learning.trust.calibration import choose_calibration
from polyclinic.learning.trust.conformal import fit_conformal
from polyclinic.learning.trust.familiarity import FamiliarityModel, fit_familiarity
from polyclinic.learning.trust.operating_points import choose_operating_point
from polyclinic.registry.manifest import Artefact, DataUse, Manifest
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

#: The packages whose versions decide what a training run gives.
MAKERS = ("polyclinic", "torch", "numpy", "onnx", "onnxruntime", "scikit-learn")


class Listener(Protocol):
    """What a person watching a run hears of."""

    def step(self, name: str) -> None:
        """A step begins."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch of training is done."""

    def trial(self, number: int, loss: float) -> None:
        """So many trials of the tuner are done; the lowest validation loss so far."""


def run(
    recipe: ImageRecipe, data: Path | None, folder: Path, registry: Registry, listen: Listener
) -> ModelVersion:
    """Carry a recipe through the five steps and register the model version that comes of it.

    `data`, or else the recipe's own path, relative to its `folder`, is the data file. A run that
    was stopped goes on where it stopped. The test part's labels stay unread but for the quality
    gate's counts: `evaluation.evaluate_file` opens it.
    """
    check_space(recipe)
    recipe = recipe.model_copy(update={"init": pinned(recipe.init, folder)})
    listen.step("prepare")
    prepared = prepare(recipe, data, folder)
    dataset = prepared.dataset
    if recipe.tune is not None:
        listen.step("tune")
        recipe = search(recipe, dataset, listen.trial)
    listen.step("build")
    network = build(recipe, dataset)
    listen.step("train")
    checkpoint = run_folder(recipe, dataset) / "checkpoint.safetensors"
    trained = train(recipe, dataset, network, checkpoint, listen.epoch)
    listen.step("evaluate")
    model = fit_trust(recipe, dataset, network)
    listen.step("serve")
    version = register(recipe, prepared, trained, model, registry)
    shutil.rmtree(checkpoint.parent)
    return version


@dataclass(frozen=True)
class Prepared:
    """Data that passed the gate, the digest of its file, and what a reader must know of it."""

    dataset: Dataset
    digest: str
    notes: tuple[str, ...]


def prepare(recipe: ImageRecipe, data: Path | None, folder: Path) -> Prepared:
    """Step 1: read the data, take out leaks between parts, and pass it through the quality gate.

    The recipe's `path` is relative to its own `folder`.
    Raises `QualityRefused` naming what is wrong with the data.
    """
    if data is None:
        if recipe.data.path is None:
            raise InvalidInput(
                "The recipe names no data file.", where="data.path", remedy="Give --data PATH."
            )
        data = folder / recipe.data.path
    labels = tuple(label.coding() for label in recipe.data.labels)
    found = read_source(
        data,
        labels,
        seed=recipe.seed,
        name=recipe.data.name,
        licence=recipe.data.licence,
        source=recipe.data.source,
    )
    whole = found.dataset
    dataset = without_leaks(whole)
    report = check_quality(dataset)
    report = report.model_copy(update={"issues": (*found.issues, *report.issues)})
    report.refuse()
    notes = tuple(f"{issue.where}: {issue.detail}" for issue in report.issues)
    for name, part in dataset.parts.items():
        if dropped := len(whole.parts[name]) - len(part):
            notes += (f"{name}: {dropped} pictures left out that stand in a later part too.",)
    return Prepared(dataset, whole.digest(), notes)


def check_space(recipe: ImageRecipe) -> None:
    """Raise `InvalidInput` where the `tune:` space has a path or a value that no recipe has."""
    for path, part in recipe.tune.space.items() if recipe.tune else ():
        for value in part.ends:
            recipe.changed({path: value})


def search(
    recipe: ImageRecipe, dataset: Dataset, on_trial: Callable[[int, float], None]
) -> ImageRecipe:
    """The recipe with the best settings of its `tune:` space, by validation loss."""
    if recipe.tune is None:
        return recipe

    def trial(changes: dict[str, Any], on_epoch: Callable[[Epoch], None]) -> float:
        changed = recipe.changed(changes)
        trained = train(changed, dataset, build(changed, dataset), None, on_epoch)
        return min(epoch.validation_loss for epoch in trained.progress.history)

    best = tune(
        recipe.tune,
        trial,
        study=run_id(recipe, dataset),
        database=settings().home / "runs" / "tuning.db",
        seed=recipe.seed,
        on_trial=on_trial,
    )
    return recipe.changed(best)


def build(recipe: ImageRecipe, dataset: Dataset) -> Network:
    """Step 2: the recipe's network, initialised as it says."""
    channels, size = dataset.train.x.shape[1:3]
    values = dataset.train.x / np.float32(255)
    scale = Scale(float(values.mean()), float(values.std()))
    network = build_network(recipe.model, channels, size, len(dataset.labels), scale)
    initialise(network, recipe.init, recipe.seed)
    return network


def train(
    recipe: ImageRecipe,
    dataset: Dataset,
    network: Network,
    checkpoint: Path | None,
    on_epoch: Callable[[Epoch], None],
) -> Trained:
    """Step 3: minimise the cross-entropy; the best weights by validation loss are kept."""
    objective = Classification(
        dataset.train,
        dataset.validation,
        len(dataset.labels),
        recipe.train,
        to_unit,
        lambda pictures, generator: augment(pictures, recipe.augment, generator),
    )
    return minimise(
        network,
        objective,
        recipe.train,
        seed=recipe.seed,
        run=run_id(recipe, dataset),
        checkpoint=checkpoint,
        on_epoch=on_epoch,
    )


@dataclass(frozen=True)
class Model:
    """A trained model as it will be stored."""

    network: bytes
    familiarity: FamiliarityModel
    spec: ImageSpec


def fit_trust(recipe: ImageRecipe, dataset: Dataset, network: Network) -> Model:
    """Step 4, first half: export the network and fit on validation what makes its scores answers.

    The exported network is what is calibrated, so that what is measured is what is served.
    """
    exported = export_onnx(Served(network), dataset.train.x[:64], ("logits", "features", "maps"))
    runtime = OnnxNetwork(exported, settings().inference_threads)
    held_out, y = dataset.validation, dataset.validation.y
    outputs = runtime.run_all(held_out.x)
    trust = recipe.trust
    calibration, _ = choose_calibration(outputs["logits"], y, trust.calibration, seed=recipe.seed)
    probabilities = calibration.apply(outputs["logits"])
    findings = tuple(label.code for label in recipe.data.labels if label.finding)
    spec = ImageSpec(
        channels=held_out.x.shape[1],
        size=held_out.x.shape[2],
        findings=findings,
        calibration=calibration,
        operating_points=tuple(
            choose_operating_point(name, label.code, probabilities[:, index], y == index)
            for name in trust.operating_points
            for index, label in enumerate(dataset.labels)
            if label.code in findings
        ),
        decides=trust.operating_point,
        conformal=fit_conformal(trust.conformal, trust.coverage, probabilities, y),
        # Among n held-out pictures no p-value is below 1 / (n + 1).
        familiarity_alpha=max(trust.familiarity, 1 / (len(y) + 1)),
        accepts=recipe.accepts,
    )
    seen = runtime.run_all(dataset.train.x)["features"]
    familiarity = fit_familiarity(seen, dataset.train.y, outputs["features"])
    return Model(exported, familiarity, spec)


def register(
    recipe: ImageRecipe,
    prepared: Prepared,
    trained: Trained,
    model: Model,
    registry: Registry,
) -> ModelVersion:
    """Step 4, second half, and step 5: measure on validation, and store the version to serve."""
    dataset = prepared.dataset
    files = {
        NETWORK_FILE: model.network,
        FAMILIARITY_FILE: safetensors.numpy.save(model.familiarity.to_arrays()),
    }
    unnamed = ModelIdentity(name=recipe.name, version="", digest="")
    runtime = OnnxNetwork(model.network, settings().inference_threads)
    classifier = ImageClassifier(unnamed, dataset.labels, model.spec, runtime, model.familiarity)
    chosen_here = (
        "Calibration, thresholds, conformal sets, familiarity and the best epoch were fitted on "
        "this part: its figures flatter the model."
    )
    notes = (chosen_here, *prepared.notes)
    validation = measure(classifier, dataset, dataset.validation, "validation", notes)
    best = trained.progress.best
    manifest = Manifest(
        name=recipe.name,
        kind=KIND,
        created=datetime.now(UTC),
        licence=recipe.licence,
        labels=dataset.labels,
        artefacts={
            name: Artefact(digest=sha256(data), size=len(data)) for name, data in files.items()
        },
        spec=model.spec.model_dump(mode="json"),
        data=DataUse(
            name=dataset.name,
            digest=prepared.digest,
            licence=dataset.licence,
            source=dataset.source,
            parts={
                name: {
                    label.code: int((part.y == index).sum())
                    for index, label in enumerate(dataset.labels)
                }
                for name, part in dataset.parts.items()
            },
            part_digests={name: part.digest() for name, part in dataset.parts.items()},
        ),
        recipe=yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
        seed=recipe.seed,
        versions={"python": python_version(), **{name: package_version(name) for name in MAKERS}},
        training={
            "epochs": len(trained.progress.history),
            "best_epoch": best.number if best else 0,
            "best_validation_loss": best.validation_loss if best else float("nan"),
            "parameters": sum(weights.numel() for weights in trained.network.parameters()),
        },
        validation=validation,
        card=recipe.card,
    )
    version = registry.add(manifest, files)
    registry.promote(str(version), "candidate", by="polyclinic train", reason="Trained last")
    return version


def run_id(recipe: ImageRecipe, dataset: Dataset) -> str:
    """What identifies a run: the digest of recipe, data and this release."""
    parts = (recipe.model_dump_json(), dataset.digest(), package_version("polyclinic"))
    return sha256("\n".join(parts).encode())[:16]


def run_folder(recipe: ImageRecipe, dataset: Dataset) -> Path:
    """Where a run keeps its checkpoint."""
    return settings().home / "runs" / f"{recipe.name}-{run_id(recipe, dataset)}"
