"""A model version as the registry hands it out."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from polyclinic.core.digest import sha256
from polyclinic.core.errors import IntegrityError
from polyclinic.core.prediction import ModelIdentity
from polyclinic.registry.manifest import Manifest, read_manifest
from polyclinic.registry.signing import Signature

VERSION_DIGITS = 12


@dataclass(frozen=True)
class ModelVersion:
    """One immutable model version: the signed manifest `document`, whose SHA-256 is `digest`.

    The manifest is read when first asked for, so that a damaged one spoils no listing.
    """

    name: str
    kind: str
    created: datetime
    digest: str
    document: bytes
    signature: Signature

    @property
    def version(self) -> str:
        """The first 12 digits of the digest."""
        return self.digest[:VERSION_DIGITS]

    @property
    def identity(self) -> ModelIdentity:
        """The triple that stands in every answer."""
        return ModelIdentity(name=self.name, version=self.version, digest=self.digest)

    @cached_property
    def manifest(self) -> Manifest:
        """What the version is. Raises `IntegrityError` when the stored manifest was altered."""
        manifest = read_manifest(self.document) if sha256(self.document) == self.digest else None
        if manifest is None or (manifest.name, manifest.kind) != (self.name, self.kind):
            raise IntegrityError(
                f"The manifest of {self} was altered",
                where=str(self),
                remedy="Import the model's bundle again.",
            )
        return manifest

    def __str__(self) -> str:
        """The full reference, `name@version`."""
        return f"{self.name}@{self.version}"
