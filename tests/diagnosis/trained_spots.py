"""What the fixture `trained` gives, and who listens while it is made."""

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


class Silence:
    """A listener that listens to nothing."""

    def step(self, name: str) -> None: ...
    def read(self, done: int, files: int) -> None: ...
    def epoch(self, epoch: object) -> None: ...
    def trial(self, number: int, loss: float) -> None: ...
