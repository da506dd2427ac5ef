"""What the fixture `trained` gives."""

from dataclasses import dataclass
from pathlib import Path

from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.registry.store import Registry
from polyclinic.registry.version import ModelVersion


@dataclass(frozen=True)
class Trained:
    recipe: ImageRecipe
    data: Path
    registry: Registry
    version: ModelVersion
