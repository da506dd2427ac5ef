"""One small model, trained once through the five steps, for all tests of imaging."""

import pytest
import yaml
from trained_spots import Silence, Trained

from pictures import RECIPE, write_spots
from polyclinic.core.settings import Settings
from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.diagnosis.imaging.steps.run import run
from polyclinic.registry.store import open_registry


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    home = tmp_path_factory.mktemp("home")
    data = write_spots(home / "spots.npz")
    recipe = ImageRecipe.model_validate(yaml.safe_load(RECIPE))
    registry = open_registry(Settings(home=home))
    version = run(recipe, data, home, registry, Silence())
    return Trained(recipe, data, registry, version)
