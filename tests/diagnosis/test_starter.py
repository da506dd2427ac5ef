from pathlib import Path

import numpy as np
import pytest

from polyclinic.core.prediction import Prediction
from polyclinic.core.settings import Settings
from polyclinic.diagnosis.imaging.classifier import ImageClassifier
from polyclinic.diagnosis.imaging.evaluation import evaluate
from polyclinic.diagnosis.imaging.recipe import ImageRecipe
from polyclinic.diagnosis.imaging.source import read_source
from polyclinic.diagnosis.imaging.steps.prepare import prepare
from polyclinic.learning.recipe import parse_recipe, read_yaml
from polyclinic.registry.starters import STARTERS, install_starters
from polyclinic.registry.store import Registry, open_registry

DATA = "chest-xray/pneumoniamnist-3882.npz"
RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    registry = open_registry(Settings(home=tmp_path_factory.mktemp("starter")))
    install_starters(registry)
    return registry


@pytest.fixture(scope="module")
def starter(registry: Registry) -> ImageClassifier:
    return ImageClassifier.load(registry, registry.resolve("chest-xray-pneumonia"))


def test_the_starter_finds_pneumonia_in_the_sample_and_knows_its_kind(
    starter: ImageClassifier,
) -> None:
    (answer,) = starter.predict([(STARTERS / "chest-xray.png").read_bytes()])
    assert isinstance(answer, Prediction)
    finding = answer.findings[0]
    assert (finding.coding.code, finding.present) == ("J18.9", True)
    assert answer.familiarity.familiar
    assert answer.abstained is None


def test_the_starter_is_small_and_was_measured_on_its_test_part(registry: Registry) -> None:
    (bundle,) = STARTERS.glob("chest-xray-pneumonia-*.polyclinic")
    assert bundle.stat().st_size < 5 * 2**20
    version = registry.resolve("chest-xray-pneumonia")
    assert any(evaluation.part == "test" for evaluation in registry.evaluations(version))
    assert registry.test_openings(version.manifest.data.digest)


def test_pictures_of_other_kinds_are_unfamiliar(starter: ImageClassifier) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (50, 1, 28, 28), dtype=np.uint8)
    assert (starter.score(noise).p_values <= starter.spec.familiarity_alpha).all()


def test_the_cards_validation_figures_are_those_of_the_shipped_file(
    registry: Registry, starter: ImageClassifier, shared_data: Path
) -> None:
    dataset = read_source(shared_data / DATA, starter.labels).dataset
    manifest = registry.resolve("chest-xray-pneumonia").manifest
    assert dataset.digest() == manifest.data.digest
    measured = evaluate(starter, dataset, dataset.validation, "validation")
    for name, estimate in manifest.validation.metrics.items():
        assert measured.metrics[name].value == pytest.approx(estimate.value, abs=1e-4)
    assert measured.metrics["auc"].value > 0.98


@pytest.mark.parametrize("path", sorted(RECIPES.glob("chest*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_reads_and_its_data_passes_the_gate(path: Path, shared_data: Path) -> None:
    recipe = parse_recipe(read_yaml(path), ImageRecipe, str(path))
    prepared = prepare(recipe, shared_data / DATA, path.parent)
    assert len(prepared.dataset.train) == 3872
    assert any("10 pictures left out" in note for note in prepared.notes)
    assert any("Labels differ in frequency" in note for note in prepared.notes)
