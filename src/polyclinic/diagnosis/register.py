"""Step 5, the same for every kind: sign a trained model and make it the candidate of its name."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from platform import python_version

import yaml
from pydantic import BaseModel

from polyclinic.core.digest import sha256
from polyclinic.core.evaluation import Evaluation
from polyclinic.diagnosis.answers import AnswerSpec
from polyclinic.learning.prepare.dataset import Dataset
from polyclinic.registry.manifest import Artefact, CardText, DataUse, Manifest
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

CHOSEN_HERE = (
    "Calibration, thresholds, conformal sets, familiarity and the best model were fitted on this "
    "part: its figures flatter the model."
)


def register(
    registry: Registry,
    *,
    name: str,
    kind: str,
    licence: str,
    files: Mapping[str, bytes],
    spec: AnswerSpec,
    dataset: Dataset,
    digest: str,
    recipe: BaseModel,
    seed: int,
    makers: Sequence[str],
    training: Mapping[str, float],
    validation: Evaluation,
    card: CardText,
) -> ModelVersion:
    """The registered version. digest: of all data; makers: the packages that decide the result."""
    manifest = Manifest(
        name=name,
        kind=kind,
        created=datetime.now(UTC),
        licence=licence,
        labels=dataset.labels,
        artefacts={
            file: Artefact(digest=sha256(data), size=len(data)) for file, data in files.items()
        },
        spec=spec.model_dump(mode="json"),
        data=_use(dataset, digest),
        recipe=yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
        seed=seed,
        versions={"python": python_version(), **{each: package_version(each) for each in makers}},
        training=dict(training),
        validation=validation,
        card=card,
    )
    version = registry.add(manifest, files)
    registry.promote(str(version), "candidate", by="polyclinic train", reason="Trained last")
    return version


def _use(dataset: Dataset, digest: str) -> DataUse:
    codes = [label.code for label in dataset.labels]
    return DataUse(
        name=dataset.name,
        digest=digest,
        licence=dataset.licence,
        source=dataset.source,
        parts={
            name: dict(zip(codes, part.truth(len(codes)).sum(axis=0).tolist(), strict=True))
            for name, part in dataset.parts.items()
        },
        examples={name: len(part) for name, part in dataset.parts.items()},
        part_digests={name: part.digest() for name, part in dataset.parts.items()},
    )
