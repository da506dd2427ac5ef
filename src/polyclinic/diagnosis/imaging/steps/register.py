"""Step 4, second half, and step 5: measure on validation, and store the version to serve."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from platform import python_version

import yaml

from polyclinic.core.digest import sha256
from polyclinic.core.prediction import ModelIdentity
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.evaluation import evaluate
from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.diagnosis.imaging.spec import KIND
from polyclinic.diagnosis.imaging.steps.prepare import Prepared
from polyclinic.diagnosis.imaging.steps.trust import Model
from polyclinic.learning.train.checkpoint import Progress
from polyclinic.registry.manifest import Artefact, DataUse, Manifest
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

#: The packages whose versions decide what a training run gives.
MAKERS = ("polyclinic", "torch", "numpy", "onnx", "onnxruntime", "scikit-learn")

CHOSEN_HERE = (
    "Calibration, thresholds, conformal sets, familiarity and the best epoch were fitted on this "
    "part: its figures flatter the model."
)


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
    validation = evaluate(classifier, dataset, dataset.validation, "validation", said)
    manifest = Manifest(
        name=recipe.name,
        kind=KIND,
        created=datetime.now(UTC),
        licence=recipe.licence,
        labels=dataset.labels,
        artefacts={
            name: Artefact(digest=sha256(data), size=len(data))
            for name, data in model.files.items()
        },
        spec=model.spec.model_dump(mode="json"),
        data=DataUse(
            name=dataset.name,
            digest=prepared.digest,
            licence=dataset.licence,
            source=dataset.source,
            parts={
                name: {
                    label.code: int(count)
                    for label, count in zip(
                        dataset.labels, part.truth(len(dataset.labels)).sum(axis=0), strict=True
                    )
                }
                for name, part in dataset.parts.items()
            },
            examples={name: len(part) for name, part in dataset.parts.items()},
            part_digests={name: part.digest() for name, part in dataset.parts.items()},
        ),
        recipe=yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
        seed=recipe.seed,
        versions={"python": python_version(), **{name: package_version(name) for name in MAKERS}},
        training=_figures(members, model.parameters),
        validation=validation,
        card=recipe.card,
    )
    version = registry.add(manifest, model.files)
    registry.promote(str(version), "candidate", by="polyclinic train", reason="Trained last")
    return version


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
