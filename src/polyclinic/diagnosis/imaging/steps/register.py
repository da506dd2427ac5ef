"""Step 4, second half, and step 5: measure on validation, and store the version to serve."""

from collections.abc import Sequence
from pathlib import Path

from polyclinic.core.prediction import ModelIdentity
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.evaluation import evaluate
from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.diagnosis.imaging.spec import KIND
from polyclinic.diagnosis.imaging.steps.prepare import Prepared
from polyclinic.diagnosis.imaging.steps.trust import Model
from polyclinic.diagnosis.register import CHOSEN_HERE
from polyclinic.diagnosis.register import register as register_version
from polyclinic.learning.build.initialise import Pretrained
from polyclinic.learning.train.checkpoint import Progress
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

#: The packages whose versions decide what a training run gives.
MAKERS = ("polyclinic", "torch", "numpy", "onnx", "onnxruntime", "scikit-learn")


def register(
    recipe: ImageRecipe,
    prepared: Prepared,
    members: Sequence[Progress],
    model: Model,
    registry: Registry,
    notes: Sequence[str] = (),
) -> ModelVersion:
    """Measure the model on validation, sign it, and make it the candidate of its name."""
    dataset = prepared.dataset
    unnamed = ModelIdentity(name=recipe.name, version="", digest="")
    classifier = ImageClassifier.of_files(unnamed, dataset.labels, model.spec, model.files)
    said = (CHOSEN_HERE, *notes, *prepared.notes)
    return register_version(
        registry,
        name=recipe.name,
        kind=KIND,
        licence=recipe.licence,
        files=model.files,
        spec=model.spec,
        dataset=dataset,
        digest=prepared.digest,
        recipe=_portable(recipe),
        seed=recipe.seed,
        makers=MAKERS,
        training=_figures(members, model.parameters),
        validation=evaluate(classifier, dataset, dataset.validation, "validation", said),
        card=recipe.card,
    )


def _portable(recipe: ImageRecipe) -> ImageRecipe:
    """The recipe less the folders of this machine: a file of weights is known by its digest."""
    if not isinstance(recipe.init, Pretrained):
        return recipe
    named = recipe.init.model_copy(update={"pretrained": Path(recipe.init.pretrained.name)})
    return recipe.model_copy(update={"init": named})


def _figures(members: Sequence[Progress], parameters: int) -> dict[str, float]:
    """What training took and gave; of several members the sums, and the mean of the best losses."""
    best = [progress.best for progress in members]
    losses = [epoch.validation_loss if epoch else float("nan") for epoch in best]
    figures = {
        "epochs": sum(len(progress.history) for progress in members),
        "best_validation_loss": sum(losses) / len(losses),
        "parameters": parameters,
    }
    if len(members) > 1:
        return {"members": len(members), **figures}
    return {**figures, "best_epoch": best[0].number if best[0] else 0}
