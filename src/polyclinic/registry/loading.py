"""From a registered version to a model that answers, for every kind of model."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError

from polyclinic.core.errors import IntegrityError, InvalidInput
from polyclinic.core.prediction import Coding, ModelIdentity, Reweighting
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion

SpecT = TypeVar("SpecT", bound=BaseModel)
ModelT = TypeVar("ModelT")

#: Makes the model of files that are known to be whole.
OfFiles = Callable[
    [ModelIdentity, tuple[Coding, ...], SpecT, Mapping[str, bytes], Reweighting | None], ModelT
]


def load_version(
    registry: Registry,
    version: ModelVersion,
    kind: str,
    spec_type: type[SpecT],
    of_files: OfFiles[SpecT, ModelT],
) -> ModelT:
    """The model of a registered version of a `kind`, as its site has it re-weighted.

    Every file is verified before any is parsed. Raises `InvalidInput` where the version is of
    another kind, `IntegrityError` where a file is not what the manifest says.
    """
    manifest = version.manifest
    if manifest.kind != kind:
        raise InvalidInput(
            f"This model is of kind {manifest.kind}, not {kind}.", where=manifest.name
        )
    files = registry.load(version)
    try:
        spec = spec_type.model_validate(manifest.spec)
        site = registry.reweighting(version)
        return of_files(version.identity, manifest.labels, spec, files, site)
    except (ValidationError, KeyError, SafetensorError) as error:
        raise IntegrityError(
            f"The model is not one that this release reads: {error}", where=manifest.name
        ) from None
