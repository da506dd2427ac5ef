"""Step 5, the same for every kind: sign a trained model and make it the candidate of its name."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from platform import python_version

import yaml
from pydantic import BaseModel

from polyclinic.core.digest import sha256
from polyclinic.core.evaluation import Evaluation
from polyclinic.core.prediction import Coding
from polyclinic.registry.manifest import Artefact, CardText, DataUse, Manifest
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion


def make_version(
    registry: Registry,
    *,
    name: str,
    kind: str,
    licence: str,
    labels: tuple[Coding, ...],
    files: Mapping[str, bytes],
    spec: BaseModel,
    data: DataUse,
    recipe: BaseModel,
    seed: int,
    makers: Sequence[str],
    training: Mapping[str, float],
    validation: Evaluation,
    card: CardText,
) -> ModelVersion:
    """The registered version. makers: the packages whose versions decide the result."""
    manifest = Manifest(
        name=name,
        kind=kind,
        created=datetime.now(UTC),
        licence=licence,
        labels=labels,
        artefacts={
            file: Artefact(digest=sha256(data), size=len(data)) for file, data in files.items()
        },
        spec=spec.model_dump(mode="json"),
        data=data,
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
