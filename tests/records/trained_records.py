"""What it takes to train a model of records in a test."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from polyclinic.core.settings import Settings
from polyclinic.diagnosis.records.recipe import RecordRecipe
from polyclinic.diagnosis.records.steps.run import run
from polyclinic.learning.train.checkpoint import Epoch
from polyclinic.registry.store import Registry, open_registry
from polyclinic.registry.version import ModelVersion


@dataclass(frozen=True)
class TrainedRecords:
    recipe: RecordRecipe
    data: Path
    registry: Registry
    version: ModelVersion


class Silence:
    def step(self, name: str) -> None:
        """Nobody listens."""

    def epoch(self, epoch: Epoch) -> None:
        """Nobody listens."""

    def trial(self, number: int, loss: float) -> None:
        """Nobody listens."""


def trained(home: Path, recipe: str, data: Path) -> TrainedRecords:
    parsed = RecordRecipe.model_validate(yaml.safe_load(recipe))
    registry = open_registry(Settings(home=home))
    return TrainedRecords(parsed, data, registry, run(parsed, data, home, registry, Silence()))
