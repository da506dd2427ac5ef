"""Step 5, the same for every kind of diagnosis: the version with the use it made of its data."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from polyclinic.core.evaluation import Evaluation
from polyclinic.diagnosis.answers import AnswerSpec
from polyclinic.learning.prepare.dataset import Dataset
from polyclinic.registry.making import make_version
from polyclinic.registry.manifest import CardText, DataUse
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
    return make_version(
        registry,
        name=name,
        kind=kind,
        licence=licence,
        labels=dataset.labels,
        files=files,
        spec=spec,
        data=_use(dataset, digest),
        recipe=recipe,
        seed=seed,
        makers=makers,
        training=training,
        validation=validation,
        card=card,
    )


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
