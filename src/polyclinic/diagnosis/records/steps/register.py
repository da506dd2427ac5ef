"""Step 4, second half, and step 5: measure on validation, and store the version to serve."""

from collections.abc import Sequence

from polyclinic.core.prediction import ModelIdentity
from polyclinic.diagnosis.records.classifier import RecordClassifier
from polyclinic.diagnosis.records.evaluation import evaluate
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.spec import KIND
from polyclinic.diagnosis.records.steps.prepare import Prepared
from polyclinic.diagnosis.records.steps.trained import Trained
from polyclinic.diagnosis.records.steps.trust import Model
from polyclinic.diagnosis.register import CHOSEN_HERE
from polyclinic.diagnosis.register import register as register_version
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

#: The packages whose versions decide what a training run gives.
MAKERS = ("polyclinic", "lightgbm", "numpy", "polars", "scikit-learn")
OF_NETWORKS = ("torch", "onnx", "onnxruntime")
OF_NOTES = (*OF_NETWORKS, "tokenizers")


def register(
    recipe: RecordRecipe,
    prepared: Prepared,
    trained: Trained,
    model: Model,
    registry: Registry,
    notes: Sequence[str],
) -> ModelVersion:
    """Measure the model on validation, sign it, and make it the candidate of its name."""
    dataset = prepared.dataset
    unnamed = ModelIdentity(name=recipe.name, version="", digest="")
    classifier = RecordClassifier.of_files(unnamed, dataset.labels, model.spec, model.files)
    return register_version(
        registry,
        name=recipe.name,
        kind=KIND,
        licence=recipe.licence,
        files=model.files,
        spec=model.spec,
        dataset=dataset,
        digest=dataset.digest(),
        recipe=recipe,
        seed=recipe.seed,
        makers=(*MAKERS, *_beside(recipe)),
        training=trained.figures,
        validation=evaluate(
            classifier,
            dataset.validation,
            dataset.name,
            dataset.digest(),
            "validation",
            (CHOSEN_HERE, *notes),
        ),
        card=recipe.card,
    )


def _beside(recipe: RecordRecipe) -> tuple[str, ...]:
    if recipe.features.encoder is not None:
        return OF_NOTES
    return OF_NETWORKS if recipe.network else ()
